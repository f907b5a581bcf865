//! Reading requests: bodies, queries and ids, each with an error that says what, where and how to mend it.
//!
//! Guarantees: no body beyond its shape's bound is held; compressed bodies are refused unread; a JSON error names
//! line, column and field.
//! Read next: [`super::routes`].

use super::body::Stalled;
use super::limits::{BODY_BYTES, PACK_BODY_BYTES, WAIT_MAX};
use super::problem::Refusal;
use crate::wire;
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use bytes::{Bytes, BytesMut};
use hale_core::code::Code;
use hale_core::time::Millis;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use std::str::FromStr;
use std::time::Duration;

/// Bytes of an oversized body that are read and dropped, so that its sender lives to see the 413.
const DISCARD_BYTES: usize = 16 << 20;
/// How long such a sender is listened to.
const DISCARD_TIME: Duration = Duration::from_secs(2);

/// What a request's body may be.
pub trait Shape: DeserializeOwned {
    /// The largest body.
    const BYTES: usize = BODY_BYTES;

    /// What an empty body means; none means that a body is required.
    fn absent() -> Option<Self> {
        None
    }
}

impl Shape for wire::StartRun {}
impl Shape for wire::bulk::BulkRequest {}
impl Shape for wire::ResolveRun {}
impl Shape for wire::FixRequest {}
impl Shape for wire::UndoRequest {}
impl Shape for wire::InjectFault {}
impl Shape for wire::CreateKey {}

impl Shape for wire::packs::DeployPack {
    const BYTES: usize = PACK_BODY_BYTES;
}

macro_rules! may_be_absent {
    ($($shape:ty),*) => {
        $(impl Shape for $shape {
            fn absent() -> Option<Self> {
                Some(Self::default())
            }
        })*
    };
}
may_be_absent!(
    wire::CancelRun,
    wire::RetryRun,
    wire::packs::RollbackPack,
    wire::waits::Decide,
    wire::dlq::ReplayRun
);

/// A JSON body of a known shape.
#[derive(Clone, Debug)]
pub struct Input<T>(pub T);

impl<T: Shape, S: Send + Sync> FromRequest<S> for Input<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Refusal> {
        let (parts, body) = request.into_parts();
        let bytes = read(&parts.headers, body, T::BYTES).await?;
        if bytes.is_empty()
            && let Some(absent) = T::absent()
        {
            return Ok(Self(absent));
        }
        parse(&bytes).map(Self)
    }
}

/// A body of bytes, at most so many.
#[derive(Clone, Debug)]
pub struct Raw<const MOST: usize>(pub Bytes);

impl<const MOST: usize, S: Send + Sync> FromRequest<S> for Raw<MOST> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Refusal> {
        let (parts, body) = request.into_parts();
        read(&parts.headers, body, MOST).await.map(Self)
    }
}

async fn read(headers: &HeaderMap, mut body: Body, most: usize) -> Result<Bytes, Refusal> {
    if let Some(encoding) = headers.get(CONTENT_ENCODING)
        && encoding != "identity"
    {
        let message = "read a compressed body: send it as it is, without Content-Encoding";
        let refusal = Refusal::new(Code::E002, "http.compressed_body", message);
        return Err(refusal.status(StatusCode::UNSUPPORTED_MEDIA_TYPE).field("Content-Encoding").closing());
    }
    let declared = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > most as u64) {
        return Err(too_large(body, most).await);
    }
    let mut bytes = BytesMut::with_capacity(declared.unwrap_or(0) as usize);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(cut)?;
        if let Some(data) = frame.data_ref() {
            if bytes.len() + data.len() > most {
                return Err(too_large(body, most).await);
            }
            bytes.extend_from_slice(data);
        }
    }
    Ok(bytes.freeze())
}

async fn too_large(mut body: Body, most: usize) -> Refusal {
    let discard = async {
        let mut seen = 0;
        while let Some(Ok(frame)) = body.frame().await {
            seen += frame.data_ref().map_or(0, Bytes::len);
            if seen > DISCARD_BYTES {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(DISCARD_TIME, discard).await;
    let message =
        format!("read a body of more than {most} bytes: larger input belongs into a file or an artifact");
    Refusal::new(Code::E004, "http.body_too_large", message).status(StatusCode::PAYLOAD_TOO_LARGE).closing()
}

fn cut(error: axum::Error) -> Refusal {
    let error = error.into_inner();
    if let Some(stalled) = error.downcast_ref::<Stalled>() {
        let refusal = Refusal::new(Code::E003, "http.slow_body", stalled.to_string());
        return refusal.status(StatusCode::REQUEST_TIMEOUT).closing();
    }
    let message = format!("read the request body: {error}");
    Refusal::new(Code::E002, "http.broken_body", message).status(StatusCode::BAD_REQUEST).closing()
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    if bytes.is_empty() {
        return Err(Refusal::invalid(
            "body",
            "read the request body: it is empty, a JSON object is required",
        ));
    }
    let mut input = serde_json::Deserializer::from_slice(bytes);
    let (path, error) = match serde_path_to_error::deserialize(&mut input) {
        Ok(value) => match input.end() {
            Ok(()) => return Ok(value),
            Err(error) => (".".to_owned(), error),
        },
        Err(error) => (error.path().to_string(), error.into_inner()),
    };
    let status = if error.is_data() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::BAD_REQUEST };
    let text = error.to_string();
    // serde names a missing or unknown field in its text only.
    let named = text.contains(" field `").then(|| text.split('`').nth(1)).flatten();
    let field = match (path.as_str(), named) {
        ("." | "?", None) => "body".to_owned(),
        ("." | "?", Some(named)) => named.to_owned(),
        (path, Some(named)) if !path.ends_with(named) => format!("{path}.{named}"),
        (path, _) => path.to_owned(),
    };
    Err(Refusal::invalid(&field, format!("read the request body: {text}")).status(status))
}

/// The query string of a known shape; a name that is not known is refused, since it would be ignored silently.
#[derive(Clone, Debug)]
pub struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(rejection) => {
                let text = rejection.body_text();
                let text = text.trim_start_matches("Failed to deserialize query string: ");
                let named = text.split('`').nth(1).or_else(|| text.split(':').next());
                let field = named.unwrap_or("query").to_owned();
                Err(Refusal::invalid(&field, format!("read the query: {text}"))
                    .status(StatusCode::BAD_REQUEST))
            }
        }
    }
}

/// One segment of the path, decoded.
#[derive(Clone, Debug)]
pub struct Segment(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let segment = Path::<String>::from_request_parts(parts, state).await;
        segment.map(|Path(text)| Self(text)).map_err(|rejection| bad_path(&rejection.body_text()))
    }
}

/// Two segments of the path.
#[derive(Clone, Debug)]
pub struct Segments(pub String, pub String);

impl<S: Send + Sync> FromRequestParts<S> for Segments {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let segments = Path::<(String, String)>::from_request_parts(parts, state).await;
        segments.map(|Path((a, b))| Self(a, b)).map_err(|rejection| bad_path(&rejection.body_text()))
    }
}

fn bad_path(text: &str) -> Refusal {
    Refusal::invalid("path", format!("read the path: {text}")).status(StatusCode::BAD_REQUEST)
}

/// An id out of the path. One of the wrong form names nothing, so it is not found.
pub fn id<T>(text: &str) -> Result<T, Refusal>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| {
        Refusal::new(Code::E010, "request.no_such_id", error.to_string()).field("id")
    })
}

/// A span of time under the name `field`.
pub fn span(field: &str, text: &str) -> Result<Millis, Refusal> {
    text.parse().map_err(|error: hale_core::time::Error| Refusal::invalid(field, error.to_string()))
}

/// How long to wait: `?wait=30s`, bounded.
pub fn wait(text: Option<&str>) -> Result<Duration, Refusal> {
    let asked = text.map(|text| span("wait", text)).transpose()?;
    Ok(asked.map_or(Duration::ZERO, Millis::duration).min(WAIT_MAX))
}

/// How long to wait: `Prefer: wait=30` (RFC 7240, seconds), bounded. What is not understood is ignored, as it asks.
pub fn preferred_wait(headers: &HeaderMap) -> Duration {
    let preferences = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let waits = preferences.flat_map(|value| value.split([',', ';'])).filter_map(|preference| {
        let (name, value) = preference.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("wait")
            .then(|| value.trim().trim_matches('"').parse().ok())
            .flatten()
    });
    waits.map(Duration::from_secs).next().unwrap_or_default().min(WAIT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused<T: DeserializeOwned + std::fmt::Debug>(body: &str) -> wire::Problem {
        parse::<T>(body.as_bytes()).map(|_| ()).expect_err("it does not fit").problem("cor")
    }

    #[test]
    fn a_json_error_names_line_column_and_field() {
        let problem = refused::<wire::StartRun>("{\n  \"pack\": 7}");
        assert_eq!((problem.status, problem.code.as_str()), (422, "E002"));
        assert_eq!(problem.field.as_deref(), Some("pack"));
        assert!(problem.detail.contains("line 2 column 11"), "{}", problem.detail);

        let problem = refused::<wire::StartRun>("{}");
        assert_eq!(problem.field.as_deref(), Some("pack"));
        let problem = refused::<wire::StartRun>(r#"{"pack":"a","prioritee":"high"}"#);
        assert_eq!(problem.field.as_deref(), Some("prioritee"));
        assert!(problem.detail.contains("expected one of"), "{}", problem.detail);
    }

    #[test]
    fn broken_json_is_a_bad_request() {
        for body in ["", "{", "{\"pack\":\"a\"} x", "[1,", "nope"] {
            let problem = refused::<wire::StartRun>(body);
            assert!(matches!(problem.status, 400 | 422), "{body}: {}", problem.detail);
            assert_eq!(problem.code, "E002");
        }
        let deep = format!("{{\"pack\":\"a\",\"input\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(refused::<wire::StartRun>(&deep).detail.contains("recursion limit"));
    }

    #[test]
    fn waits_are_bounded() {
        let with = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("prefer", http::HeaderValue::from_static(value));
            preferred_wait(&headers)
        };
        assert_eq!(with("respond-async, wait=5"), Duration::from_secs(5));
        assert_eq!(with("WAIT=\"7\""), Duration::from_secs(7));
        assert_eq!(with("wait=100000"), WAIT_MAX);
        assert_eq!(with("wait=soon"), Duration::ZERO);
        assert_eq!(wait(Some("2h")).unwrap(), WAIT_MAX);
        assert_eq!(wait(Some("30")).unwrap_err().problem("c").field.as_deref(), Some("wait"));
    }
}
