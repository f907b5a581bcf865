//! The audit trail as the doors show it.
//!
//! Read next: `http/audit.rs`, which fills it.

use hale_store::Phase;
use hale_store::audit::{Checked, Sealed, hex};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One row with its place in the chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuditLine {
    pub seq: u64,
    pub at: String,
    /// The operation that this is one half of.
    pub id: String,
    pub actor: String,
    pub operation: String,
    pub target: String,
    /// `intent`, before the deed, or `outcome`.
    pub phase: String,
    pub detail: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<String>,
    /// Done by the lab.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lab: bool,
    /// The hash of the row before.
    pub prev: String,
    pub hash: String,
}

impl From<&Sealed> for AuditLine {
    fn from(sealed: &Sealed) -> Self {
        let row = &sealed.row;
        Self {
            seq: sealed.seq,
            at: row.at.rfc3339(),
            id: row.id.to_string(),
            actor: row.actor.clone(),
            operation: row.operation.clone(),
            target: row.target.clone(),
            phase: match row.phase {
                Phase::Intent => "intent",
                Phase::Outcome => "outcome",
            }
            .to_owned(),
            detail: serde_json::from_str(&row.detail).unwrap_or_else(|_| Value::from(row.detail.as_str())),
            undo: row.undo.clone(),
            lab: row.lab,
            prev: hex(&sealed.prev),
            hash: hex(&sealed.hash),
        }
    }
}

/// `GET /api/v1/audit/verify`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AuditCheck {
    /// `hale.audit.verify/1`
    pub schema: String,
    pub well: bool,
    pub rows: u64,
    /// The first row that is there: later than 1 after a cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<u64>,
    /// `SEQ:HASH` of the last row; kept elsewhere, it proves later that the trail was not made anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<BrokenRow>,
}

/// The first row at which the chain does not hold.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BrokenRow {
    pub seq: u64,
    pub why: String,
}

impl From<Checked> for AuditCheck {
    fn from(checked: Checked) -> Self {
        // A walk that broke off has not seen the head.
        let last = checked.last.filter(|_| checked.broken.is_none());
        Self {
            schema: "hale.audit.verify/1".to_owned(),
            well: checked.broken.is_none(),
            rows: checked.rows,
            first: checked.first,
            head: last.map(|last| format!("{}:{}", last.seq, hex(&last.hash))),
            broken: checked.broken.map(|broken| BrokenRow { seq: broken.seq, why: broken.why }),
        }
    }
}

/// `POST /api/v1/audit/prune`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PruneAudit {
    /// Only say how many rows it would be.
    pub dry_run: bool,
}

/// What was cut, or would be.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AuditCut {
    /// `hale.audit.cut/1`
    pub schema: String,
    pub dry_run: bool,
    /// Rows from before this moment.
    pub before: String,
    pub rows: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
}
