//! What a status other than 200 means, and what of its text may be shown.
//!
//! Guarantees: `Retry-After` is read as seconds, with a fraction too, or as an HTTP date, and anything else is as if
//! it were not there; text of the provider is shortened, and words that hold a part of the key are masked.
//! Leaves to others: reading the body ([`super`]).
//! Read next: [`crate::error`].

use crate::error::{Error, Said};
use crate::secret::Secret;
use hale_core::time::Millis;
use reqwest::header::HeaderMap;
use serde_json::Value;
use std::time::SystemTime;

/// Enough for the sentence that says why; the rest is markup.
const EXCERPT_CHARS_MAX: usize = 300;
/// A provider that asks for more than a day is down for our purposes; the bound keeps sums from overflowing.
const RETRY_AFTER_MAX: Millis = Millis::seconds(24 * 60 * 60);

/// An answer that is none.
#[derive(Debug)]
pub(crate) struct Refusal<'a> {
    pub provider: &'a str,
    pub model: &'a str,
    pub status: u16,
    pub retry_after: Option<Millis>,
    pub body: &'a [u8],
    pub key: Option<&'a Secret>,
}

impl Refusal<'_> {
    pub(crate) fn error(&self) -> Error {
        let parsed: Value = serde_json::from_slice(self.body).unwrap_or_default();
        let source = Said(mask(&said(&parsed, self.body), self.key));
        let (provider, model) = (self.provider.to_owned(), self.model.to_owned());
        let (status, retry_after) = (self.status, self.retry_after);
        match status {
            401 | 403 => Error::KeyRefused { provider, status, source },
            429 => Error::RateLimited { provider, model, retry_after, source },
            // 408, 409 and 425 are refusals of the moment, which the dialect's own clients try again as well.
            408 | 409 | 425 | 500.. => Error::ServerError { provider, model, status, retry_after, source },
            _ if no_such_model(status, &parsed) => Error::ModelNotFound { provider, model, status, source },
            300..=399 => {
                let source =
                    Said("it redirects, which is not followed: set base_url to where it points".into());
                Error::BadRequest { provider, model, status, source }
            }
            _ => Error::BadRequest { provider, model, status, source },
        }
    }
}

/// A 404 of a wrong base URL does not speak of the model.
fn no_such_model(status: u16, body: &Value) -> bool {
    let error = body.get("error").unwrap_or(body);
    let field = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default();
    let by_code = field("code") == "model_not_found" || field("param") == "model" && status == 404;
    by_code || status == 404 && (said(body, b"").to_ascii_lowercase().contains("model"))
}

/// The sentence of an error body: `error.message`, `error`, `message` or `detail`, else the text as it is.
fn said(parsed: &Value, body: &[u8]) -> String {
    let places = ["/error/message", "/error", "/message", "/detail"];
    let sentence = places.iter().find_map(|place| parsed.pointer(place)?.as_str());
    excerpt(sentence.map_or(body, str::as_bytes))
}

/// The beginning of a text on one line.
pub(crate) fn excerpt(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(&text[..text.len().min(4 * EXCERPT_CHARS_MAX)]);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let clean = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut short: String = line.chars().map(clean).take(EXCERPT_CHARS_MAX).collect();
    if line.chars().nth(EXCERPT_CHARS_MAX).is_some() {
        short.push('…');
    }
    if short.is_empty() { "it gave no reason".to_owned() } else { short }
}

/// Providers like to quote the key that they refuse, whole or in part.
pub(crate) fn mask(text: &str, key: Option<&Secret>) -> String {
    let key = key.map(Secret::reveal).unwrap_or_default();
    let head = key.get(..4).unwrap_or_default();
    let tail = key.get(key.len().saturating_sub(4)..).unwrap_or_default();
    let telling = |word: &str| {
        let of_key = head.len() == 4 && key.len() > 8 && (word.contains(head) || word.contains(tail));
        of_key || !key.is_empty() && word.contains(key) || word.contains("sk-")
    };
    let masked = text.split(' ').map(|word| if telling(word) { "[key]" } else { word });
    masked.collect::<Vec<_>>().join(" ")
}

/// How long the provider asks us to wait: `retry-after-ms` where a server sends it, else `Retry-After`.
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Millis> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let span = |text: &str, unit: f64| {
        let number: f64 = text.parse().ok()?;
        // Negative, infinite and not-a-number are garbage.
        (number.is_finite() && number >= 0.0).then(|| Millis((number * unit).ceil() as u64))
    };
    let by_date = |text: &str| {
        let at = httpdate::parse_http_date(text).ok()?;
        Some(Millis::from(at.duration_since(now).unwrap_or_default()))
    };
    let in_ms = text("retry-after-ms").and_then(|text| span(text, 1.0));
    let wait = in_ms.or_else(|| {
        let text = text("retry-after")?;
        span(text, 1000.0).or_else(|| by_date(text))
    })?;
    Some(wait.min(RETRY_AFTER_MAX))
}
