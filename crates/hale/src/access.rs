//! Who may come in: keyless on loopback, with an API key elsewhere.
//!
//! Guarantees: a network listener never answers without a valid key and is refused at start when there is none; a
//! keyless caller reaches us under a local name only (no DNS rebinding), never from a page of another origin; the
//! secret is compared before anything is told about a key.
//! Leaves to others: roles and approvals, which come later; reading the request (`http/guard.rs`).
//! Read next: [`crate::keys`].

use crate::http::dialects::OLLAMA;
use crate::keys::{self, ServerKey};
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::KeyId;
use hale_core::time::Timestamp;
use hale_store::KeyRow;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN};
use http::{HeaderMap, Method, Uri};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

/// Who a keyless caller on loopback is.
pub const LOCAL: &str = "local";
/// Who a caller without a key is, where a route is open.
pub const ANONYMOUS: &str = "anonymous";

/// Where worker processes join.
const WORKERS: &str = "/api/v1/workers";
/// What they do below it, each under its own id.
const WORKER_DEEDS: [&str; 4] = ["sync", "drain", "leave", "blobs"];

/// Whether loopback callers need a key too (`access.require_key`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RequireKey {
    #[default]
    OnNetwork,
    Always,
}

/// What the operator configured.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    pub require_key: RequireKey,
    /// Host names under which a keyless server may be reached besides the local ones (`access.hosts`).
    pub names: Vec<String>,
}

/// The door's rule book for one listener.
#[derive(Clone, Debug)]
pub struct Access {
    server_key: ServerKey,
    policy: Policy,
    keyless: Keyless,
    /// The key of the worker processes that this server starts.
    workers: Option<KeyRow>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keyless {
    Allowed,
    Refused,
}

/// Who asks.
#[derive(Clone, Debug)]
pub struct Actor {
    pub name: Arc<str>,
    pub key: Option<KeyRow>,
}

impl Actor {
    fn local() -> Self {
        Self { name: Arc::from(LOCAL), key: None }
    }

    pub fn anonymous() -> Self {
        Self { name: Arc::from(ANONYMOUS), key: None }
    }

    pub fn is_anonymous(&self) -> bool {
        &*self.name == ANONYMOUS
    }
}

/// Why a caller does not come in. Nothing is told about a key whose secret was not shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("answer without an API key: send Authorization: Bearer hale_…, or X-API-Key")]
    NoKey,
    #[error("answer with this API key: it is not one of this server's")]
    BadKey,
    #[error("answer with this API key: it expired at {at}")]
    Expired { at: Timestamp },
    #[error("answer with this API key: it was revoked at {at}")]
    Revoked { at: Timestamp },
    #[error(
        "answer under the host name {host:?}: without a key only local names are served; add it to access.hosts"
    )]
    Host { host: String },
    #[error("answer a page of {origin:?}: its origin is not this server's")]
    Origin { origin: String },
    #[error("read a body of type {given:?}: requests that change something must be application/json")]
    NotJson { given: String },
}

impl Access {
    /// The rules for a listener on `address`.
    ///
    /// # Errors
    /// A listener that others can reach, while no usable key exists: E005 with the command that makes one.
    pub fn new(
        address: SocketAddr,
        policy: Policy,
        server_key: ServerKey,
        data: &Path,
        keys: &[KeyRow],
    ) -> Result<Self, Failure> {
        let is_local = address.ip().to_canonical().is_loopback();
        let keyless = if is_local && policy.require_key == RequireKey::OnNetwork {
            Keyless::Allowed
        } else {
            Keyless::Refused
        };
        let usable = keys.iter().any(|key| key.revoked_at.is_none());
        if keyless == Keyless::Refused && !usable {
            let message = format!(
                "listen on {address} without an API key: others could run agents here; make one with \
                 hale keys create NAME --data {}",
                data.display()
            );
            return Err(Failure::new(Code::E005, "access.no_key", "http", message));
        }
        Ok(Self { server_key, policy, keyless, workers: None })
    }

    /// The key of the worker processes that the server itself starts: kept in memory, and good for what they do alone.
    pub fn with_workers(self, key: KeyRow) -> Self {
        Self { workers: Some(key), ..self }
    }

    /// One line for `hale status`.
    pub fn describe(&self) -> &'static str {
        match self.keyless {
            Keyless::Allowed => "keyless on loopback",
            Keyless::Refused => "API key required",
        }
    }

    pub fn server_key(&self) -> &ServerKey {
        &self.server_key
    }

    /// Lets a caller in at `now`, or says why not. `find` looks a key up.
    ///
    /// # Errors
    /// The reason, as much of it as is safe to tell.
    pub fn check(
        &self,
        asked: Asked<'_>,
        now: Timestamp,
        find: impl FnOnce(KeyId) -> Option<KeyRow>,
    ) -> Result<Actor, Denied> {
        let actor = match credential(asked.headers)? {
            // Libraries of model clients will not go without a key, and where none is needed any will do.
            Some(key)
                if self.keyless == Keyless::Allowed && is_for_models(asked) && keys::id_of(key).is_none() =>
            {
                self.check_host(asked)?;
                Actor::local()
            }
            Some(key) if self.is_worker(key, asked) => Actor { name: Arc::from("workers"), key: None },
            Some(key) => self.key_holder(key, now, find)?,
            None if self.keyless == Keyless::Refused => return Err(Denied::NoKey),
            None => {
                self.check_host(asked)?;
                Actor::local()
            }
        };
        self.check_origin(asked)?;
        check_type(asked)?;
        Ok(actor)
    }

    fn is_worker(&self, key: &str, asked: Asked<'_>) -> bool {
        let path = asked.uri.path().strip_prefix(WORKERS);
        let deed = path.and_then(|path| path.strip_prefix('/')?.split_once('/')).map(|(_, deed)| deed);
        let is_theirs = (path == Some("") && asked.method == Method::POST)
            || deed.is_some_and(|deed| WORKER_DEEDS.contains(&deed));
        is_theirs && self.workers.as_ref().is_some_and(|row| self.server_key.matches(key, row))
    }

    fn key_holder(
        &self,
        key: &str,
        now: Timestamp,
        find: impl FnOnce(KeyId) -> Option<KeyRow>,
    ) -> Result<Actor, Denied> {
        let row = keys::id_of(key).and_then(find).ok_or(Denied::BadKey)?;
        if !self.server_key.matches(key, &row) {
            return Err(Denied::BadKey);
        }
        if let Some(at) = row.revoked_at {
            return Err(Denied::Revoked { at });
        }
        if let Some(at) = row.expires_at.filter(|at| *at <= now) {
            return Err(Denied::Expired { at });
        }
        Ok(Actor { name: Arc::from(row.name.as_str()), key: Some(row) })
    }

    /// A name that a foreign page can point at us by DNS is refused.
    fn check_host(&self, asked: Asked<'_>) -> Result<(), Denied> {
        let authority = asked.authority().unwrap_or_default();
        let name = host_of(authority);
        let is_local = name.eq_ignore_ascii_case("localhost")
            || name.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback());
        if is_local || self.is_own_name(name) {
            return Ok(());
        }
        Err(Denied::Host { host: authority.to_owned() })
    }

    fn is_own_name(&self, name: &str) -> bool {
        self.policy.names.iter().any(|own| own.eq_ignore_ascii_case(name))
    }

    fn check_origin(&self, asked: Asked<'_>) -> Result<(), Denied> {
        let Some(origin) = asked.headers.get(ORIGIN) else { return Ok(()) };
        let foreign = || Denied::Origin { origin: String::from_utf8_lossy(origin.as_bytes()).into_owned() };
        let text = origin.to_str().map_err(|_| foreign())?;
        let bare = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        let authority = bare.ok_or_else(foreign)?;
        let is_same = asked.authority().is_some_and(|own| own.eq_ignore_ascii_case(authority));
        if is_same || self.is_own_name(host_of(authority)) { Ok(()) } else { Err(foreign()) }
    }
}

/// Whether this is the model door.
fn is_for_models(asked: Asked<'_>) -> bool {
    let path = asked.uri.path();
    path.starts_with("/v1/") || OLLAMA.contains(&path)
}

/// What the rules look at.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub method: &'a Method,
    pub uri: &'a Uri,
    pub headers: &'a HeaderMap,
}

impl<'a> Asked<'a> {
    /// The host and port that the caller believes to speak to.
    fn authority(self) -> Option<&'a str> {
        let of_uri = self.uri.authority().map(http::uri::Authority::as_str);
        of_uri.or_else(|| self.headers.get(HOST)?.to_str().ok())
    }
}

/// The name without port and brackets.
fn host_of(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    authority.rsplit_once(':').map_or(authority, |(host, _)| host)
}

/// The key that was sent; two that differ are none.
fn credential(headers: &HeaderMap) -> Result<Option<&str>, Denied> {
    let mut found = None;
    let bearer = headers.get_all(AUTHORIZATION).iter().map(|value| {
        let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    });
    let plain = headers.get_all("x-api-key").iter().map(|value| value.to_str().ok().map(str::trim));
    for key in bearer.chain(plain) {
        let key = key.ok_or(Denied::BadKey)?;
        if found.is_some_and(|other| other != key) {
            return Err(Denied::BadKey);
        }
        found = Some(key);
    }
    Ok(found)
}

/// A form of a foreign page can post, but not `application/json`; DELETE it cannot send at all.
fn check_type(asked: Asked<'_>) -> Result<(), Denied> {
    if asked.method != Method::POST {
        return Ok(());
    }
    let given = asked.headers.get(CONTENT_TYPE).map(|kind| String::from_utf8_lossy(kind.as_bytes()));
    let given = given.unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Denied::NotJson { given: given.into_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const NOW: Timestamp = Timestamp(1_000_000);

    struct Door {
        access: Access,
        key: String,
        row: KeyRow,
    }

    fn door(address: &str, policy: Policy) -> Door {
        let folder = tempfile::tempdir().unwrap();
        let server = ServerKey::load(folder.path()).unwrap();
        let order = keys::Order { name: "ci", expires_in: None, tenant: None, known: &[] };
        let (row, secret) = keys::make(&order, &server, NOW).unwrap();
        let address = address.parse().unwrap();
        let access = Access::new(address, policy, server, folder.path(), std::slice::from_ref(&row)).unwrap();
        Door { access, key: secret.reveal(), row }
    }

    impl Door {
        fn ask(&self, method: Method, headers: &[(&'static str, &str)]) -> Result<Actor, Denied> {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(*name, HeaderValue::from_str(value).unwrap());
            }
            let uri = Uri::from_static("/api/v1/runs");
            let asked = Asked { method: &method, uri: &uri, headers: &map };
            self.access.check(asked, NOW, |id| (id == self.row.id).then(|| self.row.clone()))
        }

        fn get(&self, headers: &[(&'static str, &str)]) -> Result<Actor, Denied> {
            self.ask(Method::GET, headers)
        }
    }

    #[test]
    fn local_names_need_no_key() {
        let door = door("127.0.0.1:8080", Policy { names: vec!["hale.lan".into()], ..Policy::default() });
        for host in
            ["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "127.9.9.9", "[::1]:8080", "hale.lan:8080"]
        {
            assert_eq!(&*door.get(&[("host", host)]).unwrap().name, LOCAL, "{host}");
        }
        for host in
            ["evil.example", "localhost.evil.example", "10.0.0.1:8080", "127.0.0.1.nip.io", "", "[::2]"]
        {
            assert!(matches!(door.get(&[("host", host)]), Err(Denied::Host { .. })), "{host}");
        }
        assert!(matches!(door.get(&[]), Err(Denied::Host { .. })));
    }

    #[test]
    fn a_foreign_origin_is_refused_even_with_a_key() {
        let door = door("127.0.0.1:8080", Policy::default());
        let own = ("host", "127.0.0.1:8080");
        assert!(door.get(&[own, ("origin", "http://127.0.0.1:8080")]).is_ok());
        for origin in
            ["http://evil.example", "null", "http://127.0.0.1:3000", "file://", "http://localhost:8080"]
        {
            assert!(matches!(door.get(&[own, ("origin", origin)]), Err(Denied::Origin { .. })), "{origin}");
            let keyed = [own, ("origin", origin), ("x-api-key", door.key.as_str())];
            assert!(matches!(door.get(&keyed), Err(Denied::Origin { .. })), "{origin}");
        }
    }

    #[test]
    fn what_changes_something_must_be_json() {
        let door = door("127.0.0.1:8080", Policy::default());
        let own = ("host", "localhost");
        for kind in ["application/json", "Application/JSON; charset=utf-8"] {
            assert!(door.ask(Method::POST, &[own, ("content-type", kind)]).is_ok(), "{kind}");
        }
        for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""] {
            let asked = door.ask(Method::POST, &[own, ("content-type", kind)]);
            assert!(matches!(asked, Err(Denied::NotJson { .. })), "{kind}");
        }
        assert!(matches!(door.ask(Method::POST, &[own]), Err(Denied::NotJson { .. })));
    }

    #[test]
    fn a_network_listener_takes_valid_keys_only() {
        let mut door = door("0.0.0.0:8080", Policy::default());
        let key = door.key.clone();
        assert_eq!(door.get(&[("host", "localhost")]).unwrap_err(), Denied::NoKey);
        assert_eq!(&*door.get(&[("x-api-key", &key)]).unwrap().name, "ci");
        assert_eq!(&*door.get(&[("authorization", &format!("bearer {key}"))]).unwrap().name, "ci");
        let wrong = format!("{}{}", &key[..key.len() - 1], if key.ends_with('0') { '1' } else { '0' });
        for bad in [wrong.as_str(), "hale_x", ""] {
            assert_eq!(door.get(&[("x-api-key", bad)]).unwrap_err(), Denied::BadKey, "{bad}");
        }
        assert_eq!(door.get(&[("authorization", &format!("Basic {key}"))]).unwrap_err(), Denied::BadKey);
        assert_eq!(door.get(&[("x-api-key", &key), ("x-api-key", "hale_x")]).unwrap_err(), Denied::BadKey);

        door.row.expires_at = Some(NOW);
        assert_eq!(door.get(&[("x-api-key", &key)]).unwrap_err(), Denied::Expired { at: NOW });
        assert_eq!(door.get(&[("x-api-key", &wrong)]).unwrap_err(), Denied::BadKey, "nothing is told");
        door.row.revoked_at = Some(NOW);
        assert_eq!(door.get(&[("x-api-key", &key)]).unwrap_err(), Denied::Revoked { at: NOW });
    }

    #[test]
    fn a_bad_key_does_not_pass_as_keyless() {
        let door = door("127.0.0.1:8080", Policy::default());
        assert_eq!(door.get(&[("host", "localhost"), ("x-api-key", "hale_x")]).unwrap_err(), Denied::BadKey);
    }

    #[test]
    fn loopback_can_be_told_to_require_keys() {
        let door = door("127.0.0.1:8080", Policy { require_key: RequireKey::Always, ..Policy::default() });
        assert_eq!(door.get(&[("host", "localhost")]).unwrap_err(), Denied::NoKey);
    }

    #[test]
    fn a_network_listener_without_a_key_is_refused_with_the_command_that_makes_one() {
        let folder = tempfile::tempdir().unwrap();
        for address in ["0.0.0.0:80", "[::]:80", "192.168.1.5:80"] {
            let server = ServerKey::load(folder.path()).unwrap();
            let failure =
                Access::new(address.parse().unwrap(), Policy::default(), server, folder.path(), &[])
                    .unwrap_err();
            assert_eq!(failure.code, Code::E005);
            let command = format!("hale keys create NAME --data {}", folder.path().display());
            assert!(failure.message.contains(&command), "{failure}");
        }
    }
}
