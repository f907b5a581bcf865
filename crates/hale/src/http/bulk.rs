//! Operations over many runs over HTTP: preview, begin, look, pause, resume, abort.
//!
//! A preview answers 200 and changes nothing; a begun operation is answered 202 when its order is durable, and works
//! on in the server. Read next: `hale-engine/src/bulk.rs`.

use super::App;
use super::extract::{Asked, Input, Segment, id, wait};
use super::guard::By;
use super::problem::Refusal;
use super::runs::{WaitQuery, chosen};
use super::view;
use crate::wire::Page;
use crate::wire::bulk::{BulkItemView, BulkReasonView, BulkRequest, BulkView, OperationShow};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hale_core::code::Code;
use hale_core::id::{OperationId, RunId};
use hale_core::time::Timestamp;
use hale_engine::Caller;
use hale_engine::bulk::BulkKind;
use hale_engine::facade::bulk::{BulkLook, BulkOrder, Chosen, Preview};
use hale_store::{BulkItem, ItemFilter, ItemState};
use http::StatusCode;
use serde::Deserialize;
use std::sync::Arc;

/// `POST /api/v1/runs/cancel`.
pub async fn cancel(
    State(app): State<Arc<App>>,
    By(caller): By,
    Input(request): Input<BulkRequest>,
) -> Result<Response, Refusal> {
    begin(&app, BulkKind::Cancel, request, &caller).await
}

/// `POST /api/v1/runs/retry`.
pub async fn retry(
    State(app): State<Arc<App>>,
    By(caller): By,
    Input(request): Input<BulkRequest>,
) -> Result<Response, Refusal> {
    begin(&app, BulkKind::Retry, request, &caller).await
}

/// `POST /api/v1/dlq/redrive`.
pub async fn redrive(
    State(app): State<Arc<App>>,
    By(caller): By,
    Input(request): Input<BulkRequest>,
) -> Result<Response, Refusal> {
    begin(&app, BulkKind::Redrive, request, &caller).await
}

/// `POST /api/v1/dlq/discard`.
pub async fn discard(
    State(app): State<Arc<App>>,
    By(caller): By,
    Input(request): Input<BulkRequest>,
) -> Result<Response, Refusal> {
    begin(&app, BulkKind::Discard, request, &caller).await
}

async fn begin(
    app: &App,
    kind: BulkKind,
    request: BulkRequest,
    caller: &Caller,
) -> Result<Response, Refusal> {
    let order = BulkOrder { kind, chosen: meant(app, kind, &request)?, reason: request.reason };
    if request.dry_run {
        let preview = app.engine.bulk_preview(&order).await?;
        return Ok(Json(previewed(&order, preview)).into_response());
    }
    let look = app.engine.bulk_begin(order, caller).await?;
    Ok((StatusCode::ACCEPTED, Json(shown(&look))).into_response())
}

fn meant(app: &App, kind: BulkKind, request: &BulkRequest) -> Result<Chosen, Refusal> {
    if !request.runs.is_empty() {
        if !request.filter.is_empty() || request.all {
            return Err(Refusal::invalid("runs", "choose runs: name ids or a filter, not both"));
        }
        let runs: Result<Vec<RunId>, Refusal> = request.runs.iter().map(|run| id(run)).collect();
        let mut runs = runs?;
        runs.sort_unstable();
        runs.dedup();
        return Ok(Chosen::Runs(runs));
    }
    let filter = chosen(&request.filter, app.engine.now())?;
    if filter.is_empty() && !request.all {
        let message = format!(
            "{} by an empty filter: it would match every run; narrow it, or say `all` (--all)",
            kind.operation().name()
        );
        let example = match kind.is_of_letters() {
            true => "hale dlq list",
            false => "hale runs cancel status:pending --dry-run",
        };
        return Err(Refusal::invalid("filter", message).fix(example));
    }
    Ok(Chosen::Filter { text: request.filter.clone(), filter: Box::new(filter) })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManyQuery {
    limit: Option<u32>,
}

/// `GET /api/v1/bulk`.
pub async fn list(
    State(app): State<Arc<App>>,
    Asked(query): Asked<ManyQuery>,
) -> Result<Json<Page<BulkView>>, Refusal> {
    let looks = app.engine.bulks(view::page_size(query.limit)?).await?;
    Ok(Json(view::page("bulks", looks.iter().map(shown).collect(), None)))
}

/// `GET /api/v1/operations/{id}`.
pub async fn show(
    State(app): State<Arc<App>>,
    Segment(operation): Segment,
    Asked(query): Asked<WaitQuery>,
) -> Result<Json<OperationShow>, Refusal> {
    let operation: OperationId = id(&operation)?;
    let look = app.engine.bulk_wait(operation, wait(query.wait.as_deref())?).await.ok();
    let rows = app.engine.operation(operation).await?;
    let Some(line) = view::operations(&rows).into_iter().next() else {
        let message = format!("find operation {operation}");
        return Err(Refusal::new(Code::E010, "operation.not_found", message).fix("hale operations list"));
    };
    let schema = "hale.operation/1".to_owned();
    Ok(Json(OperationShow { schema, operation: line, bulk: look.as_ref().map(shown) }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemsQuery {
    state: Option<String>,
    after: Option<u64>,
    limit: Option<u32>,
}

/// `GET /api/v1/operations/{id}/items`.
pub async fn items(
    State(app): State<Arc<App>>,
    Segment(operation): Segment,
    Asked(query): Asked<ItemsQuery>,
) -> Result<Json<Page<BulkItemView>>, Refusal> {
    let operation: OperationId = id(&operation)?;
    let limit = view::page_size(query.limit)?;
    let state = query.state.as_deref().map(|name| {
        let known = ItemState::ALL.into_iter().find(|state| item_state(*state) == name);
        let message = || format!("read {name:?} as a state: write waiting, done, left or failed");
        known.ok_or_else(|| Refusal::invalid("state", message()))
    });
    app.engine.bulk(operation).await?;
    let filter = ItemFilter { state: state.transpose()?, after: query.after.unwrap_or(0) };
    let items = app.engine.bulk_items(operation, filter, limit).await?;
    let next = items.last().filter(|_| items.len() == limit as usize).map(|item| item.n.to_string());
    Ok(Json(view::page("bulk_items", items.into_iter().map(item).collect(), next)))
}

/// `POST /api/v1/operations/{id}/pause`.
pub async fn pause(
    State(app): State<Arc<App>>,
    By(caller): By,
    Segment(operation): Segment,
) -> Result<Json<BulkView>, Refusal> {
    Ok(Json(shown(&app.engine.bulk_pause(id(&operation)?, &caller).await?)))
}

/// `POST /api/v1/operations/{id}/resume`.
pub async fn resume(
    State(app): State<Arc<App>>,
    By(caller): By,
    Segment(operation): Segment,
) -> Result<Json<BulkView>, Refusal> {
    Ok(Json(shown(&app.engine.bulk_resume(id(&operation)?, &caller).await?)))
}

/// `POST /api/v1/operations/{id}/abort`.
pub async fn abort(
    State(app): State<Arc<App>>,
    By(caller): By,
    Segment(operation): Segment,
) -> Result<Json<BulkView>, Refusal> {
    Ok(Json(shown(&app.engine.bulk_abort(id(&operation)?, &caller).await?)))
}

fn item(item: BulkItem) -> BulkItemView {
    let state = item_state(item.state).to_owned();
    BulkItemView { n: item.n, run: item.run.to_string(), state, detail: item.detail }
}

const fn item_state(state: ItemState) -> &'static str {
    match state {
        ItemState::Waiting => "waiting",
        ItemState::Done => "done",
        ItemState::Left => "left",
        ItemState::Failed => "failed",
    }
}

fn previewed(order: &BulkOrder, preview: Preview) -> BulkView {
    let filter = match &order.chosen {
        Chosen::Filter { text, .. } => text.clone(),
        Chosen::Runs(runs) => format!("{} by id", runs.len()),
    };
    BulkView {
        id: None,
        dry_run: true,
        state: "preview".to_owned(),
        filter,
        matched: preview.matched,
        meant: preview.will,
        waiting: preview.will,
        groups: preview.groups,
        excluded: preview.excluded,
        capped: preview.capped,
        examples: preview.examples.iter().map(ToString::to_string).collect(),
        ..empty(order.kind.operation().name())
    }
}

fn shown(look: &BulkLook) -> BulkView {
    let (row, counts) = (&look.row, &look.counts);
    let n = |state: ItemState| counts.by_state.get(&state).copied().unwrap_or(0);
    let meant: u64 = counts.by_state.values().sum();
    let reason = |reason: &hale_store::BulkReason| BulkReasonView {
        outcome: item_state(reason.state).to_owned(),
        reason: reason.detail.clone(),
        count: reason.count,
        example: reason.example.to_string(),
    };
    let undo = BulkKind::named(&row.kind).and_then(BulkKind::back);
    BulkView {
        id: Some(row.id.to_string()),
        state: row.state.name().to_owned(),
        filter: row.filter.clone(),
        matched: meant + row.excluded.values().sum::<u64>(),
        meant,
        done: n(ItemState::Done),
        left: n(ItemState::Left),
        failed: n(ItemState::Failed),
        waiting: n(ItemState::Waiting),
        excluded: row.excluded.clone(),
        reasons: counts.reasons.iter().map(reason).collect(),
        capped: row.gathered && row.cursor.is_some(),
        by: Some(row.actor.clone()),
        begun_at: Some(row.at.rfc3339()),
        ended_at: row.ended_at.map(Timestamp::rfc3339),
        undoes: row.undoes.map(|undone| undone.to_string()),
        undo: undo.map(|_| format!("hale operations undo {}", row.id)),
        ..empty(&row.kind)
    }
}

fn empty(kind: &str) -> BulkView {
    BulkView {
        schema: "hale.bulk/2".to_owned(),
        id: None,
        kind: kind.to_owned(),
        dry_run: false,
        state: String::new(),
        filter: String::new(),
        matched: 0,
        meant: 0,
        done: 0,
        left: 0,
        failed: 0,
        waiting: 0,
        groups: Default::default(),
        excluded: Default::default(),
        reasons: Vec::new(),
        capped: false,
        examples: Vec::new(),
        by: None,
        begun_at: None,
        ended_at: None,
        undoes: None,
        undo: None,
    }
}
