//! Errors as the clients of each dialect know them.
//!
//! Guarantees: a client library finds the type, the code and the sentence where its own provider puts them, so that
//! it raises its usual exception; our code and the correlation id stand beside them.
//! Leaves to others: which status an error has, and the headers of an answer.
//! Read next: [`super::writer`].

use super::Dialect;
use super::event::Event;
use super::frame;
use serde_json::{Map, Value, json};

/// An error on its way to a client.
#[derive(Clone, Copy, Debug)]
pub struct Trouble<'a> {
    pub status: u16,
    /// `E006`; may be empty.
    pub code: &'a str,
    /// `llm.rate_limited`.
    pub cause: &'a str,
    pub message: &'a str,
    /// May be empty.
    pub correlation_id: &'a str,
    pub field: Option<&'a str>,
}

impl<'a> Trouble<'a> {
    /// What an [`Event::Error`] says; None for any other event.
    pub fn of(event: &'a Event) -> Option<Self> {
        let Event::Error { status, kind, message } = event else { return None };
        let status = status.unwrap_or(502);
        Some(Self { status, code: "", cause: kind, message, correlation_id: "", field: None })
    }
}

impl Dialect {
    /// The body of an answer with that status.
    pub fn error_body(self, trouble: &Trouble<'_>) -> Vec<u8> {
        body(self, trouble).to_string().into_bytes()
    }

    /// The error in the middle of a stream, framed as the stream is.
    pub fn error_event(self, trouble: &Trouble<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::OpenAiChat => frame::data(&body(self, trouble), &mut out),
            Self::OpenAiResponses => frame::named("error", &responses_event(trouble, 0), &mut out),
            Self::Anthropic => frame::named("error", &body(self, trouble), &mut out),
            Self::OllamaChat | Self::OllamaGenerate => frame::line(&body(self, trouble), &mut out),
        }
        out
    }
}

fn body(dialect: Dialect, trouble: &Trouble<'_>) -> Value {
    let Trouble { status, cause, message, correlation_id, field, .. } = *trouble;
    match dialect {
        Dialect::OpenAiChat | Dialect::OpenAiResponses => {
            let mut error =
                json!({"message": message, "type": openai_type(status), "param": field, "code": cause});
            add_ours(&mut error, trouble);
            json!({"error": error})
        }
        Dialect::Anthropic => {
            let mut error = json!({"type": anthropic_type(status), "message": message, "code": cause});
            add_ours(&mut error, trouble);
            let request_id = (!correlation_id.is_empty()).then_some(correlation_id);
            json!({"type": "error", "error": error, "request_id": request_id})
        }
        Dialect::OllamaChat | Dialect::OllamaGenerate => {
            let mut error = json!({"error": message, "code": cause});
            add_ours(&mut error, trouble);
            error
        }
    }
}

/// The error event of the responses dialect, whose events are numbered.
pub(super) fn responses_event(trouble: &Trouble<'_>, sequence_number: u64) -> Value {
    let Trouble { cause, message, field, .. } = *trouble;
    let mut event = json!({
        "type": "error", "code": cause, "message": message, "param": field, "sequence_number": sequence_number,
    });
    add_ours(&mut event, trouble);
    event
}

/// The error inside a failed response, whose codes are a closed list.
pub(super) fn responses_error(trouble: &Trouble<'_>) -> Value {
    let code = match trouble.status {
        429 => "rate_limit_exceeded",
        400..=499 => "invalid_prompt",
        _ => "server_error",
    };
    json!({"code": code, "message": trouble.message})
}

fn add_ours(error: &mut Value, trouble: &Trouble<'_>) {
    let Some(error) = error.as_object_mut() else { return };
    insert_text(error, "hale_code", trouble.code);
    insert_text(error, "correlation_id", trouble.correlation_id);
}

fn insert_text(map: &mut Map<String, Value>, key: &str, text: &str) {
    if !text.is_empty() {
        map.insert(key.to_owned(), Value::from(text));
    }
}

fn openai_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        408 | 504 => "timeout_error",
        409 => "conflict_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    }
}

fn anthropic_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        408 | 504 => "timeout_error",
        409 => "conflict_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}

/// The status that the type or code of a provider's error stands for.
pub(super) fn status_of(kind: &str) -> Option<u16> {
    Some(match kind {
        "invalid_request_error" | "invalid_prompt" | "context_length_exceeded" => 400,
        "authentication_error" | "invalid_api_key" => 401,
        "billing_error" => 402,
        "permission_error" => 403,
        "not_found_error" | "model_not_found" => 404,
        "timeout_error" => 504,
        "conflict_error" => 409,
        "request_too_large" => 413,
        "rate_limit_error" | "rate_limit_exceeded" | "insufficient_quota" => 429,
        "overloaded_error" => 529,
        "api_error" | "server_error" => 500,
        _ => return None,
    })
}
