//! The arguments of `web.fetch`: what a model is told of them, and how they are read.
//!
//! Guarantees: what is not known, or not of its kind, is refused by name; there are no headers and no body to give.

use crate::provider::ToolSpec;
use hale_core::limits;
use hale_core::pack::WEB_FETCH;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

/// What a call asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    pub url: String,
    pub method: Method,
    pub bytes_max: usize,
}

/// The arguments as they come.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    url: String,
    #[serde(default)]
    method: Verb,
    max_bytes: Option<u64>,
}

#[derive(Clone, Copy, Default, Deserialize)]
enum Verb {
    #[default]
    #[serde(rename = "GET", alias = "get")]
    Get,
    #[serde(rename = "HEAD", alias = "head")]
    Head,
}

#[derive(Debug, thiserror::Error)]
#[error("read the arguments of {WEB_FETCH}")]
pub struct Error(#[source] serde_json::Error);

impl Ask {
    /// Reads what a model gave.
    ///
    /// # Errors
    /// What does not fit.
    pub fn read(arguments: &Value) -> Result<Self, Error> {
        let Arguments { url, method, max_bytes } = Arguments::deserialize(arguments).map_err(Error)?;
        let method = match method {
            Verb::Get => Method::GET,
            Verb::Head => Method::HEAD,
        };
        let asked = max_bytes.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        let bytes_max = asked.unwrap_or(limits::WEB_BYTES).clamp(1, limits::WEB_BYTES_MAX);
        Ok(Self { url, method, bytes_max })
    }
}

/// What a model is told of the tool; its name on the wire is for the caller to put.
pub fn spec() -> ToolSpec {
    ToolSpec {
        name: WEB_FETCH.to_owned(),
        description:
            "Fetch what stands at an http or https address: status, type and text. Redirects are followed. \
                      Only hosts that were granted are called."
                .to_owned(),
        parameters: json!({
            "type": "object",
            "properties": {
                "url": {"type": "string", "maxLength": limits::WEB_URL_BYTES,
                        "description": "The whole address, with its scheme."},
                "method": {"type": "string", "enum": ["GET", "HEAD"], "default": "GET"},
                "max_bytes": {"type": "integer", "minimum": 1, "maximum": limits::WEB_BYTES_MAX,
                              "default": limits::WEB_BYTES, "description": "Bytes of the text to read."},
            },
            "required": ["url"],
            "additionalProperties": false,
        }),
    }
}
