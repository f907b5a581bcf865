//! Where on the web a pack may call: the words of `grants.web` and of the setting `web.allow`.
//!
//! A site is a host, or all hosts below one, or `*` for every host, and perhaps a port. Guarantees: one site has one form
//! (lower case, addresses as the standard library writes them), so that two of them can be compared; what a browser would
//! read as another host than a person does is refused.
//! Leaves to others: which addresses are public, and every connection (`hale-gateway/src/egress.rs`).

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// The ports of a site that names none.
pub const PORTS: [u16; 2] = [80, 443];

/// Letters of a name, and of one of its labels, as DNS has them.
const NAME_CHARS: usize = 253;
const LABEL_CHARS: usize = 63;

/// Where a pack may call: `example.com`, `*.rust-lang.org`, `10.0.0.7:8080`, `[fd00::7]`, `*`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Site {
    pub host: Host,
    /// None means [`PORTS`].
    pub port: Option<u16>,
}

/// The host of a site.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// `*`
    Any,
    /// `*.example.com`: every host below, at any depth, and not `example.com` itself.
    Below(String),
    Name(String),
    Address(IpAddr),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "read {text:?} as a host: {problem}; write a name, *.name or an address, perhaps with a port, for example \"example.com\" or \"10.0.0.7:8080\""
)]
pub struct Error {
    pub text: String,
    pub problem: &'static str,
}

impl Site {
    /// Whether it has this port.
    pub fn has_port(&self, port: u16) -> bool {
        self.port.map_or(PORTS.contains(&port), |own| own == port)
    }

    /// Whether a host of this name is meant, by whatever words.
    pub fn has_name(&self, name: &str) -> bool {
        match &self.host {
            Host::Any => true,
            Host::Below(above) => name.strip_suffix(above.as_str()).is_some_and(|rest| rest.ends_with('.')),
            Host::Name(own) => own == name,
            Host::Address(_) => false,
        }
    }

    /// Whether every port of the other site is one of this.
    pub fn has_ports_of(&self, other: &Site) -> bool {
        match other.port {
            Some(port) => self.has_port(port),
            None => self.port.is_none(),
        }
    }
}

impl FromStr for Site {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = |problem| Error { text: text.chars().take(200).collect(), problem };
        if let Ok(ip) = text.parse::<Ipv6Addr>() {
            return Ok(Site { host: Host::Address(IpAddr::V6(ip).to_canonical()), port: None });
        }
        let (host, port) = divided(text).map_err(bad)?;
        let host = host_of(host).map_err(bad)?;
        Ok(Site { host, port })
    }
}

/// Host and port; the brackets of an IPv6 address stay.
fn divided(text: &str) -> Result<(&str, Option<u16>), &'static str> {
    if text.contains("://") || text.contains(['/', '?', '#', '@', '\\']) {
        return Err("only the host is written here, without scheme, user and path");
    }
    match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            let port = port.parse().ok().filter(|port| *port > 0);
            port.map(|port| (host, Some(port))).ok_or("what stands after the colon is no port")
        }
        _ => Ok((text, None)),
    }
}

fn host_of(text: &str) -> Result<Host, &'static str> {
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let ip: Ipv6Addr = inner.parse().map_err(|_| "what stands in brackets is no IPv6 address")?;
        return Ok(Host::Address(IpAddr::V6(ip).to_canonical()));
    }
    if let Ok(ip) = text.parse() {
        return Ok(Host::Address(ip));
    }
    if text == "*" {
        return Ok(Host::Any);
    }
    let lower = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    match lower.strip_prefix("*.") {
        Some(above) => name(above).map(Host::Below),
        None => name(&lower).map(Host::Name),
    }
}

fn name(text: &str) -> Result<String, &'static str> {
    if !text.is_ascii() {
        return Err("international names are written in their xn-- form");
    }
    if text.contains('*') {
        return Err("`*` stands alone or as the first part, as in *.example.com");
    }
    let label = |label: &str| {
        (1..=LABEL_CHARS).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    if text.len() > NAME_CHARS || !text.split('.').all(label) {
        return Err("it is not a name of a host");
    }
    // Such a host is an address to whoever calls it: 0x7f.1, 2130706433, 010.0.0.1.
    let last = text.rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit()));
    if hexadecimal || last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("an IPv4 address is written as four decimal numbers");
    }
    Ok(text.to_owned())
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.host, self.port) {
            (Host::Any, _) => f.write_str("*")?,
            (Host::Below(above), _) => write!(f, "*.{above}")?,
            (Host::Name(name), _) => f.write_str(name)?,
            (Host::Address(IpAddr::V6(ip)), Some(_)) => write!(f, "[{ip}]")?,
            (Host::Address(ip), _) => write!(f, "{ip}")?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}
