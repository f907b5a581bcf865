//! Tasks over HTTP: start, look, and ask who would take one.
//!
//! Read next: `hale-engine/src/facade/tasks.rs`.

use super::App;
use super::extract::{Input, Segment, Shape, id, span};
use super::guard::By;
use super::problem::Refusal;
use super::{runs, view};
use crate::wire::tasks::{RouteView, StartTask, TaskView};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::RunId;
use hale_core::routing::{Contract, Decision};
use hale_core::run::Priority;
use hale_core::time::Timestamp;
use hale_engine::facade::tasks::TaskOrder;
use hale_store::StoredRun;
use http::header::LOCATION;
use http::{HeaderMap, HeaderValue, StatusCode};
use std::sync::Arc;

impl Shape for StartTask {}

/// `POST /api/v1/tasks`.
pub async fn start(
    State(app): State<Arc<App>>,
    By(caller): By,
    headers: HeaderMap,
    Input(task): Input<StartTask>,
) -> Result<Response, Refusal> {
    let goal = task.goal.clone();
    let order = TaskOrder { idempotency: runs::idempotency_key(&headers)?, ..order(task)? };
    let started = app.engine.start_task(order, &caller).await;
    let (receipt, decision) = started.map_err(|failure| refused(failure, &goal))?;
    let stored = app.engine.run(receipt.run.id).await?;
    let shown = shown(&stored, decision, app.engine.now());
    let location = HeaderValue::from_str(&format!("/api/v1/tasks/{}", shown.id));
    let mut response = (StatusCode::ACCEPTED, Json(shown)).into_response();
    if let Ok(location) = location {
        response.headers_mut().insert(LOCATION, location);
    }
    if receipt.duplicate {
        response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// `POST /api/v1/tasks/route`: starts nothing.
pub async fn route(
    State(app): State<Arc<App>>,
    Input(task): Input<StartTask>,
) -> Result<Json<RouteView>, Refusal> {
    let goal = task.goal.clone();
    let decision = app.engine.route(&order(task)?).await.map_err(|failure| refused(failure, &goal))?;
    Ok(Json(RouteView {
        schema: "hale.route/1".to_owned(),
        arm: decision.arm.clone(),
        says: decision.says(),
        decision,
    }))
}

/// `GET /api/v1/tasks/{id}`.
pub async fn show(State(app): State<Arc<App>>, Segment(task): Segment) -> Result<Json<TaskView>, Refusal> {
    let run: RunId = id(&task)?;
    let missing = |failure: Failure| Refusal::from(failure).run(run.to_string()).fix("hale runs list");
    let stored = app.engine.run(run).await.map_err(missing)?;
    let Some(decision) = app.engine.decision(run).await.map_err(missing)? else {
        let message = format!("find task {run}: the run was started by the name of its pack, not routed");
        let refusal = Refusal::new(Code::E010, "task.not_found", message).run(run.to_string());
        return Err(refusal.fix(format!("hale runs show {run}")));
    };
    Ok(Json(shown(&stored, decision, app.engine.now())))
}

fn order(task: StartTask) -> Result<TaskOrder, Refusal> {
    let priority = task.priority.map(|name| match name.as_str() {
        "medium" => Ok(Priority::Normal),
        other => other.parse().map_err(|()| {
            let message = format!("read {other:?} as a priority: write high, normal (or medium) or low");
            Refusal::invalid("priority", message)
        }),
    });
    let contract = Contract {
        goal: task.goal,
        constraints: task.constraints,
        priority: priority.transpose()?,
        context: task.context,
    };
    contract.check().map_err(|flaw| {
        Refusal::invalid(&flaw.field, flaw.to_string())
            .fix("hale tasks start --goal \"Write a Python function\"")
    })?;
    let timeout = task.timeout.map(|text| span("timeout", &text)).transpose()?;
    Ok(TaskOrder { contract, input: task.input, timeout, idempotency: None })
}

/// Nobody can take it: what to look at next.
fn refused(failure: Failure, goal: &str) -> Refusal {
    match (failure.cause.as_str(), failure.chain.is_empty()) {
        ("task.no_arm", true) => Refusal::from(failure).fix("hale arms install"),
        ("task.no_arm", false) => {
            let quoted: String =
                goal.chars().filter(|c| !c.is_control() && !"\"`$\\".contains(*c)).take(80).collect();
            Refusal::from(failure).fix(format!("hale arms score --goal \"{quoted}\""))
        }
        _ => Refusal::from(failure),
    }
}

fn shown(stored: &StoredRun, decision: Decision, now: Timestamp) -> TaskView {
    let run = view::stored(stored, now);
    TaskView {
        schema: "hale.task/1".to_owned(),
        id: run.id.clone(),
        task_id: run.id.clone(),
        goal: decision.contract.goal.clone(),
        status: run.state.to_lowercase(),
        arm: decision.arm.clone(),
        says: decision.says(),
        created_at: run.submitted_at.clone(),
        updated_at: stored.run.progress_at.max(stored.run.state.since()).rfc3339(),
        decision,
        output: run.output.clone(),
        error: run.error.clone(),
        run,
    }
}
