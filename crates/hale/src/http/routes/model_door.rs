//! The routes of the model door: what clients of other gateways call, and what we tell of it.
//!
//! Read next: `http/models.rs`.

use super::super::{models, ollama};
use super::{LIMIT, Route, Shown, Verb, on, wire};

pub(super) const TABLE: &[Route] = &[
    route!(Post "/v1/chat/completions" "models.chat" "Call a model in the OpenAI chat dialect" models::chat)
        .ends_with_caller()
        .takes(Shown::Object)
        .gives(200, Shown::Object)
        .also(&[400, 404, 429, 502, 504]),
    route!(Post "/v1/embeddings" "models.embed" "Embed texts in the OpenAI dialect" models::embeddings)
        .ends_with_caller()
        .takes(Shown::Object)
        .gives(200, Shown::Object)
        .also(&[400, 404, 429, 502, 504]),
    route!(Post "/v1/responses" "models.respond" "Call a model in the OpenAI responses dialect" models::responses)
        .ends_with_caller()
        .takes(Shown::Object)
        .gives(200, Shown::Object)
        .also(&[400, 404, 429, 502, 504]),
    route!(Post "/v1/messages" "models.message" "Call a model in the Anthropic dialect" models::messages)
        .ends_with_caller()
        .takes(Shown::Object)
        .gives(200, Shown::Object)
        .also(&[400, 404, 429, 502, 504]),
    route!(Post "/v1/messages/count_tokens" "models.count" "Count the tokens of a message, about" models::count_tokens)
        .ends_with_caller()
        .takes(Shown::Object)
        .gives(200, json!(wire::models::TokenCount))
        .also(&[400]),
    route!(Post "/api/chat" "ollama.chat" "Call a model in the Ollama dialect; streams unless told otherwise" models::ollama_chat)
        .ends_with_caller()
        .takes(Shown::Object)
        .gives(200, Shown::Object)
        .also(&[400, 404, 429, 502, 504]),
    route!(Post "/api/generate" "ollama.generate" "Call a model in the Ollama dialect, with a prompt" models::ollama_generate)
        .ends_with_caller()
        .takes(Shown::Object)
        .gives(200, Shown::Object)
        .also(&[400, 404, 429, 502, 504]),
    route!(Get "/api/tags" "ollama.tags" "Every model, as Ollama lists them" ollama::tags).gives(200, Shown::Object),
    route!(Get "/api/ps" "ollama.ps" "The same: every model counts as loaded" ollama::ps).gives(200, Shown::Object),
    route!(Get "/api/version" "ollama.version" "The version of Ollama whose form the answers have" ollama::version)
        .gives(200, Shown::Object),
    route!(Post "/api/show" "ollama.show" "One model, as Ollama shows it" ollama::show)
        .ends_with_caller()
        .takes(Shown::Object)
        .gives(200, Shown::Object)
        .also(&[400, 404]),
    route!(Get "/v1/models" "models.list" "Every model that can be called" models::list)
        .gives(200, json!(wire::models::ModelList)),
    route!(Get "/v1/models/{*id}" "models.show" "One model" models::show)
        .gives(200, json!(wire::models::Model))
        .also(&[404]),
    route!(Get "/api/v1/calls" "calls.list" "Calls of clients to models, newest first" models::calls)
        .params(&[LIMIT])
        .gives(200, json!(wire::Page<wire::models::CallView>))
        .also(&[422]),
    route!(Get "/api/v1/calls/{id}" "calls.show" "One call, and what was tried for it" models::call_show)
        .gives(200, json!(wire::models::CallView))
        .also(&[404]),
    route!(Get "/api/v1/providers" "providers.list" "Providers of models, and what became of the last calls" models::providers)
        .gives(200, json!(wire::Page<wire::models::ProviderView>)),
];
