//! Signals of model calls: of the affected model, from the last calls of this server and of its worker processes.
//!
//! Read next: `hale-gateway/src/stats.rs`.

use super::WINDOW;
use crate::facade::Engine;
use hale_core::time::{Millis, Timestamp};
use hale_gateway::stats::CallRecord;
use hale_playbooks::evidence::{Builder, Reason};
use hale_playbooks::value::Value;
use std::collections::BTreeMap;

/// A call that takes longer is slow.
const SLOW: Millis = Millis::seconds(10);

/// `run_model` is the model of the run in question; without one the model with the most errors is meant.
pub(super) fn read(
    engine: &Engine,
    builder: Builder,
    (run_model, now): (Option<String>, Timestamp),
) -> Builder {
    let calls = engine.gateway().stats().calls();
    let lately: Vec<&CallRecord> = calls.iter().filter(|call| call.at >= now - WINDOW).collect();
    let model = run_model.or_else(|| worst(&lately)).unwrap_or_else(|| engine.config().default_model.clone());
    let of_model: Vec<&CallRecord> = lately.iter().copied().filter(|call| call.model == model).collect();
    let errors = |cause: Option<&str>| last_of(&of_model, cause);
    let builder = builder
        .known("llm.model", Value::Text(model.clone()), "gateway")
        .known("llm.provider", Value::Text(provider(&model).to_owned()), "gateway")
        .known("llm.calls_5m", int(of_model.len()), "gateway")
        .known("llm.errors_5m", int(of_model.iter().filter(|call| call.cause.is_some()).count()), "gateway");
    let builder =
        errors_of(builder, ("llm.error_last_age", "llm.ok_since_error"), (&of_model, errors(None), now));
    let builder = counted(builder, ("rate_limited", "llm.rate_limited"), (&of_model, now));
    let builder = counted(builder, ("key_refused", "llm.key_refused"), (&of_model, now));
    let builder = fallback(engine, builder, (&model, &lately));
    let builder = speed(builder, &of_model);
    match engine.gateway().key_source(provider(&model)) {
        Some(source) => builder.known("llm.key_source", Value::Text(source), "gateway"),
        None => builder.unknown("llm.key_source", Reason::Missing, "no such provider"),
    }
}

fn provider(model: &str) -> &str {
    model.split_once('/').map_or(model, |(provider, _)| provider)
}

fn int(n: usize) -> Value {
    Value::Int(i64::try_from(n).unwrap_or(i64::MAX))
}

/// The model with the most errors.
fn worst(calls: &[&CallRecord]) -> Option<String> {
    let mut errors: BTreeMap<&str, usize> = BTreeMap::new();
    for call in calls.iter().filter(|call| call.cause.is_some()) {
        *errors.entry(&call.model).or_default() += 1;
    }
    errors.into_iter().max_by_key(|(_, n)| *n).map(|(model, _)| model.to_owned())
}

fn last_of(calls: &[&CallRecord], cause: Option<&str>) -> Option<usize> {
    calls.iter().rposition(|call| match cause {
        Some(cause) => call.cause.as_deref() == Some(cause),
        None => call.cause.is_some(),
    })
}

fn errors_of(
    builder: Builder,
    (age, ok_since): (&str, &str),
    (calls, last, now): (&[&CallRecord], Option<usize>, Timestamp),
) -> Builder {
    match last {
        Some(at) => {
            let ok = calls[at..].iter().filter(|call| call.cause.is_none()).count();
            builder.known(age, Value::Duration(now.since(calls[at].at)), "gateway").known(
                ok_since,
                int(ok),
                "gateway",
            )
        }
        None => builder.unknown(age, Reason::Missing, "there was none in the last 5 minutes").known(
            ok_since,
            int(calls.iter().filter(|call| call.cause.is_none()).count()),
            "gateway",
        ),
    }
}

fn counted(
    builder: Builder,
    (name, cause): (&str, &str),
    (calls, now): (&[&CallRecord], Timestamp),
) -> Builder {
    let n = calls.iter().filter(|call| call.cause.as_deref() == Some(cause)).count();
    let (age, ok) = (format!("llm.{name}_last_age"), format!("llm.ok_since_{name}"));
    let builder = builder.known(&format!("llm.{name}_5m"), int(n), "gateway");
    errors_of(builder, (&age, &ok), (calls, last_of(calls, Some(cause)), now))
}

fn fallback(engine: &Engine, builder: Builder, (model, lately): (&str, &[&CallRecord])) -> Builder {
    let set = engine.settings().fallback(model);
    let used: Vec<String> = engine
        .packs()
        .iter()
        .filter(|pack| pack.manifest.model.as_deref().unwrap_or(&engine.config().default_model) == model)
        .flat_map(|pack| pack.manifest.fallback.clone())
        .collect();
    let configured = set.iter().chain(&used).any(|other| other != model);
    let since = last_of(lately, None).and_then(|_| {
        lately.iter().rev().find(|call| call.model == model && call.cause.is_some()).map(|call| call.at)
    });
    let ok = lately
        .iter()
        .filter(|call| call.cause.is_none() && call.instead_of.as_deref() == Some(model))
        .filter(|call| since.is_none_or(|since| call.at >= since))
        .count();
    builder
        .known("llm.fallback_configured", Value::Bool(configured), "settings")
        .known("llm.fallback_candidate", Value::Text(candidate(engine, model)), "settings")
        .known("llm.fallback_ok_5m", int(ok), "gateway")
}

/// Another model that hale knows of: of a pack, the default, or what the operator named as spare.
fn candidate(engine: &Engine, model: &str) -> String {
    let packs = engine.packs();
    let of_packs = packs.iter().flat_map(|pack| pack.manifest.fallback.iter().chain(&pack.manifest.model));
    let known = engine.config().spare_models.iter().chain(of_packs).chain([&engine.config().default_model]);
    known.into_iter().find(|other| *other != model).cloned().unwrap_or_default()
}

fn speed(builder: Builder, calls: &[&CallRecord]) -> Builder {
    let mut times: Vec<Millis> = calls.iter().map(|call| call.latency).collect();
    times.sort_unstable();
    let Some(last) = times.len().checked_sub(1) else {
        return builder.unknown("llm.p95_latency", Reason::Missing, "no call in the last 5 minutes").unknown(
            "llm.slow_share",
            Reason::Missing,
            "no call in the last 5 minutes",
        );
    };
    let slow = times.iter().filter(|time| **time > SLOW).count();
    builder.known("llm.p95_latency", Value::Duration(times[last * 95 / 100]), "gateway").known(
        "llm.slow_share",
        Value::Num(slow as f64 / times.len() as f64),
        "gateway",
    )
}
