//! What packs can do, and where several can do the same.
//!
//! Read next: `hale-core/src/pack/offers.rs`, which decides.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A capability and who offers it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CapabilityView {
    pub capability: String,
    /// Several enabled packs offer it, so that none can be chosen.
    pub conflict: bool,
    /// The pack that would be taken for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen: Option<String>,
    /// Why that one, or why none.
    pub because: String,
    pub offers: Vec<OfferView>,
}

/// A pack that offers it, in its current version.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct OfferView {
    pub pack: String,
    pub version: String,
    pub enabled: bool,
}
