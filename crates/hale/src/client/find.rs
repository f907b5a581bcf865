//! Where the server is.
//!
//! Looked at in this order: `--url`, `--context`, `HALE_URL`, the `address` file in the folder of `--data`,
//! `HALE_CONTEXT`, the folder of `HALE_DATA`, then `./.hale`, the context in use, the user's state folder. An address
//! that was named is the only one; of the last three, the first whose server takes the connection wins, since a file
//! may be left over from a server that was killed.
//! Guarantees: who finds none learns what was tried.
//! Read next: [`super`].

use super::contexts::{Context, Contexts};
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
    /// A server by its name.
    pub context: Option<String>,
    pub data: Option<PathBuf>,
}

impl Place {
    /// Whether the caller named a server by its address: then no folder may answer in its place.
    pub fn names_a_server(&self, env: &Environment) -> bool {
        let by_flag = self.url.is_some() || self.context.is_some();
        by_flag || env.get("HALE_URL").is_some() || (self.data.is_none() && env.get("HALE_CONTEXT").is_some())
    }
}

/// A server's base address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    pub url: Url,
    /// Where it was found.
    pub how: String,
    /// The context that names it.
    pub context: Option<Context>,
}

/// The candidates in order.
///
/// # Errors
/// When an address is not one, or nothing names a server.
fn candidates(place: &Place, env: &Environment, cwd: &Path) -> Result<Vec<Base>, Error> {
    if let Some(url) = place.url.as_deref() {
        return Ok(vec![parse(url, "--url".to_owned())?]);
    }
    if let Some(name) = place.context.as_deref() {
        return Ok(vec![of_context(&Contexts::load(env)?, (name, "--context"))?]);
    }
    if let Some(url) = env.get("HALE_URL") {
        return Ok(vec![parse(url, "HALE_URL".to_owned())?]);
    }
    if let (None, Some(name)) = (&place.data, env.get("HALE_CONTEXT")) {
        return Ok(vec![of_context(&Contexts::load(env)?, (name, "HALE_CONTEXT"))?]);
    }
    let data = place.data.clone().or_else(|| env.get("HALE_DATA").map(PathBuf::from));
    if let Some(data) = data {
        return in_folders(vec![Some(cwd.join(data))], None);
    }
    let contexts = Contexts::load(env)?;
    let current = contexts.current.as_deref().map(|name| of_context(&contexts, (name, "the context in use")));
    in_folders(vec![Some(cwd.join(".hale")), env.state_dir()], current.transpose()?)
}

fn of_context(contexts: &Contexts, (name, how): (&str, &str)) -> Result<Base, Error> {
    let context = contexts.named(name)?;
    let base = parse(&context.url, format!("{how} {name}"))?;
    Ok(Base { context: Some(context.clone()), ..base })
}

/// The servers of these folders, with the context in use behind the first of them.
fn in_folders(folders: Vec<Option<PathBuf>>, current: Option<Base>) -> Result<Vec<Base>, Error> {
    let mut found = Vec::new();
    let mut absent = Vec::new();
    let mut current = current;
    for file in folders.into_iter().flatten().map(|folder| folder.join(ADDRESS)) {
        match std::fs::read_to_string(&file) {
            Ok(text) => found.push(parse(text.trim(), file.display().to_string())?),
            Err(error) => absent.push(format!("{}: {}", file.display(), reason(&error))),
        }
        found.extend(current.take());
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

/// An address from a text; `how` says where the text was found.
///
/// # Errors
/// When it is none.
pub fn parse(text: &str, how: String) -> Result<Base, Error> {
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
    Ok(Base { url, how, context: None })
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
