//! Kill switches as the doors show them.
//!
//! Read next: `http/killswitch.rs`, which fills them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `GET /api/v1/killswitch`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Switches {
    /// `hale.killswitch/1`
    pub schema: String,
    /// Those that are on.
    pub items: Vec<SwitchView>,
    /// What was switched off and comes back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub returning: Vec<Returning>,
}

impl Switches {
    /// Nothing is held and nothing comes back.
    pub fn is_quiet(&self) -> bool {
        self.items.is_empty() && self.returning.is_empty()
    }
}

/// One switch that is on.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SwitchView {
    /// `all`, `pack:NAME`, `tool:NAME` or `tenant:NAME`.
    pub target: String,
    pub by: String,
    pub reason: String,
    pub at: String,
    /// What ran was not given its time to end.
    pub immediate: bool,
    /// When runs under way are told to stop, and when nothing is waited for any more.
    pub stops_at: String,
    pub forced_at: String,
    /// What takes it off.
    pub undo: String,
}

/// What was switched off and goes again from a moment on.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Returning {
    pub target: String,
    pub at: String,
}

/// `POST /api/v1/killswitch/on`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Throw {
    /// `all`, `pack:NAME`, `tool:NAME` or `tenant:NAME`.
    pub target: String,
    /// Why, for the audit trail.
    pub reason: String,
    /// End what runs now, instead of after its time.
    #[serde(default)]
    pub immediate: bool,
    /// The target once more: wanted for `all` and for packs that say that they are critical.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<String>,
}

/// `POST /api/v1/killswitch/off`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TakeOff {
    /// As it was thrown.
    pub target: String,
    /// Why, for the audit trail.
    pub reason: String,
}

/// A switch that was thrown or taken off.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Thrown {
    /// `hale.killswitch.thrown/1`
    pub schema: String,
    pub target: String,
    pub on: bool,
    /// The operation in the audit trail.
    pub operation: String,
    /// When runs under way are told to stop, and when nothing is waited for any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stops_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forced_at: Option<String>,
    /// Of one that was taken off: what goes again, and when.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub returning: Vec<Returning>,
    pub undo: String,
}
