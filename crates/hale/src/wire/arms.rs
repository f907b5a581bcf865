//! Arms on the wire: who can be routed to, who registers, which arm is whose equal.
//!
//! Read next: `hale-core/src/arm.rs`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// One pack that can be routed to.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ArmView {
    /// `hale.arm/1`
    pub schema: String,
    pub name: String,
    pub version: String,
    /// `agent`, `arm` (a service elsewhere) and so on.
    pub kind: String,
    pub description: String,
    pub capabilities: Vec<String>,
    /// The first of `domains`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    pub domains: Vec<String>,
    pub keywords: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, String>,
    /// Where a service elsewhere answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    pub enabled: bool,
    /// `healthy`, `unhealthy`, `expired` or `disabled`.
    pub status: String,
    /// Why it is not healthy.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// Failures in a row.
    #[serde(default)]
    pub failures: u32,
    /// It registered itself, rather than being deployed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered_at: Option<String>,
    /// It answered last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<String>,
    /// It was asked last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probed_at: Option<String>,
    /// Without word for so long a registration is void.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u64>,
}

/// `POST /api/v1/arms/register`: `hale_core::arm::Registration` as it is sent.
#[derive(JsonSchema)]
#[schemars(rename = "RegisterArm")]
#[expect(dead_code, reason = "a mirror for the schema; never made")]
pub struct RegistrationShape {
    name: String,
    /// Where it answers `POST /execute` and `GET /health`: `http://127.0.0.1:8102`.
    url: String,
    domain: Option<String>,
    #[schemars(default)]
    domains: Vec<String>,
    #[schemars(default)]
    keywords: Vec<String>,
    /// Its domains, if there are none.
    #[schemars(default)]
    capabilities: Vec<String>,
    #[schemars(default)]
    properties: BTreeMap<String, String>,
    /// A task may be sent twice under one `Idempotency-Key`.
    #[schemars(default)]
    idempotent: bool,
    timeout_seconds: Option<u64>,
    /// Void after so many seconds without word; 300 if it is not said.
    ttl_seconds: Option<u64>,
    #[schemars(default)]
    description: String,
}

/// `hale_core::routing::Conflict` as it is sent: two arms that only their names tell apart.
#[derive(JsonSchema)]
#[schemars(rename = "ArmConflict")]
#[expect(dead_code, reason = "a mirror for the schema; never made")]
pub struct ConflictShape {
    arms: Vec<String>,
    capabilities: Vec<String>,
    keywords: Vec<String>,
    /// A goal on which they tie.
    goal: String,
    score: u32,
}

/// `hale_core::routing::Decision` as it is sent.
#[derive(JsonSchema)]
#[schemars(rename = "Decision")]
#[expect(dead_code, reason = "a mirror for the schema; never made")]
pub struct DecisionShape {
    arm: String,
    /// `by` is `score` or `default`.
    reason: Map<String, Value>,
    contract: Map<String, Value>,
    /// All candidates, best first: `arm`, `total`, `parts`, `condition`, `unmet`.
    scores: Vec<Map<String, Value>>,
    /// Constraints that were given up.
    #[schemars(default)]
    relaxed: Vec<Map<String, Value>>,
    rules: Map<String, Value>,
}
