//! The audit trail over HTTP: rows, the check of the chain, the cut.
//!
//! Read next: `hale-engine/src/facade/audit.rs`.

use super::App;
use super::extract::{Asked, Input, Shape};
use super::guard::By;
use super::problem::Refusal;
use super::view;
use crate::wire::Page;
use crate::wire::audit::{AuditCheck, AuditCut, AuditLine, PruneAudit};
use axum::Json;
use axum::extract::State;
use hale_core::time::{Millis, Timestamp};
use hale_engine::DryRun;
use hale_store::AuditFilter;
use hale_store::audit::Sealed;
use serde::Deserialize;
use std::sync::Arc;

impl Shape for PruneAudit {
    fn absent() -> Option<Self> {
        Some(Self::default())
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    filter: Option<String>,
    order: Option<String>,
    limit: Option<u32>,
    after: Option<u64>,
}

/// `GET /api/v1/audit`.
pub async fn list(
    State(app): State<Arc<App>>,
    Asked(query): Asked<ListQuery>,
) -> Result<Json<Page<AuditLine>>, Refusal> {
    let limit = view::page_size(query.limit)?;
    let text = query.filter.unwrap_or_default();
    let filter = filter(&text, app.engine.now()).map_err(|why| {
        Refusal::invalid("filter", why).fix("hale audit list operation:killswitch.on since:1d")
    })?;
    let mut rows: Vec<Sealed> = match query.order.as_deref() {
        None | Some("newest") => app.engine.audit_newest(filter, query.after, limit + 1).await?,
        Some("oldest") if text.trim().is_empty() => {
            app.engine.audit_oldest(query.after.unwrap_or(0), limit + 1).await?
        }
        Some("oldest") => {
            let message = "filter the audit trail from its beginning: a chain is read whole";
            return Err(Refusal::invalid("filter", message));
        }
        Some(other) => {
            let message = format!("order the audit trail by {other:?}: write newest or oldest");
            return Err(Refusal::invalid("order", message));
        }
    };
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next = rows.last().filter(|_| more).map(|last| last.seq.to_string());
    Ok(Json(view::page("audit", rows.iter().map(AuditLine::from).collect(), next)))
}

/// `GET /api/v1/audit/verify`.
pub async fn verify(State(app): State<Arc<App>>) -> Result<Json<AuditCheck>, Refusal> {
    Ok(Json(app.engine.audit_check().await?.into()))
}

/// `POST /api/v1/audit/prune`.
pub async fn prune(
    State(app): State<Arc<App>>,
    By(caller): By,
    Input(order): Input<PruneAudit>,
) -> Result<Json<AuditCut>, Refusal> {
    let dry_run = if order.dry_run { DryRun::Yes } else { DryRun::No };
    let cut = app.engine.audit_prune(dry_run, &caller).await?;
    Ok(Json(AuditCut {
        schema: "hale.audit.cut/1".to_owned(),
        dry_run: order.dry_run,
        before: cut.before.rfc3339(),
        rows: cut.rows,
        operation: cut.operation.map(|id| id.to_string()),
    }))
}

/// Reads `operation:… actor:… target:… id:… since:… until:…` and words.
///
/// # Errors
/// The word that does not fit, and what would.
pub fn filter(text: &str, now: Timestamp) -> Result<AuditFilter, String> {
    let moment = |key: &str, value: &str| -> Result<Timestamp, String> {
        let span = value.parse::<Millis>().map(|span| now - span).ok();
        span.or_else(|| value.parse::<Timestamp>().ok())
            .ok_or_else(|| format!("read {key}:{value}: give a span such as 1h, or a moment"))
    };
    let mut filter = AuditFilter::default();
    let mut words = Vec::new();
    for word in text.split_whitespace() {
        match word.split_once(':') {
            Some(("operation", value)) => filter.operation = Some(value.to_owned()),
            Some(("actor", value)) => filter.actor = Some(value.to_owned()),
            // A target may have a colon of its own: target:pack:research.
            Some(("target", value)) => filter.target = Some(value.to_owned()),
            Some(("id", value)) => {
                let id =
                    value.parse().map_err(|_| format!("read id:{value}: it is no id of an operation"))?;
                filter.id = Some(id);
            }
            Some((key @ "since", value)) => filter.since = Some(moment(key, value)?),
            Some((key @ "until", value)) => filter.until = Some(moment(key, value)?),
            Some((key, _)) if key.bytes().all(|byte| byte.is_ascii_lowercase()) => {
                return Err(format!(
                    "read {word}: there is no {key}, there are operation, actor, target, id, since and until"
                ));
            }
            _ => words.push(word),
        }
    }
    filter.text = Some(words.join(" ")).filter(|text| !text.is_empty());
    Ok(filter)
}
