//! Where the server is.
//!
//! Looked at in this order: `--url`, `HALE_URL`, the `address` file in the folder of `--data` (or `HALE_DATA`), in
//! `./.hale`, in the user's state folder. An address that was named is the only one; of the files, the first whose
//! server takes the connection wins, since a file may be left over from a server that was killed.
//! Guarantees: who finds none learns what was tried.
//! Read next: [`super`].

use crate::config::env::Environment;
use crate::exit::{Error, Exit};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::TcpStream;
use url::Url;

/// Name of the file in the data folder that holds the server's address.
pub const ADDRESS: &str = "address";
/// On one machine a connection takes microseconds; over the world, less than this.
const CONNECT: Duration = Duration::from_secs(5);

/// What the caller said about the server.
#[derive(Clone, Debug, Default)]
pub struct Place {
    pub url: Option<String>,
    pub data: Option<PathBuf>,
}

/// A server's base address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    pub url: Url,
    /// Where it was found.
    pub how: String,
}

/// The candidates in order.
///
/// # Errors
/// When an address is not one, or nothing names a server.
fn candidates(place: &Place, env: &Environment, cwd: &Path) -> Result<Vec<Base>, Error> {
    let named = place.url.as_deref().map(|url| (url, "--url"));
    if let Some((url, how)) = named.or_else(|| env.get("HALE_URL").map(|url| (url, "HALE_URL"))) {
        return Ok(vec![parse(url, how.to_owned())?]);
    }
    let data = place.data.clone().or_else(|| env.get("HALE_DATA").map(PathBuf::from));
    let folders = match data {
        Some(data) => vec![cwd.join(data)],
        None => [Some(cwd.join(".hale")), env.state_dir()].into_iter().flatten().collect(),
    };
    let mut found = Vec::new();
    let mut absent = Vec::new();
    for file in folders.into_iter().map(|folder| folder.join(ADDRESS)) {
        match std::fs::read_to_string(&file) {
            Ok(text) => found.push(parse(text.trim(), file.display().to_string())?),
            Err(error) => absent.push(format!("{}: {}", file.display(), reason(&error))),
        }
    }
    if found.is_empty() {
        let mut error = Error::new(Exit::Unreachable, "find a server: nothing says where one is");
        error.chain = absent;
        return Err(error.hint("start one with: hale up --detach, or name one with --url"));
    }
    Ok(found)
}

fn reason(error: &std::io::Error) -> &'static str {
    if error.kind() == std::io::ErrorKind::NotFound { "no such file" } else { "cannot be read" }
}

fn parse(text: &str, how: String) -> Result<Base, Error> {
    let full = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let refuse = || {
        Error::new(Exit::Usage, format!("read {text:?} from {how} as an address"))
            .hint("write for example http://127.0.0.1:8080")
    };
    let mut url = Url::parse(&full).map_err(|_| refuse())?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(refuse());
    }
    url.set_query(None);
    url.set_fragment(None);
    Ok(Base { url, how })
}

/// The server's address.
///
/// # Errors
/// When nothing names a server, or none of the named ones takes a connection.
pub async fn find(place: &Place, env: &Environment, cwd: &Path) -> Result<Base, Error> {
    let all = candidates(place, env, cwd)?;
    // One candidate is connected to by the request itself: a probe would only cost a round trip.
    if let [only] = all.as_slice() {
        return Ok(only.clone());
    }
    let mut tried = Vec::new();
    for base in all {
        match connect(&base.url).await {
            Ok(_) => return Ok(base),
            Err(error) => tried.push(format!("{} from {}: {error}", bare(&base.url), base.how)),
        }
    }
    let mut error = Error::new(Exit::Unreachable, "reach a server: none of the known ones answers");
    error.chain = tried;
    Err(error.hint("start one with: hale up --detach"))
}

/// The address without the slash that parsing adds.
pub fn bare(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}

/// A TCP connection to the server.
///
/// # Errors
/// What the network says, or that it says nothing.
pub async fn connect(url: &Url) -> std::io::Result<TcpStream> {
    let host = url.host_str().unwrap_or("localhost").trim_matches(['[', ']']);
    let port = url.port_or_known_default().unwrap_or(80);
    let connected = tokio::time::timeout(CONNECT, TcpStream::connect((host, port))).await;
    let silent = || std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer within 5s");
    let stream = connected.map_err(|_| silent())??;
    stream.set_nodelay(true)?;
    Ok(stream)
}
