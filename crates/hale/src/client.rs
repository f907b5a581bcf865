//! The public API as the commands call it.
//!
//! Guarantees: every request carries a correlation id and has a limit; every refusal becomes an [`Error`] with the
//! server's code, its fix and the right exit code; what answers and is not hale is noticed.
//! Leaves to others: rendering; nothing here prints.
//! Read next: [`find`], then [`connection`], then [`events`].

pub mod connection;
pub mod contexts;
pub mod events;
pub mod find;

use crate::config::env::Environment;
use crate::exit::{Error, Exit};
use crate::wire::Problem;
use bytes::Bytes;
use connection::Answer;
use find::{Base, Place};
use hale_gateway::secret::Secret;
use http::{Method, Request};
use http_body_util::Full;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a plain request may take; those that wait on purpose say so.
const PATIENCE: Duration = Duration::from_secs(30);

/// One request.
#[derive(Clone, Debug)]
pub struct Ask {
    method: Method,
    path: String,
    body: Option<Vec<u8>>,
    kind: &'static str,
    headers: Vec<(&'static str, String)>,
    patience: Duration,
}

impl Ask {
    fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            body: None,
            kind: "application/json",
            headers: Vec::new(),
            patience: PATIENCE,
        }
    }

    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    pub fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// A POST of a document.
    pub fn post(path: impl Into<String>, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("the wire types have text keys and finite numbers");
        Self { body: Some(body), ..Self::new(Method::POST, path) }
    }

    /// A PUT of bytes.
    pub fn put(path: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self { body: Some(bytes), kind: "application/octet-stream", ..Self::new(Method::PUT, path) }
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// For a request that the server answers only after `longer` at most.
    pub fn patient(mut self, longer: Duration) -> Self {
        self.patience = PATIENCE + longer;
        self
    }
}

/// A server and how to speak with it.
#[derive(Debug)]
pub struct Client {
    base: Base,
    key: Option<Secret>,
    correlation: String,
}

/// What the caller said about the server and the key.
#[derive(Clone, Debug, Default)]
pub struct Target {
    pub place: Place,
    pub key_file: Option<PathBuf>,
}

impl Client {
    /// Finds the server and the key.
    ///
    /// # Errors
    /// When no server is known, or the key cannot be read.
    pub async fn find(target: &Target, env: &Environment, cwd: &Path) -> Result<Self, Error> {
        let base = find::find(&target.place, env, cwd).await?;
        let key = key(target, &base, env)?;
        Ok(Self { base, key, correlation: correlation() })
    }

    pub fn address(&self) -> &str {
        find::bare(&self.base.url)
    }

    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn get<T: DeserializeOwned>(&self, path: impl Into<String>) -> Result<T, Error> {
        self.ask(Ask::get(path)).await
    }

    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: impl Into<String>,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        self.ask(Ask::post(path, body)).await
    }

    /// Sends and reads a document.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses, or its answer is not the document that we expect.
    pub async fn ask<T: DeserializeOwned>(&self, ask: Ask) -> Result<T, Error> {
        let (path, patience) = (ask.path.clone(), ask.patience);
        let bytes = self.open(ask).await?.whole(patience).await.map_err(|error| self.lost(&error))?;
        // An answer without a body stands for "done".
        let text = if bytes.is_empty() { b"null".as_slice() } else { &bytes };
        serde_json::from_slice(text).map_err(|error| {
            Error::new(Exit::Failed, format!("read the answer of {}{path}", self.address()))
                .caused_by(&error)
                .hint("is the server of this version? ask it with: hale status -o json")
        })
    }

    /// The bytes of a document that is not JSON.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub async fn bytes(&self, path: impl Into<String>) -> Result<Vec<u8>, Error> {
        let answer = self.open(Ask::get(path)).await?;
        answer.whole(PATIENCE).await.map_err(|error| self.lost(&error))
    }

    /// A document with its status, good or bad: health says most when it is bad.
    ///
    /// # Errors
    /// When the server cannot be reached, or its answer is not the document that we expect.
    pub async fn whatever<T: DeserializeOwned>(&self, path: &str) -> Result<(u16, T), Error> {
        let request = self.request(Ask::get(path))?;
        let sent = connection::send(&self.base.url, request, PATIENCE).await;
        let answer = sent.map_err(|error| self.lost(&error))?;
        let status = answer.status.as_u16();
        let bytes = answer.whole(PATIENCE).await.map_err(|error| self.lost(&error))?;
        let document = serde_json::from_slice(&bytes).map_err(|_| self.stranger(status, true))?;
        Ok((status, document))
    }

    /// Sends and gives the answer with its body still coming; a refusal is an error already.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn open(&self, ask: Ask) -> Result<Answer, Error> {
        let patience = ask.patience;
        let request = self.request(ask)?;
        let sent = connection::send(&self.base.url, request, patience).await;
        let answer = sent.map_err(|error| self.lost(&error))?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        let (status, ours) = (answer.status.as_u16(), answer.headers.contains_key("x-correlation-id"));
        let body = answer.whole(PATIENCE).await.unwrap_or_default();
        Err(match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => problem.into(),
            Err(_) => self.stranger(status, ours),
        })
    }

    fn stranger(&self, status: u16, ours: bool) -> Error {
        let address = self.address();
        let error = Error::new(
            Exit::of_status(status),
            format!("ask {address}: it answered {status} without a reason"),
        );
        if ours { error } else { error.hint(format!("is it hale? the address comes from {}", self.base.how)) }
    }

    fn request(&self, ask: Ask) -> Result<Request<Full<Bytes>>, Error> {
        let bad = |error: http::Error| Error::new(Exit::Usage, "make the request").caused_by(&error);
        let url = &self.base.url;
        let host = url.host_str().unwrap_or("localhost");
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let mut request = Request::builder()
            .method(ask.method)
            .uri(format!("{}{}", self.address(), ask.path))
            .header("host", host)
            .header("accept", "application/problem+json, application/json")
            .header("user-agent", concat!("hale/", env!("CARGO_PKG_VERSION")))
            .header("x-correlation-id", &self.correlation);
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {}", key.reveal()));
        }
        if ask.body.is_some() {
            request = request.header("content-type", ask.kind);
        }
        for (name, value) in ask.headers {
            request = request.header(name, value);
        }
        request.body(Full::new(ask.body.unwrap_or_default().into())).map_err(bad)
    }

    fn lost(&self, error: &connection::Error) -> Error {
        let message = format!("reach the server at {}", self.address());
        Error::new(Exit::Unreachable, message)
            .caused_by(error)
            .during(format!("the address comes from {}", self.base.how))
            .hint("start one with: hale up --detach")
    }
}

/// The key for a server. One that a context names gets the context's key: a key of the environment is for another.
fn key(target: &Target, base: &Base, env: &Environment) -> Result<Option<Secret>, Error> {
    let own = base.context.as_ref().filter(|_| target.key_file.is_none());
    if let Some(name) = own.and_then(|context| context.key_env.as_deref()) {
        let unset = || {
            Error::new(Exit::NotAuthorised, format!("take the key from {name}: it is not set"))
                .during(format!("the address comes from {}", base.how))
        };
        return Ok(Some(Secret::new(env.get(name).ok_or_else(unset)?.trim())));
    }
    let (here, there) = match own {
        Some(_) => (None, None),
        None => (env.get("HALE_KEY"), env.get("HALE_KEY_FILE")),
    };
    let given = target.key_file.as_ref().or(own.and_then(|context| context.key_file.as_ref()));
    let file = match (given, here, there) {
        (Some(file), ..) => file.clone(),
        (None, Some(key), _) => return Ok(Some(Secret::new(key.trim()))),
        (None, None, Some(file)) => PathBuf::from(file),
        (None, None, None) => return Ok(None),
    };
    let text =
        std::fs::read_to_string(&file).map_err(|error| Error::file("read the API key in", &file, &error))?;
    Ok(Some(Secret::new(text.trim())))
}

/// An id of this command's doings, the same in all its requests.
fn correlation() -> String {
    let mut bytes = [0u8; 8];
    // Without randomness two commands would share an id; that is no reason to do nothing.
    let _ = getrandom::fill(&mut bytes);
    format!("cli-{:016x}", u64::from_be_bytes(bytes))
}

/// A text as one part of a path or query.
pub fn escape(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}
