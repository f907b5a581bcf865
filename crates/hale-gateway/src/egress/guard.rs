//! Which addresses may be called that an arm or a pack names, not the operator.
//!
//! Loopback, and the hosts that the operator allows by name or address. Guarantees: addresses that only a machine's own
//! innards answer (link-local, where clouds keep their credentials; unspecified; multicast) are never called, allowed or
//! not; a name is checked again where it is resolved, so that it cannot point elsewhere later.
//! Leaves to others: making the connection ([`super::Egress`]).
//! Read next: [`crate::arm`].

use super::Error;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};
use url::{Host, Url};

/// The hosts beside loopback; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    allow: Arc<RwLock<Arc<[String]>>>,
}

impl Guard {
    /// From now on these hosts may be called: `planner.internal`, `10.0.0.7`.
    pub fn allow(&self, hosts: impl IntoIterator<Item = String>) {
        let hosts: Arc<[String]> = hosts.into_iter().map(|host| host.to_ascii_lowercase()).collect();
        *self.allow.write().unwrap_or_else(PoisonError::into_inner) = hosts;
    }

    fn allows(&self, host: &str) -> bool {
        let bare =
            host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
        self.allow.read().unwrap_or_else(PoisonError::into_inner).contains(&bare)
    }

    /// Checks an address before it is called.
    ///
    /// # Errors
    /// What is wrong with it, and how it may be allowed.
    pub fn check(&self, url: &str) -> Result<Url, Error> {
        let parsed = super::check(url)?;
        let host = parsed.host_str().unwrap_or_default().to_owned();
        match parsed.host() {
            Some(Host::Domain(name)) if is_local_name(name) || self.allows(name) => Ok(parsed),
            Some(Host::Ipv4(ip)) => self.check_ip(IpAddr::V4(ip), &host).map(|()| parsed),
            Some(Host::Ipv6(ip)) => self.check_ip(IpAddr::V6(ip), &host).map(|()| parsed),
            _ => Err(Error::NotAllowed { host }),
        }
    }

    fn check_ip(&self, ip: IpAddr, host: &str) -> Result<(), Error> {
        if is_never_called(ip) {
            return Err(Error::Never { host: host.to_owned(), ip });
        }
        if ip.to_canonical().is_loopback() || self.allows(host) || self.allows(&ip.to_canonical().to_string())
        {
            return Ok(());
        }
        Err(Error::NotAllowed { host: host.to_owned() })
    }

    /// Whether this name may lead to this address.
    fn leads(&self, name: &str, ip: IpAddr) -> bool {
        !is_never_called(ip)
            && (ip.to_canonical().is_loopback() || (!is_local_name(name) && self.allows(name)))
    }
}

/// Looks names up, and forgets the addresses where they may not lead.
impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let name = name.as_str().to_owned();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let may: Vec<SocketAddr> =
                found.iter().copied().filter(|address| guard.leads(&name, address.ip())).collect();
            match (may.is_empty(), found.first()) {
                (true, Some(first)) => Err(Error::Leads { host: name, ip: first.ip() }.into()),
                _ => Ok(Box::new(may.into_iter()) as Addrs),
            }
        })
    }
}

fn is_local_name(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// What no service answers on, or only the machine's own innards do.
fn is_never_called(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            ip.is_link_local()
                || ip.is_unspecified()
                || ip.is_multicast()
                || ip.is_broadcast()
                || ip.octets()[0] == 0
        }
        IpAddr::V6(ip) => ip.is_unicast_link_local() || ip.is_unspecified() || ip.is_multicast(),
    }
}
