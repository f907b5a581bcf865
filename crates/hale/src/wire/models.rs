//! Models and calls to them, as clients see them.
//!
//! Read next: `http/models.rs`.

use hale_core::failure::Failure;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `GET /v1/models`, in the OpenAI form.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ModelList {
    /// `list`
    pub object: String,
    pub data: Vec<Model>,
}

/// A model that can be called.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Model {
    /// As `provider/model`, or an alias.
    pub id: String,
    /// `model`
    pub object: String,
    /// Seconds since 1970; 0 where the provider does not say.
    pub created: i64,
    /// The provider.
    pub owned_by: String,
}

/// One call of a client, as it ended.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CallView {
    pub schema: String,
    pub id: String,
    /// RFC 3339.
    pub at: String,
    pub endpoint: String,
    /// The model as the client named it.
    pub asked: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    pub correlation_id: String,
    pub streamed: bool,
    /// `answered`, `failed`, or `left` by the client.
    pub outcome: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::http::openapi::FailureShape>")]
    pub failure: Option<Failure>,
    /// Attempts that failed, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tried: Vec<AttemptView>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// Until the first byte was let out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_byte_ms: Option<u64>,
    pub took_ms: u64,
}

/// One attempt that failed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AttemptView {
    /// As `provider/model`.
    pub model: String,
    #[schemars(with = "crate::http::openapi::FailureShape")]
    pub failure: Failure,
    pub took_ms: u64,
}

/// A provider, and what became of the last calls to it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ProviderView {
    pub name: String,
    /// Where its key comes from now: `env`, `file`, `store`, or `none`.
    pub key: String,
    /// Calls of the last five minutes that it ended, answered or not.
    pub calls_5m: u64,
    pub failed_5m: u64,
    /// Of those that failed, by cause.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub causes_5m: std::collections::BTreeMap<String, u64>,
    /// 95 of 100 answered calls stayed within it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95_ms: Option<u64>,
}

/// `POST /v1/messages/count_tokens`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TokenCount {
    pub input_tokens: u64,
}

/// Models in the form of the Anthropic dialect.
pub mod anthropic {
    use serde_json::{Value, json};

    /// A provider does not say when; the dialect wants a moment.
    const SOMETIME: &str = "1970-01-01T00:00:00Z";

    pub fn model(id: &str) -> Value {
        json!({"type": "model", "id": id, "display_name": id, "created_at": SOMETIME})
    }

    pub fn list(models: &[String]) -> Value {
        let data: Vec<Value> = models.iter().map(|id| model(id)).collect();
        json!({"data": data, "has_more": false, "first_id": models.first(), "last_id": models.last()})
    }
}
