//! Shapes of jobs: kept contents, and the walls of this machine.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A content that is durable.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Kept {
    /// `hale.kept/1`
    pub schema: String,
    /// BLAKE3, 64 hexadecimal letters.
    pub hash: String,
    pub bytes: u64,
}

/// One wall around jobs, as it stands on the server's machine.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct WallView {
    pub name: String,
    pub live: bool,
    /// Why it is not.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}
