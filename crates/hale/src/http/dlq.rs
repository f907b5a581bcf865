//! Dead letters over HTTP, the quarantine of packs, and replay from a step.
//!
//! What acts on many letters is in [`super::bulk`]. Read next: `hale-engine/src/facade/letters.rs`.

use super::App;
use super::extract::{Asked, Input, Segment, id};
use super::guard::By;
use super::problem::Refusal;
use super::runs::{chosen, cursor, of};
use super::view;
use crate::wire::Page;
use crate::wire::dlq::{
    KillView, LetterGroup, LetterGroups, LetterShow, LetterView, QuarantineView, ReplayRun, ReplayView,
};
use axum::Json;
use axum::extract::State;
use hale_core::id::RunId;
use hale_core::time::Timestamp;
use hale_engine::facade::replay::ReplayOrder;
use hale_engine::input::Resolved;
use hale_engine::quarantine::Quarantine;
use hale_store::DeadRow;
use http::StatusCode;
use serde::Deserialize;
use std::sync::Arc;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    filter: Option<String>,
    limit: Option<u32>,
    after: Option<String>,
    resolved: Option<bool>,
}

/// `GET /api/v1/dlq`.
pub async fn list(
    State(app): State<Arc<App>>,
    Asked(query): Asked<ListQuery>,
) -> Result<Json<Page<LetterView>>, Refusal> {
    let filter = chosen(query.filter.as_deref().unwrap_or_default(), app.engine.now())?;
    let limit = view::page_size(query.limit)?;
    let after = cursor(query.after.as_deref())?;
    let resolved = if query.resolved.unwrap_or(false) { Resolved::Too } else { Resolved::Not };
    let (rows, next) = app.engine.letters(&filter, (after, resolved), limit).await?;
    let next = next.map(|run| run.to_string());
    Ok(Json(view::page("dead_letters", rows.iter().map(letter).collect(), next)))
}

fn letter(row: &DeadRow) -> LetterView {
    LetterView {
        run: row.run.to_string(),
        at: row.at.rfc3339(),
        cause: row.cause.clone(),
        pack: row.pack.to_string(),
        queue: row.queue.to_string(),
        resolution: row.resolution.clone(),
        resolved_at: row.resolved_at.map(Timestamp::rfc3339),
        resolved_by: row.resolved_by.clone(),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupsQuery {
    filter: Option<String>,
}

/// `GET /api/v1/dlq/groups`.
pub async fn groups(
    State(app): State<Arc<App>>,
    Asked(query): Asked<GroupsQuery>,
) -> Result<Json<LetterGroups>, Refusal> {
    let filter = chosen(query.filter.as_deref().unwrap_or_default(), app.engine.now())?;
    let groups = app.engine.letter_groups(&filter).await?;
    let items: Vec<LetterGroup> = groups
        .groups
        .into_iter()
        .map(|group| LetterGroup {
            next: format!("hale dlq redrive --cause {} --dry-run", group.cause),
            cause: group.cause,
            count: group.count,
            first: group.first.rfc3339(),
            last: group.last.rfc3339(),
        })
        .collect();
    let total = items.iter().map(|group| group.count).sum();
    Ok(Json(LetterGroups { schema: "hale.dlq_groups/1".to_owned(), items, total, capped: groups.capped }))
}

/// `GET /api/v1/dlq/{run}`.
pub async fn show(State(app): State<Arc<App>>, Segment(run): Segment) -> Result<Json<LetterShow>, Refusal> {
    let run: RunId = id(&run)?;
    let row = app.engine.letter(run).await?;
    let stored = of(run, app.engine.run(run).await)?;
    let run = view::stored(&stored, app.engine.now());
    Ok(Json(LetterShow { schema: "hale.dead_letter/1".to_owned(), letter: letter(&row), run }))
}

/// `POST /api/v1/runs/{id}/replay`.
pub async fn replay(
    State(app): State<Arc<App>>,
    By(caller): By,
    Segment(run): Segment,
    Input(order): Input<ReplayRun>,
) -> Result<(StatusCode, Json<ReplayView>), Refusal> {
    let run: RunId = id(&run)?;
    let order = ReplayOrder { keep: order.from_step, input: order.input, version: order.version };
    let replayed = of(run, app.engine.replay(run, order, &caller).await)?;
    let shown = ReplayView {
        schema: "hale.replay/1".to_owned(),
        run: view::run(&replayed.receipt.run, app.engine.now()),
        kept_steps: replayed.kept,
        of_steps: replayed.of,
        notes: replayed.notes,
    };
    Ok((StatusCode::ACCEPTED, Json(shown)))
}

/// `GET /api/v1/quarantine`.
pub async fn quarantine(State(app): State<Arc<App>>) -> Json<Page<QuarantineView>> {
    let items = app.engine.quarantines().iter().map(held).collect();
    Json(view::page("quarantines", items, None))
}

/// `POST /api/v1/packs/{name}/release`.
pub async fn release(
    State(app): State<Arc<App>>,
    By(caller): By,
    Segment(name): Segment,
) -> Result<Json<QuarantineView>, Refusal> {
    Ok(Json(held(&app.engine.release(&name, &caller).await?)))
}

fn held(quarantine: &Quarantine) -> QuarantineView {
    let kill = |kill: &hale_engine::quarantine::Kill| KillView {
        run: kill.run.to_string(),
        worker: kill.worker.to_string(),
        at: kill.at.rfc3339(),
        why: kill.why.clone(),
    };
    QuarantineView {
        schema: "hale.quarantine/1".to_owned(),
        pack: quarantine.pack.clone(),
        since: quarantine.at.rfc3339(),
        reason: quarantine.reason.clone(),
        evidence: quarantine.kills.iter().map(kill).collect(),
        release: format!("hale packs quarantine release {}", quarantine.pack),
    }
}
