//! Whether a pack, or the model in it, may call an address.
//!
//! Two lists decide, and both have to say yes: what the pack was granted, and what the operator allows (`web.allow`). Hosts
//! of the public internet are meant by a name, by `*.name` or by `*`, on ports 80 and 443; anything else has to be named by
//! both lists, word for word: another port, an address inside, a name that only a network of one's own knows.
//! Guarantees: what is checked is what was parsed, so that no spelling of an address is another address; what a name leads
//! to is judged again where it is looked up ([`Policy::leads`]); innards are called by nobody.
//! Leaves to others: looking names up ([`super::guard`]), the way of one call ([`crate::web`]).

use super::Error;
use super::address::{Standing, standing};
use hale_core::limits;
use hale_core::web::{Host, Site};
use std::net::IpAddr;
use std::sync::Arc;
use url::Url;

/// Names under which machines in clouds reach their own credentials.
const INNARDS: [&str; 7] = [
    "metadata",
    "metadata.goog",
    "metadata.google.internal",
    "metadata.azure.internal",
    "metadata.tencentyun.com",
    "instance-data",
    "instance-data.ec2.internal",
];

/// Ends of names that the internet does not know.
const PRIVATE_ENDS: [&str; 7] =
    [".internal", ".intranet", ".lan", ".local", ".localhost", ".home.arpa", ".private"];

/// The two lists of one pack.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The operator's.
    pub allow: Arc<[Site]>,
    /// The pack's; empty means every public host, if the operator says `*`.
    pub grants: Arc<[Site]>,
}

impl Policy {
    /// Checks an address before anything is done about it.
    ///
    /// # Errors
    /// Why it is not called, and what would have to be granted.
    pub fn check(&self, url: &str) -> Result<Url, Error> {
        if url.len() > limits::WEB_URL_BYTES {
            return Err(Error::TooLong { most: limits::WEB_URL_BYTES });
        }
        let mut parsed = super::check(url)?;
        parsed.set_fragment(None);
        let port = parsed.port_or_known_default().unwrap_or_default();
        match parsed.host() {
            Some(url::Host::Domain(name)) => self.check_name(&plain(name), port)?,
            Some(url::Host::Ipv4(ip)) => self.check_address(IpAddr::V4(ip), port)?,
            Some(url::Host::Ipv6(ip)) => self.check_address(IpAddr::V6(ip), port)?,
            None => return Err(Error::NotGranted { site: url.to_owned(), granted: self.granted() }),
        }
        Ok(parsed)
    }

    fn check_name(&self, name: &str, port: u16) -> Result<(), Error> {
        let below = |innards: &str| name.strip_suffix(innards).is_some_and(|rest| rest.ends_with('.'));
        if INNARDS.iter().any(|innards| name == *innards || (innards.contains('.') && below(innards))) {
            return Err(Error::Innards { host: name.to_owned() });
        }
        let exactly = is_private(name);
        let meant = |site: &Site| match &site.host {
            Host::Name(own) => own == name,
            _ => !exactly && site.has_name(name),
        };
        self.both(|site| site.has_port(port) && meant(site), &site(name, port))
    }

    fn check_address(&self, ip: IpAddr, port: u16) -> Result<(), Error> {
        let (ip, standing) = (ip.to_canonical(), standing(ip));
        if standing == Standing::Never {
            return Err(Error::Never { host: ip.to_string(), ip });
        }
        let meant = |site: &Site| match &site.host {
            Host::Address(own) => *own == ip,
            Host::Any => standing == Standing::Public,
            _ => false,
        };
        let host = if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() };
        self.both(|site| site.has_port(port) && meant(site), &site(&host, port))
    }

    fn both(&self, meant: impl Fn(&Site) -> bool, named: &str) -> Result<(), Error> {
        let not_granted = || Error::NotGranted { site: named.to_owned(), granted: self.granted() };
        if self.grants.is_empty() {
            // Without a grant of its own a pack has what `*` of the operator gives, and no more.
            let open = |site: &Site| site.host == Host::Any && meant(site);
            return if self.allow.iter().any(open) { Ok(()) } else { Err(not_granted()) };
        }
        if !self.grants.iter().any(&meant) {
            return Err(not_granted());
        }
        if !self.allow.iter().any(&meant) {
            return Err(Error::NotListed { site: named.to_owned() });
        }
        Ok(())
    }

    fn granted(&self) -> String {
        let shown: Vec<String> = self.grants.iter().map(Site::to_string).collect();
        match shown.is_empty() {
            false => shown.join(", "),
            true if self.allow.iter().any(|site| site.host == Host::Any) => "every public host".to_owned(),
            true => "no host".to_owned(),
        }
    }

    /// Whether this name, which was checked, may lead to this address on this port.
    pub(super) fn leads(&self, name: &str, (ip, port): (IpAddr, u16)) -> bool {
        let (name, ip, standing) = (plain(name), ip.to_canonical(), standing(ip));
        if is_local(&name) && standing != Standing::Loopback {
            return false;
        }
        let named = |sites: &[Site]| {
            sites.iter().filter(|site| site.has_port(port)).any(|site| match &site.host {
                Host::Address(own) => *own == ip,
                // A name that the internet knows may be pointed inside by whoever keeps it there.
                Host::Name(own) => *own == name && is_private(&name),
                Host::Any | Host::Below(_) => false,
            })
        };
        match standing {
            Standing::Never => false,
            Standing::Public => true,
            Standing::Loopback | Standing::Inside => named(&self.allow) && named(&self.grants),
        }
    }
}

/// Whether the operator's list covers what a pack asks to be granted.
pub fn covers(allow: &[Site], asked: &Site) -> bool {
    let public = |host: &Host| match host {
        Host::Address(ip) => standing(*ip) == Standing::Public,
        Host::Name(name) => !is_private(name),
        // Hosts of a network of one's own are named one by one.
        Host::Below(above) => !is_private(&format!("any.{above}")),
        Host::Any => true,
    };
    let host = |own: &Host| match (own, &asked.host) {
        (Host::Any, asked) => public(asked),
        (Host::Below(above), Host::Below(below)) if public(&asked.host) => {
            below == above || below.strip_suffix(above.as_str()).is_some_and(|rest| rest.ends_with('.'))
        }
        (Host::Below(above), Host::Name(name)) => {
            public(&asked.host) && name.strip_suffix(above.as_str()).is_some_and(|rest| rest.ends_with('.'))
        }
        (Host::Below(_), _) => false,
        (own, asked) => own == asked,
    };
    allow.iter().any(|own| own.has_ports_of(asked) && host(&own.host))
}

fn site(host: &str, port: u16) -> String {
    if hale_core::web::PORTS.contains(&port) { host.to_owned() } else { format!("{host}:{port}") }
}

fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// A name for this machine.
pub(super) fn is_local(name: &str) -> bool {
    let name = plain(name);
    name == "localhost" || name.ends_with(".localhost")
}

/// A name that only a network of one's own knows.
fn is_private(name: &str) -> bool {
    !name.contains('.') || PRIVATE_ENDS.iter().any(|end| name.ends_with(end))
}
