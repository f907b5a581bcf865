//! What was fetched: status, type and text, bounded.
//!
//! Guarantees: no more than the bound is read, whatever the other side claims or goes on to send; what is no text is told
//! by its type and size and not given; text is cut between letters, and `truncated` says so.

use super::error::Error;
use reqwest::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Method, Response};
use serde::Serialize;
use url::Url;

/// What stands at an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Page {
    /// Where it was found in the end.
    pub url: String,
    pub status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Empty for what is no text.
    pub text: String,
    /// Bytes of the text; of what is not given, its size as far as it is known.
    pub bytes: u64,
    pub truncated: bool,
    /// Why there is no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The addresses that it was sent on to, in order.
    pub redirects: Vec<String>,
}

pub(super) async fn read(
    response: Response,
    (method, most): (&Method, usize),
    (url, redirects): (Url, Vec<String>),
) -> Result<Page, Error> {
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (content_type, encoding) = (header(CONTENT_TYPE), header(CONTENT_ENCODING));
    let length = header(CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    let mut page = Page {
        url: url.to_string(),
        status: response.status().as_u16(),
        text: String::new(),
        bytes: length.unwrap_or_default(),
        truncated: false,
        note: None,
        redirects,
        content_type,
    };
    if method == Method::HEAD {
        return Ok(page);
    }
    // Nothing asks for a compressed answer; one that comes all the same is not blown up here.
    let packed = encoding.filter(|encoding| !encoding.eq_ignore_ascii_case("identity"));
    if packed.is_some() || page.content_type.as_deref().is_some_and(|kind| !is_text(kind)) {
        page.note = Some(note(&page, packed.as_deref(), length));
        return Ok(page);
    }
    let host = url.host_str().unwrap_or_default();
    let (bytes, truncated) = body(response, most, host).await?;
    page.bytes = bytes.len() as u64;
    page.truncated = truncated;
    match text(bytes, (&page, truncated)) {
        Some(text) => page.text = text,
        None => page.note = Some(note(&page, None, length)),
    }
    Ok(page)
}

/// The first bytes, and whether there were more.
async fn body(mut response: Response, most: usize, host: &str) -> Result<(Vec<u8>, bool), Error> {
    let mut bytes = Vec::new();
    let cut =
        |error: reqwest::Error| Error::Cut { host: host.to_owned(), source: Box::new(error.without_url()) };
    while let Some(chunk) = response.chunk().await.map_err(cut)? {
        let room = most - bytes.len();
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            return Ok((bytes, true));
        }
    }
    Ok((bytes, false))
}

/// The bytes as text; none for what only claims to be some, or says nothing of itself and is none.
fn text(mut bytes: Vec<u8>, (page, truncated): (&Page, bool)) -> Option<String> {
    if truncated {
        // A letter that the bound cut in two.
        let end = match std::str::from_utf8(&bytes) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => bytes.len(),
        };
        bytes.truncate(end);
    }
    let odd = page.content_type.is_none() && (bytes.contains(&0) || std::str::from_utf8(&bytes).is_err());
    (!odd).then(|| String::from_utf8_lossy(&bytes).into_owned())
}

fn note(page: &Page, packed: Option<&str>, length: Option<u64>) -> String {
    let kind = page.content_type.as_deref().unwrap_or("content of no stated type");
    let packed = packed.map(|packed| format!(", packed as {packed}")).unwrap_or_default();
    let size = length.map_or("of unknown size".to_owned(), |bytes| format!("of {bytes} bytes"));
    format!("{kind}{packed}, {size}: not text, so it is not given")
}

/// Whether this media type is read as text.
fn is_text(kind: &str) -> bool {
    const KINDS: [&str; 9] = [
        "application/json",
        "application/ld+json",
        "application/xml",
        "application/javascript",
        "application/ecmascript",
        "application/x-ndjson",
        "application/yaml",
        "application/x-yaml",
        "application/toml",
    ];
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.starts_with("text/")
        || kind.ends_with("+json")
        || kind.ends_with("+xml")
        || KINDS.contains(&kind.as_str())
}
