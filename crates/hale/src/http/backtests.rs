//! Back-tests over HTTP: runs of the pack `backtest` in the words of back-tests.
//!
//! Nothing is kept beside the run: an id is the run's own in another form, status and stages are read from its journal,
//! metrics and equity from its results.
//! Read next: [`super::runs`]; [`classes`], what a failure is called.

mod classes;

use super::App;
use super::extract::{Asked, Input, Segment, Segments, Shape};
use super::guard::By;
use super::problem::Refusal;
use super::{runs, view};
use crate::wire::Page;
use crate::wire::backtests::{BacktestView, EquityPoint, EquityView, StageView, StartBacktest};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hale_core::code::Code;
use hale_core::id::RunId;
use hale_core::limits;
use hale_core::run::event::Artifact;
use hale_core::run::{Event, Record, Run, StateName};
use hale_core::time::Timestamp;
use hale_engine::Submit;
use hale_store::StoredRun;
use http::header::LOCATION;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

/// The pack that runs back-tests.
pub const PACK: &str = "backtest";
/// The result that a back-test is for.
const RESULT: &str = "backtest-result.json";
/// The prefix of a back-test's id.
const PREFIX: &str = "bt-";
/// Points of an equity curve unless asked otherwise, and at most: more than any screen has columns.
const POINTS: usize = 500;
const POINTS_MAX: usize = 5_000;

impl Shape for StartBacktest {}

/// `bt-` and the letters of the run's id: the same 128 bits, so that either gives the other.
pub fn id_of(run: RunId) -> String {
    format!("{PREFIX}{}", run.to_string().trim_start_matches("run_").to_ascii_lowercase())
}

/// The run of a back-test's id; the run's own id will do as well.
pub fn run_of(id: &str) -> Result<RunId, Refusal> {
    let bare = id.strip_prefix(PREFIX).or_else(|| id.strip_prefix("run_")).unwrap_or(id);
    format!("run_{}", bare.to_ascii_uppercase()).parse().map_err(|_| missing(id))
}

fn missing(id: &str) -> Refusal {
    let message = format!("find the back-test {id:?}");
    Refusal::new(Code::E010, "backtest.not_found", message).field("id").fix("hale backtests list")
}

/// `POST /api/v1/backtests`.
pub async fn start(
    State(app): State<Arc<App>>,
    By(caller): By,
    headers: HeaderMap,
    Input(order): Input<StartBacktest>,
) -> Result<Response, Refusal> {
    if order.csv.is_some() == order.data.is_some() {
        let message =
            "start a back-test: give the prices in csv, or name a file of the server in data, one of the two";
        return Err(Refusal::invalid("csv", message).fix("hale backtests start --prices prices.csv"));
    }
    let submit = Submit {
        pack: PACK.to_owned(),
        input: serde_json::to_value(&order).unwrap_or_default(),
        idempotency: runs::idempotency_key(&headers)?,
        ..Submit::default()
    };
    let receipt = app.engine.submit(submit, &caller).await.map_err(|failure| {
        let unknown = failure.code == Code::E001;
        let refusal = Refusal::from(failure);
        if unknown { refusal.fix("hale packs deploy packs/backtest.md") } else { refusal }
    })?;
    let run = receipt.run.id;
    let shown = one(&app, app.engine.run(run).await?).await?;
    let status = if receipt.duplicate { StatusCode::OK } else { StatusCode::ACCEPTED };
    let place = format!("/api/v1/backtests/{}", shown.id);
    Ok((status, [(LOCATION, place)], Json(shown)).into_response())
}

/// `GET /api/v1/backtests`.
pub async fn list(
    State(app): State<Arc<App>>,
    Asked(query): Asked<runs::ListQuery>,
) -> Result<Json<Page<BacktestView>>, Refusal> {
    let now = app.engine.now();
    let filter = format!("{} pack:{PACK}", query.filter.as_deref().unwrap_or_default());
    let filter = runs::chosen(filter.trim(), now)?;
    let limit = view::page_size(query.limit)?;
    let after = match query.after.as_deref() {
        Some(text) => Some(hale_store::Cursor(run_of(text)?)),
        None => None,
    };
    let page = app.engine.runs(&filter, after, limit).await?;
    let shown = page.runs.iter().map(|run| {
        let mut shown = basic(run, now);
        shown.stage =
            app.engine.hub().doing(run.id).and_then(|doing| doing.note).map(|note| note.to_string());
        shown
    });
    Ok(Json(view::page("backtests", shown.collect(), page.next.map(|next| id_of(next.0)))))
}

/// `GET /api/v1/backtests/{id}`.
pub async fn show(State(app): State<Arc<App>>, Segment(id): Segment) -> Result<Json<BacktestView>, Refusal> {
    let stored = stored(&app, &id).await?;
    Ok(Json(one(&app, stored).await?))
}

/// `POST /api/v1/backtests/{id}/cancel`: ends the program with all its processes.
pub async fn cancel(
    State(app): State<Arc<App>>,
    By(caller): By,
    Segment(id): Segment,
    Input(order): Input<crate::wire::CancelRun>,
) -> Result<Json<BacktestView>, Refusal> {
    let run = stored(&app, &id).await?.run.id;
    app.engine.cancel(run, order.reason, &caller).await?;
    let stored = stored_run(&app, run).await?;
    Ok(Json(one(&app, stored).await?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EquityQuery {
    points: Option<usize>,
}

/// `GET /api/v1/backtests/{id}/equity`.
pub async fn equity(
    State(app): State<Arc<App>>,
    Segment(id): Segment,
    Asked(query): Asked<EquityQuery>,
) -> Result<Json<EquityView>, Refusal> {
    let points = query.points.unwrap_or(POINTS);
    if !(2..=POINTS_MAX).contains(&points) {
        let message = format!("choose {points} points: between 2 and {POINTS_MAX} are given");
        return Err(Refusal::invalid("points", message));
    }
    let stored = stored(&app, &id).await?;
    let result = result(&app, &stored).await?.ok_or_else(|| no_result(&stored))?;
    let bars = result["equity"].as_array().cloned().unwrap_or_default();
    let number = |value: &Value| value.as_f64().unwrap_or(0.0);
    let last = bars.len().saturating_sub(1);
    let n = points.min(bars.len());
    let chosen = (0..n).filter_map(|place| bars.get(place * last / n.saturating_sub(1).max(1)));
    let points = chosen.map(|bar| EquityPoint {
        at: bar["at"].as_str().unwrap_or_default().to_owned(),
        equity_amount: number(&bar["equity_amount"]),
        drawdown_fraction: number(&bar["drawdown_fraction"]),
    });
    Ok(Json(EquityView {
        schema: "hale.equity/1".to_owned(),
        id: id_of(stored.run.id),
        initial_amount: number(&result["params"]["initial_capital"]),
        final_amount: number(&result["metrics"]["final_equity_amount"]),
        points: points.collect(),
        bars_count: bars.len() as u64,
        max_drawdown_fraction: bars.iter().map(|bar| number(&bar["drawdown_fraction"])).fold(0.0, f64::max),
    }))
}

/// `GET /api/v1/backtests/{id}/results`.
pub async fn results(
    State(app): State<Arc<App>>,
    Segment(id): Segment,
) -> Result<Json<Page<Artifact>>, Refusal> {
    let stored = stored(&app, &id).await?;
    Ok(Json(view::page("artifacts", stored.artifacts, None)))
}

/// `GET /api/v1/backtests/{id}/results/{name}`: the bytes.
pub async fn content(State(app): State<Arc<App>>, Segments(id, name): Segments) -> Result<Response, Refusal> {
    let run = stored(&app, &id).await?.run.id;
    runs::content(&app, run, &name).await
}

async fn stored(app: &App, id: &str) -> Result<StoredRun, Refusal> {
    let stored = stored_run(app, run_of(id)?).await?;
    if stored.run.pack.name.as_ref() == PACK { Ok(stored) } else { Err(missing(id)) }
}

async fn stored_run(app: &App, run: RunId) -> Result<StoredRun, Refusal> {
    let stored = app.engine.run(run).await;
    stored.map_err(|failure| if failure.code == Code::E010 { missing(&id_of(run)) } else { failure.into() })
}

fn no_result(stored: &StoredRun) -> Refusal {
    let (id, state) = (id_of(stored.run.id), stored.run.state.name());
    let message = format!("read the result of {id}: it has none, it is {state}");
    Refusal::new(Code::E010, "backtest.no_result", message).fix(format!("hale backtests show {id}"))
}

/// The result, if the back-test has one.
async fn result(app: &App, stored: &StoredRun) -> Result<Option<Value>, Refusal> {
    let Some(artifact) = stored.artifacts.iter().find(|artifact| artifact.name == RESULT) else {
        return Ok(None);
    };
    let bytes = app.engine.artifact(&artifact.hash).await?;
    Ok(serde_json::from_slice(&bytes).ok())
}

/// What is known of the run alone.
fn basic(run: &Run, now: Timestamp) -> BacktestView {
    let shown = view::run(run, now);
    let cause = shown.error.as_ref().map(|failure| failure.cause.clone());
    let class = classes::class(run.state.name(), shown.error.as_ref());
    BacktestView {
        schema: "hale.backtest/1".to_owned(),
        id: id_of(run.id),
        run_id: shown.id,
        status: status(run.state.name()).to_owned(),
        state: shown.state,
        stage: None,
        stages: Vec::new(),
        version: shown.version,
        correlation_id: shown.correlation_id,
        submitted_at: shown.submitted_at,
        started_at: shown.started_at,
        ended_at: shown.ended_at,
        duration_ms: shown.duration_ms,
        timeout_ms: shown.timeout_ms,
        worker: shown.worker,
        memory_limit_bytes: None,
        memory_peak_bytes: None,
        cpu_ms: None,
        params: None,
        advice: class.map(|class| classes::advice(class, cause.as_deref())).unwrap_or_default(),
        failure_class: class.map(str::to_owned),
        error: shown.error,
        metrics: None,
        results: Vec::new(),
    }
}

/// All that is known: with stages from the journal, metrics and results.
async fn one(app: &App, stored: StoredRun) -> Result<BacktestView, Refusal> {
    let run = &stored.run;
    let records = app.engine.history(run.id, 1, limits::PAGE_MAX).await?;
    let manifest = app.engine.registry().manifest(&run.pack);
    let steps = manifest.as_ref().map(|manifest| manifest.steps.clone()).unwrap_or_default();
    let doing = app.engine.hub().doing(run.id);
    let output = stored.output.as_deref().map(view::json).unwrap_or_default();
    let mut params = view::json(&stored.input);
    if let Some(csv) = params.get_mut("csv") {
        let bytes = csv.as_str().map_or(0, str::len);
        *csv = Value::String(format!("{bytes} bytes"));
    }
    let measured = |path: &str| output.pointer(path).and_then(Value::as_u64);
    Ok(BacktestView {
        stage: doing.and_then(|doing| doing.note).map(|note| note.to_string()),
        stages: stages(run, (&records, &steps)),
        memory_limit_bytes: measured("/memory/limit_bytes")
            .or_else(|| manifest.as_ref().and_then(|manifest| manifest.limits.memory)),
        memory_peak_bytes: measured("/memory/peak_bytes"),
        cpu_ms: measured("/cpu_ms"),
        params: Some(params),
        metrics: result(app, &stored).await?.map(|result| result["metrics"].clone()),
        results: stored.artifacts.clone(),
        ..basic(run, app.engine.now())
    })
}

const fn status(state: StateName) -> &'static str {
    match state {
        StateName::Pending | StateName::Initializing => "queued",
        StateName::Running | StateName::Completing => "running",
        StateName::Completed => "completed",
        StateName::Failed => "failed",
        StateName::Timeout => "timeout",
        StateName::Cancelled => "cancelled",
    }
}

/// The way from submission to the end, as far as the journal knows it.
fn stages(run: &Run, (records, steps): (&[Record], &[String])) -> Vec<StageView> {
    let first = |wanted: &dyn Fn(&Event) -> bool| {
        records.iter().find(|record| wanted(&record.event)).map(|record| record.at)
    };
    let mut way: Vec<(String, Option<Timestamp>)> = vec![
        ("submitted".to_owned(), Some(run.submitted_at)),
        ("claimed".to_owned(), first(&|event| matches!(event, Event::Leased { .. }))),
        ("launched".to_owned(), first(&|event| matches!(event, Event::StepDispatched { .. }))),
    ];
    for step in steps {
        let done = first(&|event| matches!(event, Event::StageCompleted { name, .. } if name == step));
        way.push((step.clone(), done));
    }
    way.push(("results".to_owned(), first(&|event| matches!(event, Event::Completing { .. }))));
    way.push(("ended".to_owned(), first(&|event| matches!(event, Event::Completed { .. }))));
    let over = run.is_terminal();
    let mut open = if over { "failed" } else { "running" };
    let shown = way.into_iter().map(|(name, at)| {
        let state = match at {
            Some(_) => "done",
            None => std::mem::replace(&mut open, "waiting"),
        };
        StageView { name, state: state.to_owned(), at: at.map(Timestamp::rfc3339) }
    });
    shown.collect()
}
