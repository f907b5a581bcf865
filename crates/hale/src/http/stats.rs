//! Statistics of runs over HTTP, from a sample whose size the answer tells; and the audit trail of one run.
//!
//! Read next: `hale-engine/src/facade/stats.rs`.

use super::App;
use super::extract::{Asked, Segment, id};
use super::problem::Refusal;
use super::runs::{chosen, of};
use super::view;
use crate::wire::stats::{ErrorRateView, PackStatsView, SlowView, SpreadView, StageStatsView, StatsReport};
use crate::wire::{OperationView, Page};
use axum::Json;
use axum::extract::State;
use hale_core::id::RunId;
use hale_engine::facade::stats::{ErrorRate, PackStats, Sample, Slow, Spread, StageStats};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatsQuery {
    filter: Option<String>,
    limit: Option<u32>,
}

/// `GET /api/v1/stats`.
pub async fn packs(
    State(app): State<Arc<App>>,
    Asked(query): Asked<StatsQuery>,
) -> Result<Json<StatsReport>, Refusal> {
    let filter = chosen(query.filter.as_deref().unwrap_or_default(), app.engine.now())?;
    let (sample, packs) = app.engine.stats(&filter).await?;
    Ok(Json(StatsReport { packs: packs.iter().map(pack).collect(), ..report(query, sample) }))
}

/// `GET /api/v1/stats/latency`.
pub async fn latency(
    State(app): State<Arc<App>>,
    Asked(query): Asked<StatsQuery>,
) -> Result<Json<StatsReport>, Refusal> {
    let filter = chosen(query.filter.as_deref().unwrap_or_default(), app.engine.now())?;
    let (sample, stages) = app.engine.latency(&filter).await?;
    Ok(Json(StatsReport { stages: stages.into_iter().map(stage).collect(), ..report(query, sample) }))
}

/// `GET /api/v1/stats/errors`.
pub async fn errors(
    State(app): State<Arc<App>>,
    Asked(query): Asked<StatsQuery>,
) -> Result<Json<StatsReport>, Refusal> {
    let filter = chosen(query.filter.as_deref().unwrap_or_default(), app.engine.now())?;
    let (sample, errors) = app.engine.error_rates(&filter).await?;
    Ok(Json(StatsReport { errors: errors.into_iter().map(error).collect(), ..report(query, sample) }))
}

/// `GET /api/v1/stats/slow`.
pub async fn slow(
    State(app): State<Arc<App>>,
    Asked(query): Asked<StatsQuery>,
) -> Result<Json<StatsReport>, Refusal> {
    let filter = chosen(query.filter.as_deref().unwrap_or_default(), app.engine.now())?;
    let limit = view::page_size(query.limit.or(Some(10)))?;
    let (sample, slow) = app.engine.slowest(&filter, limit).await?;
    Ok(Json(StatsReport { slow: slow.into_iter().map(slowest).collect(), ..report(query, sample) }))
}

/// `GET /api/v1/runs/{id}/audit`.
pub async fn audit(
    State(app): State<Arc<App>>,
    Segment(run): Segment,
) -> Result<Json<Page<OperationView>>, Refusal> {
    let run: RunId = id(&run)?;
    of(run, app.engine.run(run).await)?;
    let rows = app.engine.operations_of(run, hale_core::limits::PAGE_MAX).await?;
    Ok(Json(view::page("operations", view::operations(&rows), None)))
}

fn report(query: StatsQuery, sample: Sample) -> StatsReport {
    StatsReport {
        schema: "hale.stats/1".to_owned(),
        filter: query.filter.unwrap_or_default(),
        sampled_runs: sample.runs,
        sampled_journals: sample.journals,
        capped: sample.capped,
        ..StatsReport::default()
    }
}

fn spread(spread: Spread) -> SpreadView {
    let Spread { n, p50, p95, p99, max } = spread;
    SpreadView { n, p50_ms: p50.0, p95_ms: p95.0, p99_ms: p99.0, max_ms: max.0 }
}

fn pack(stats: &PackStats) -> PackStatsView {
    PackStatsView {
        pack: stats.pack.clone(),
        runs: stats.runs,
        by_state: stats.by_state.iter().map(|(state, n)| (state.to_string(), *n)).collect(),
        success_share: stats.success,
        took: spread(stats.took),
        counted_runs: stats.counted,
        input_tokens: stats.input_tokens,
        output_tokens: stats.output_tokens,
    }
}

fn stage(stats: StageStats) -> StageStatsView {
    StageStatsView { pack: stats.pack, stage: stats.stage, took: spread(stats.took) }
}

fn error(rate: ErrorRate) -> ErrorRateView {
    ErrorRateView {
        pack: rate.pack,
        code: rate.code.to_string(),
        cause: rate.cause,
        origin: rate.origin,
        count: rate.count,
        share: rate.share,
        first: rate.first.rfc3339(),
        last: rate.last.rfc3339(),
        example: rate.example.to_string(),
    }
}

fn slowest(slow: Slow) -> SlowView {
    SlowView {
        run: slow.run.id.to_string(),
        pack: slow.run.pack.name.to_string(),
        state: slow.run.state.name().to_string(),
        took_ms: slow.took.0,
        parts_ms: slow.profile.parts().into_iter().map(|(name, took)| (name, took.0)).collect(),
    }
}
