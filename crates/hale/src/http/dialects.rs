//! Which dialect a caller speaks, and how a refusal is told in it.
//!
//! Everywhere else a refusal is a problem document; the libraries of model clients know their own forms only.
//! Read next: [`super::problem`].

use hale_core::failure::Failure;
use hale_gateway::dialect::Dialect;
use http::header::ACCEPT;
use http::{HeaderMap, StatusCode};

/// The paths of Ollama that we answer.
pub const OLLAMA: [&str; 6] =
    ["/api/chat", "/api/generate", "/api/tags", "/api/ps", "/api/version", "/api/show"];

/// The dialect of a path, if it is one of the model door.
pub fn of(path: &str, headers: &HeaderMap) -> Option<Dialect> {
    let below =
        |root: &str| path == root || path.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'));
    // Who asks for problem documents gets them: our own command line does.
    if headers.get(ACCEPT).is_some_and(|accept| accept.as_bytes().starts_with(b"application/problem+json")) {
        return None;
    }
    if below("/v1/messages") || below("/v1") && headers.contains_key("anthropic-version") {
        return Some(Dialect::Anthropic);
    }
    if below("/v1/responses") {
        return Some(Dialect::OpenAiResponses);
    }
    if OLLAMA.contains(&path) {
        return Some(Dialect::OllamaChat);
    }
    below("/v1").then_some(Dialect::OpenAiChat)
}

/// The status that tells a client's library what to do: a provider's trouble with us is never the client's key.
pub fn status(failure: &Failure) -> StatusCode {
    match failure.cause.as_str() {
        "llm.rate_limited" => StatusCode::TOO_MANY_REQUESTS,
        "llm.timeout" | "llm.stalled" => StatusCode::GATEWAY_TIMEOUT,
        "llm.bad_request" => StatusCode::BAD_REQUEST,
        "llm.model_not_found" => StatusCode::NOT_FOUND,
        _ => StatusCode::BAD_GATEWAY,
    }
}
