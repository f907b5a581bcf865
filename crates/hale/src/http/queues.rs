//! Queues and limits over HTTP: look, peek, and the levers.
//!
//! Read next: `hale-engine/src/facade/queues.rs`.

use super::App;
use super::extract::{Asked, Input, Segment, Shape, span};
use super::guard::By;
use super::problem::Refusal;
use super::runs::chosen;
use super::view;
use crate::wire::queues::{
    ClassView, Cleared, KeyDepth, LimitsSet, MoveStuck, Moved, PurgeQueue, QueueView, Queues, SetLimit,
    SetWeights,
};
use crate::wire::{Page, RunView};
use axum::Json;
use axum::extract::State;
use hale_core::failure::Failure;
use hale_core::id::OperationId;
use hale_core::limiter::Limit;
use hale_core::run::StateName;
use hale_core::time::Timestamp;
use hale_engine::facade::clear::Chosen;
use hale_engine::facade::queues::QueueInfo;
use hale_engine::{Bulk, Caller, DryRun};
use serde::Deserialize;
use std::sync::Arc;

impl Shape for PurgeQueue {}
impl Shape for MoveStuck {}
impl Shape for SetLimit {}
impl Shape for SetWeights {}

/// In place of a queue's name: all of them. No queue can have this name.
const EVERY: &str = "-";

/// `GET /api/v1/queues`.
pub async fn list(State(app): State<Arc<App>>) -> Result<Json<Queues>, Refusal> {
    let (queues, delayed) = app.engine.queues().await?;
    Ok(Json(Queues {
        schema: "hale.queues/1".to_owned(),
        items: queues.into_iter().map(shown).collect(),
        delayed: delayed.count,
        next_due_at: delayed.next.map(Timestamp::rfc3339),
    }))
}

/// `GET /api/v1/queues/{name}`.
pub async fn show(State(app): State<Arc<App>>, Segment(name): Segment) -> Result<Json<QueueView>, Refusal> {
    Ok(Json(shown(known(app.engine.queue(&name).await)?)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeekQuery {
    limit: Option<u32>,
}

/// `GET /api/v1/queues/{name}/peek`.
pub async fn peek(
    State(app): State<Arc<App>>,
    Segment(name): Segment,
    Asked(query): Asked<PeekQuery>,
) -> Result<Json<Page<RunView>>, Refusal> {
    let limit = view::page_size(query.limit.or(Some(10)))?;
    let runs = known(app.engine.peek(&name, limit).await)?;
    let now = app.engine.now();
    Ok(Json(view::page("runs", runs.iter().map(|run| view::run(run, now)).collect(), None)))
}

/// `POST /api/v1/queues/{name}/drain`.
pub async fn drain(
    State(app): State<Arc<App>>,
    By(caller): By,
    Segment(name): Segment,
) -> Result<Json<Moved>, Refusal> {
    let operation = known(app.engine.queue_drain(&name, &caller).await)?;
    Ok(Json(moved(name, operation)))
}

/// `POST /api/v1/queues/{name}/resume`.
pub async fn resume(
    State(app): State<Arc<App>>,
    By(caller): By,
    Segment(name): Segment,
) -> Result<Json<Moved>, Refusal> {
    let operation = known(app.engine.queue_resume(&name, &caller).await)?;
    Ok(Json(moved(name, operation)))
}

/// `POST /api/v1/queues/{name}/weights`: a class that is not named keeps its weight.
pub async fn weights(
    State(app): State<Arc<App>>,
    By(caller): By,
    Segment(name): Segment,
    Input(order): Input<SetWeights>,
) -> Result<Json<Moved>, Refusal> {
    let named = [order.high, order.normal, order.low];
    if order.reset == named.iter().any(Option::is_some) {
        let message = format!("set the weights of queue {name}: name at least one class, or only reset");
        return Err(Refusal::invalid("high", message)
            .fix(format!("hale queues weights {name} --high 6 --normal 3 --low 1")));
    }
    let queue = known(app.engine.queue(&name).await)?;
    let weights = (!order.reset).then(|| {
        let mut weights = [0; 3];
        for (class, (weight, named)) in queue.classes.iter().zip(weights.iter_mut().zip(named)) {
            *weight = named.unwrap_or(class.weight);
        }
        weights
    });
    let operation = known(app.engine.queue_weights(&name, weights, &caller).await)?;
    Ok(Json(moved(name, operation)))
}

/// `POST /api/v1/queues/{name}/purge`.
pub async fn purge(
    State(app): State<Arc<App>>,
    By(caller): By,
    Segment(name): Segment,
    Input(order): Input<PurgeQueue>,
) -> Result<Json<Cleared>, Refusal> {
    let chosen = waiting(&app, &name, &order.filter)?;
    let bulk = known(app.engine.purge(&chosen, dry(order.dry_run), &caller).await)?;
    Ok(Json(cleared(
        bulk,
        order.dry_run,
        "hale runs list status:cancelled; then, for each: hale runs retry RUN",
    )))
}

/// `POST /api/v1/queues/{name}/move-stuck`.
pub async fn move_stuck(
    State(app): State<Arc<App>>,
    By(caller): By,
    Segment(name): Segment,
    Input(order): Input<MoveStuck>,
) -> Result<Json<Cleared>, Refusal> {
    let older_than = span("older_than", &order.older_than)?;
    let chosen = waiting(&app, &name, &order.filter)?;
    let bulk = known(app.engine.move_stuck(&chosen, (older_than, dry(order.dry_run)), &caller).await)?;
    Ok(Json(cleared(
        bulk,
        order.dry_run,
        "hale runs list status:failed; then, for each: hale runs retry RUN",
    )))
}

/// `GET /api/v1/limits`.
pub async fn limits(State(app): State<Arc<App>>) -> Json<LimitsSet> {
    let limits = app.engine.limits_set().into_iter().map(|(key, limit)| (key, limit.to_string())).collect();
    Json(LimitsSet { schema: "hale.limits/1".to_owned(), limits })
}

/// `POST /api/v1/limits`.
pub async fn limit(
    State(app): State<Arc<App>>,
    By(caller): By,
    Input(order): Input<SetLimit>,
) -> Result<Json<Moved>, Refusal> {
    let operation = set_limit(&app, &order, &caller).await?;
    Ok(Json(moved(order.key, operation)))
}

async fn set_limit(app: &App, order: &SetLimit, caller: &Caller) -> Result<OperationId, Refusal> {
    let rate = order.rate.as_deref().map(|text| {
        let rate = text.parse();
        rate.map_err(|error: hale_core::limiter::Error| Refusal::invalid("rate", error.to_string()))
    });
    let limit = Limit { concurrency: order.concurrency, rate: rate.transpose()? };
    let done = match order.key.strip_prefix("tool:") {
        Some(_) if limit.rate.is_some() => {
            let message =
                format!("limit the rate of {}: a tool has a limit of calls at a time only", order.key);
            return Err(Refusal::invalid("rate", message));
        }
        Some(tool) => app.engine.tool_limit(tool, limit.concurrency, caller).await,
        None => app.engine.key_limit(&order.key, Some(limit).filter(|limit| !limit.is_none()), caller).await,
    };
    done.map_err(|failure| Refusal::from(failure).field("key"))
}

/// The runs that wait in a queue and that a filter takes; every queue only with something that narrows.
fn waiting(app: &App, name: &str, text: &str) -> Result<Chosen, Refusal> {
    let filter = chosen(text, app.engine.now())?;
    if filter.states.iter().any(|state| *state != StateName::Pending) {
        let message =
            "take runs out of a queue that are in another state than pending: only those wait there";
        return Err(Refusal::invalid("filter", message).fix("hale runs cancel status:running --dry-run"));
    }
    let queue = (name != EVERY).then(|| name.to_owned());
    if queue.is_none() && filter == hale_core::filter::Filter::default() {
        let message = "take every run out of every queue: name a queue, or narrow it, for example pack:NAME";
        return Err(Refusal::invalid("filter", message).fix("hale queues list"));
    }
    Ok(Chosen { queue, filter })
}

fn known<T>(result: Result<T, Failure>) -> Result<T, Refusal> {
    result.map_err(|failure| {
        let missing = failure.cause == "queue.not_found";
        let refusal = Refusal::from(failure);
        if missing { refusal.field("name").fix("hale queues list") } else { refusal }
    })
}

fn dry(dry_run: bool) -> DryRun {
    if dry_run { DryRun::Yes } else { DryRun::No }
}

fn moved(target: String, operation: OperationId) -> Moved {
    let undo = format!("hale operations undo {operation}");
    Moved { schema: "hale.operation/1".to_owned(), target, operation: operation.to_string(), undo }
}

fn cleared(bulk: Bulk, dry_run: bool, recover: &str) -> Cleared {
    Cleared {
        schema: "hale.cleared/1".to_owned(),
        dry_run,
        matched: bulk.matched,
        changed: bulk.changed,
        left: bulk.left.into_iter().map(|(run, why)| (run.to_string(), why)).collect(),
        recover: recover.to_owned(),
    }
}

fn shown(queue: QueueInfo) -> QueueView {
    let class = |class: hale_engine::facade::queues::ClassInfo| ClassView {
        priority: class.priority.name().to_owned(),
        weight: class.weight,
        depth: class.depth,
        oldest_ms: class.oldest.0,
        arrived_per_minute: class.arrived,
        served_per_minute: class.served,
        starves: class.starves,
    };
    let key = |key: hale_engine::facade::queues::KeyInfo| KeyDepth {
        key: key.key,
        depth: key.depth,
        oldest_ms: key.oldest.0,
        running: key.going,
        limit: Some(key.limit).filter(|limit| !limit.is_none()).map(|limit| limit.to_string()),
        held: key.held,
    };
    QueueView {
        schema: "hale.queue/1".to_owned(),
        name: queue.name,
        depth: queue.depth,
        oldest_ms: queue.oldest.0,
        drained_by: queue.paused,
        workers: queue.workers,
        slots: queue.slots,
        unserved: queue.unserved,
        classes: queue.classes.into_iter().map(class).collect(),
        keys: queue.keys.into_iter().map(key).collect(),
        packs: queue.packs,
    }
}
