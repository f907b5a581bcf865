//! The YAML of a playbook, before anything in it is understood.
//!
//! Guarantees: unknown keys, duplicate keys, anchors, aliases, merges, tags and a second document are errors; the
//! parser's budgets are far below its defaults, because a playbook is a page.
//! Read next: [`super::load`].

use super::{On, Prior, Risk, Scope, Severity, Verb, Weight};
use hale_core::time::Millis;
use serde::Deserialize;
use serde_saphyr::Spanned;
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy};
use std::collections::BTreeMap;

/// Bytes of one file; our longest is a tenth of it.
pub const BYTES_MAX: usize = 64 << 10;
const NODES_MAX: usize = 4_096;
const DEPTH_MAX: usize = 16;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Playbook {
    pub playbook: Spanned<String>,
    pub title: Spanned<String>,
    pub source: Spanned<String>,
    pub scope: Scope,
    pub symptoms: Vec<Symptom>,
    pub causes: Vec<Cause>,
    pub actions: BTreeMap<String, Action>,
    pub verify: Option<Verify>,
    pub prevent: Vec<Spanned<String>>,
    pub prove: Vec<Proof>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Symptom {
    pub id: Spanned<String>,
    pub when: Spanned<String>,
    pub on: Option<On>,
    pub severity: Severity,
    pub says: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cause {
    pub id: Spanned<String>,
    pub title: Spanned<String>,
    pub at: Spanned<String>,
    pub prior: Prior,
    pub evidence: Vec<Clue>,
    pub says: Spanned<String>,
    pub says_run: Option<Spanned<String>>,
    pub fix: Vec<Spanned<String>>,
    pub verify: Option<Verify>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Clue {
    #[serde(rename = "if")]
    pub test: Spanned<String>,
    #[serde(rename = "for")]
    pub supports: Option<Weight>,
    pub against: Option<Weight>,
    pub on: Option<On>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Action {
    pub title: Spanned<String>,
    pub verb: Verb,
    pub risk: Risk,
    pub command: Option<Spanned<String>>,
    #[serde(default)]
    pub params: BTreeMap<String, Spanned<String>>,
    pub undo: Spanned<String>,
    pub because: Option<String>,
    pub guard: Option<Spanned<String>>,
    pub blast: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Verify {
    pub until: Spanned<String>,
    #[serde(with = "hale_core::time::human")]
    pub within: Millis,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Proof {
    pub inject: Option<Spanned<String>>,
    pub twin: Option<Spanned<String>>,
    pub expect: Spanned<String>,
    #[serde(default)]
    pub shows: Vec<Spanned<String>>,
}

pub(super) fn read(text: &str) -> Result<Playbook, serde_saphyr::Error> {
    let budget = serde_saphyr::budget! {
        max_events: NODES_MAX * 4,
        max_aliases: 0,
        max_anchors: 0,
        max_depth: DEPTH_MAX,
        max_documents: 1,
        max_nodes: NODES_MAX,
        max_total_scalar_bytes: BYTES_MAX,
        max_total_comment_bytes: BYTES_MAX,
        max_merge_keys: 0,
        flow_nesting_limit: DEPTH_MAX,
    };
    let options = serde_saphyr::options! {
        budget: budget,
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        reject_unsupported_tags: true,
        emit_comments: false,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options)
}
