//! The way to addresses that an arm or a pack names, not the operator: checked as they are read, and where names lead.
//!
//! Arms may be on loopback, and on the hosts that the operator allows by name or address; packs go by [`super::policy`].
//! Guarantees: addresses that only a machine's own innards answer are never called, allowed or not; a name is looked up
//! once for a connection, every answer is checked, and the connection goes to an address that was checked: a name that
//! leads elsewhere the next time gains nothing.
//! Leaves to others: making the connection ([`super::Egress`]).
//! Read next: [`super::address`], [`crate::arm`], [`crate::web`].

use super::Error;
use super::address::is_never_called;
use super::policy::{Policy, is_local};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};
use url::{Host, Url};

/// Who may be called; clones share the list of an arm's guard.
#[derive(Clone, Debug)]
pub struct Guard {
    rule: Rule,
    lookup: Lookup,
}

#[derive(Clone, Debug)]
enum Rule {
    /// Loopback, and these hosts beside it.
    Arms(Arc<RwLock<Arc<[String]>>>),
    /// What a pack may call, on this port.
    Pack(Policy, u16),
}

/// The addresses of a name.
pub type Answers = Arc<dyn Fn(&str) -> Vec<IpAddr> + Send + Sync>;

/// How names become addresses.
#[derive(Clone, Default)]
pub enum Lookup {
    /// As the machine does it.
    #[default]
    System,
    /// As a test wants it.
    Given(Answers),
}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "System",
            Self::Given(_) => "Given",
        })
    }
}

impl Lookup {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        match self {
            Self::System => {
                Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
            }
            Self::Given(answer) => Ok(answer(name)),
        }
    }
}

impl Default for Guard {
    /// For arms on this machine.
    fn default() -> Self {
        Self { rule: Rule::Arms(Arc::default()), lookup: Lookup::System }
    }
}

impl Guard {
    /// For one connection of a pack: where its name may lead, on this port.
    pub fn of_pack(policy: Policy, port: u16, lookup: Lookup) -> Self {
        Self { rule: Rule::Pack(policy, port), lookup }
    }

    /// From now on arms may be on these hosts: `planner.internal`, `10.0.0.7`.
    pub fn allow(&self, hosts: impl IntoIterator<Item = String>) {
        if let Rule::Arms(allow) = &self.rule {
            let hosts: Arc<[String]> = hosts.into_iter().map(|host| host.to_ascii_lowercase()).collect();
            *allow.write().unwrap_or_else(PoisonError::into_inner) = hosts;
        }
    }

    /// Checks an address before it is called.
    ///
    /// # Errors
    /// What is wrong with it, and how it may be allowed.
    pub fn check(&self, url: &str) -> Result<Url, Error> {
        let allow = match &self.rule {
            Rule::Pack(policy, _) => return policy.check(url),
            Rule::Arms(allow) => allow.read().unwrap_or_else(PoisonError::into_inner).clone(),
        };
        let parsed = super::check(url)?;
        let host = parsed.host_str().unwrap_or_default().to_owned();
        match parsed.host() {
            Some(Host::Domain(name)) if is_local(name) || allows(&allow, name) => Ok(parsed),
            Some(Host::Ipv4(ip)) => check_ip(&allow, (IpAddr::V4(ip), &host)).map(|()| parsed),
            Some(Host::Ipv6(ip)) => check_ip(&allow, (IpAddr::V6(ip), &host)).map(|()| parsed),
            _ => Err(Error::NotAllowed { host }),
        }
    }

    /// Whether this name may lead to this address.
    fn leads(&self, name: &str, ip: IpAddr) -> bool {
        match &self.rule {
            Rule::Pack(policy, port) => policy.leads(name, (ip, *port)),
            Rule::Arms(allow) => {
                let allow = allow.read().unwrap_or_else(PoisonError::into_inner).clone();
                !is_never_called(ip)
                    && (ip.to_canonical().is_loopback() || (!is_local(name) && allows(&allow, name)))
            }
        }
    }
}

fn allows(allow: &[String], host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
    allow.contains(&bare)
}

fn check_ip(allow: &[String], (ip, host): (IpAddr, &str)) -> Result<(), Error> {
    if is_never_called(ip) {
        return Err(Error::Never { host: host.to_owned(), ip });
    }
    let canonical = ip.to_canonical();
    if canonical.is_loopback() || allows(allow, host) || allows(allow, &canonical.to_string()) {
        return Ok(());
    }
    Err(Error::NotAllowed { host: host.to_owned() })
}

/// Looks names up, and forgets the addresses where they may not lead.
impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let name = name.as_str().to_owned();
            let found = guard.lookup.addresses(&name).await;
            let found = found.map_err(|source| Error::Lookup { host: name.clone(), source })?;
            let may: Vec<SocketAddr> = found
                .iter()
                .filter(|ip| guard.leads(&name, **ip))
                .map(|ip| SocketAddr::new(*ip, 0))
                .collect();
            match (may.is_empty(), found.first()) {
                (true, Some(first)) => Err(Error::Leads { host: name, ip: *first }.into()),
                (true, None) => {
                    let source = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
                    Err(Error::Lookup { host: name, source }.into())
                }
                _ => Ok(Box::new(may.into_iter()) as Addrs),
            }
        })
    }
}
