//! Schedules over HTTP.
//!
//! Read next: `hale-engine/src/schedules.rs`.

use super::App;
use super::extract::{Asked, Input, Segment, Shape};
use super::guard::By;
use super::problem::Refusal;
use super::runs::priority;
use super::view;
use crate::wire::schedules::{CreateSchedule, ScheduleView};
use crate::wire::{Page, RunView};
use axum::Json;
use axum::extract::State;
use hale_core::failure::Failure;
use hale_core::id::OperationId;
use hale_core::time::Timestamp;
use hale_engine::facade::schedules::ScheduleOrder;
use hale_engine::schedules::{Done, Overlap, Schedule};
use http::StatusCode;
use serde::Deserialize;
use std::sync::Arc;

impl Shape for CreateSchedule {}

/// Firings that are told without being asked for.
const NEXT: usize = 3;
/// Firings that may be asked for.
const NEXT_MAX: usize = 100;

/// `GET /api/v1/schedules`.
pub async fn list(State(app): State<Arc<App>>) -> Json<Page<ScheduleView>> {
    let now = app.engine.now();
    let all = app.engine.schedules();
    let items = all.iter().map(|(name, schedule, done)| shown((name, schedule, done), (now, NEXT))).collect();
    Json(view::page("schedules", items, None))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShowQuery {
    next: Option<usize>,
}

/// `GET /api/v1/schedules/{name}`.
pub async fn show(
    State(app): State<Arc<App>>,
    Segment(name): Segment,
    Asked(query): Asked<ShowQuery>,
) -> Result<Json<ScheduleView>, Refusal> {
    let n = query.next.unwrap_or(NEXT);
    if n > NEXT_MAX {
        return Err(Refusal::invalid("next", format!("tell the next {n} firings: at most {NEXT_MAX}")));
    }
    let (schedule, done) = known(app.engine.schedule(&name))?;
    Ok(Json(shown((&name, &schedule, &done), (app.engine.now(), n))))
}

/// `POST /api/v1/schedules`.
pub async fn create(
    State(app): State<Arc<App>>,
    By(caller): By,
    Input(order): Input<CreateSchedule>,
) -> Result<(StatusCode, Json<ScheduleView>), Refusal> {
    let overlap = match order.overlap.as_deref() {
        None | Some("skip") => Overlap::Skip,
        Some("queue") => Overlap::Queue,
        Some(other) => {
            let message = format!("read {other:?} as an overlap: write skip or queue");
            return Err(Refusal::invalid("overlap", message));
        }
    };
    let name = order.name.clone();
    let order = ScheduleOrder {
        name: order.name,
        pack: order.pack,
        version: order.version,
        input: if order.input.is_null() { serde_json::json!({}) } else { order.input },
        priority: priority(order.priority)?,
        cron: order.cron,
        tz: order.tz.unwrap_or_else(|| "UTC".to_owned()),
        catch_up: order.catch_up.unwrap_or(1),
        overlap,
    };
    let operation = app.engine.schedule_create(order, &caller).await.map_err(|failure| {
        let field = match failure.cause.as_str() {
            "schedule.invalid_cron" => "cron",
            "schedule.invalid_zone" => "tz",
            "schedule.invalid_name" => "name",
            "schedule.invalid_catch_up" => "catch_up",
            "run.invalid_input" => "input",
            _ => "pack",
        };
        Refusal::from(failure).field(field)
    })?;
    Ok((StatusCode::CREATED, Json(changed(&app, &name, operation)?)))
}

/// `POST /api/v1/schedules/{name}/pause`.
pub async fn pause(
    State(app): State<Arc<App>>,
    By(caller): By,
    Segment(name): Segment,
) -> Result<Json<ScheduleView>, Refusal> {
    let operation = known(app.engine.schedule_pause(&name, &caller).await)?;
    Ok(Json(changed(&app, &name, operation)?))
}

/// `POST /api/v1/schedules/{name}/resume`.
pub async fn resume(
    State(app): State<Arc<App>>,
    By(caller): By,
    Segment(name): Segment,
) -> Result<Json<ScheduleView>, Refusal> {
    let operation = known(app.engine.schedule_resume(&name, &caller).await)?;
    Ok(Json(changed(&app, &name, operation)?))
}

/// `POST /api/v1/schedules/{name}/trigger`.
pub async fn trigger(
    State(app): State<Arc<App>>,
    By(caller): By,
    Segment(name): Segment,
) -> Result<(StatusCode, Json<RunView>), Refusal> {
    let run = known(app.engine.schedule_trigger(&name, &caller).await)?;
    Ok((StatusCode::ACCEPTED, Json(view::run(&run, app.engine.now()))))
}

/// `DELETE /api/v1/schedules/{name}`: answers what it was.
pub async fn delete(
    State(app): State<Arc<App>>,
    By(caller): By,
    Segment(name): Segment,
) -> Result<Json<ScheduleView>, Refusal> {
    let (schedule, done) = known(app.engine.schedule(&name))?;
    let operation = known(app.engine.schedule_delete(&name, &caller).await)?;
    Ok(Json(told(shown((&name, &schedule, &done), (app.engine.now(), 0)), operation)))
}

fn changed(app: &App, name: &str, operation: OperationId) -> Result<ScheduleView, Refusal> {
    let (schedule, done) = known(app.engine.schedule(name))?;
    Ok(told(shown((name, &schedule, &done), (app.engine.now(), NEXT)), operation))
}

fn told(view: ScheduleView, operation: OperationId) -> ScheduleView {
    let undo = Some(format!("hale operations undo {operation}"));
    ScheduleView { operation: Some(operation.to_string()), undo, ..view }
}

fn known<T>(result: Result<T, Failure>) -> Result<T, Refusal> {
    result.map_err(|failure| {
        let missing = failure.cause == "schedule.not_found";
        let refusal = Refusal::from(failure);
        if missing { refusal.field("name").fix("hale schedules list") } else { refusal }
    })
}

fn shown((name, schedule, done): (&str, &Schedule, &Done), (now, next): (Timestamp, usize)) -> ScheduleView {
    let next = if schedule.paused { Vec::new() } else { schedule.next(now, next) };
    ScheduleView {
        schema: "hale.schedule/1".to_owned(),
        name: name.to_owned(),
        pack: schedule.pack.clone(),
        version: schedule.version.clone(),
        input: schedule.input.clone(),
        cron: schedule.cron.clone(),
        tz: schedule.tz.clone(),
        catch_up: schedule.catch_up,
        overlap: view::name(&schedule.overlap),
        paused: schedule.paused,
        by: schedule.by.clone(),
        next: next.into_iter().map(Timestamp::rfc3339).collect(),
        last_at: done.last.map(Timestamp::rfc3339),
        last_run: done.run.map(|run| run.to_string()),
        fired: done.fired,
        skipped: done.skipped,
        missed: done.missed,
        error: done.error.clone(),
        operation: None,
        undo: None,
    }
}
