//! Messages to people.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `POST /api/v1/notify`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotifyRequest {
    pub channel: String,
    /// 1 to 4000 characters.
    pub message: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct NotifiedView {
    /// `hale.notified/1`
    pub schema: String,
    pub channel: String,
    /// The webhook's answer.
    pub status: u16,
    pub tries: u32,
    pub operation: String,
}

/// `GET /api/v1/notify`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ChannelView {
    pub channel: String,
}
