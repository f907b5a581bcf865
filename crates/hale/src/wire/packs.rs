//! What is asked of packs: a deploy, a way back.
//!
//! Read next: [`super::PackView`], what is answered.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `POST /api/v1/packs` and `/packs/validate`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeployPack {
    pub file_name: String,
    pub source: String,
    #[serde(default)]
    pub dry_run: bool,
}

/// `POST /api/v1/packs/{name}/rollback`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RollbackPack {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}
