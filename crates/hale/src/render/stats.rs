//! Statistics of runs as tables.
//!
//! Leaves to others: what the numbers are of (the commands say it beside the table).

use super::paint::{Look, Tone};
use super::table::{Cell, Column, Table, pairs};
use super::when;
use crate::wire::stats::{ErrorRateView, PackStatsView, SlowView, SpreadView, StageStatsView};
use hale_core::run::profile::{Profile, Spent};
use std::collections::BTreeMap;

fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}

fn spread(spread: &SpreadView) -> [Cell; 3] {
    [spread.p50_ms, spread.p95_ms, spread.p99_ms].map(|ms| when::span(ms).into())
}

pub fn packs(packs: &[PackStatsView]) -> Table {
    let mut table = Table::new(&[
        ("pack", Column::Left),
        ("runs", Column::Right),
        ("success", Column::Right),
        ("p50", Column::Right),
        ("p95", Column::Right),
        ("p99", Column::Right),
        ("tokens/run", Column::Right),
        ("states", Column::Text),
    ]);
    for pack in packs {
        let states: Vec<String> = pack.by_state.iter().map(|(state, n)| format!("{n} {state}")).collect();
        let tokens = (pack.input_tokens + pack.output_tokens).checked_div(pack.counted_runs);
        let [p50, p95, p99] = spread(&pack.took);
        table.row(vec![
            pack.pack.clone().into(),
            pack.runs.to_string().into(),
            pack.success_share.map(percent).unwrap_or_default().into(),
            p50,
            p95,
            p99,
            tokens.filter(|tokens| *tokens > 0).map(|tokens| tokens.to_string()).unwrap_or_default().into(),
            states.join(", ").into(),
        ]);
    }
    table
}

pub fn stages(stages: &[StageStatsView]) -> Table {
    let mut table = Table::new(&[
        ("pack", Column::Left),
        ("stage", Column::Left),
        ("runs", Column::Right),
        ("p50", Column::Right),
        ("p95", Column::Right),
        ("p99", Column::Right),
        ("max", Column::Right),
    ]);
    for stage in stages {
        let [p50, p95, p99] = spread(&stage.took);
        table.row(vec![
            stage.pack.clone().into(),
            stage.stage.clone().into(),
            stage.took.n.to_string().into(),
            p50,
            p95,
            p99,
            when::span(stage.took.max_ms).into(),
        ]);
    }
    table
}

pub fn errors(errors: &[ErrorRateView], look: &Look) -> Table {
    let mut table = Table::new(&[
        ("pack", Column::Left),
        ("code", Column::Left),
        ("cause", Column::Left),
        ("origin", Column::Left),
        ("errors", Column::Right),
        ("of runs", Column::Right),
        ("last", Column::Left),
    ]);
    for error in errors {
        table.row(vec![
            error.pack.clone().into(),
            Cell::new(error.code.clone(), Tone::Bad),
            error.cause.clone().into(),
            error.origin.clone().into(),
            error.count.to_string().into(),
            percent(error.share).into(),
            when::moment(look, &error.last).into(),
        ]);
    }
    table
}

pub fn slow(slow: &[SlowView]) -> Table {
    let mut table = Table::new(&[
        ("run", Column::Left),
        ("state", Column::Left),
        ("pack", Column::Left),
        ("took", Column::Right),
        ("where", Column::Text),
    ]);
    for run in slow {
        table.row(vec![
            run.run.clone().into(),
            run.state.clone().into(),
            run.pack.clone().into(),
            when::span(run.took_ms).into(),
            parts(&run.parts_ms).into(),
        ]);
    }
    table
}

/// The longest first: `model 2.1s, queue 300ms`.
fn parts(parts: &BTreeMap<String, u64>) -> String {
    let mut parts: Vec<(&String, &u64)> = parts.iter().collect();
    parts.sort_by_key(|(_, ms)| std::cmp::Reverse(**ms));
    let told = parts.into_iter().map(|(name, ms)| format!("{name} {}", when::span(*ms)));
    told.collect::<Vec<_>>().join(", ")
}

/// `hale runs profile`.
pub fn profile(profile: &Profile, look: &Look) -> String {
    let mut table = Table::new(&[("part", Column::Left), ("time", Column::Right), ("share", Column::Right)]);
    for (name, took) in profile.parts() {
        let share = took.0 as f64 / profile.total.0.max(1) as f64;
        table.row(vec![name.into(), when::span(took.0).into(), percent(share).into()]);
    }
    let mut text = pairs(&[
        ("total", when::span(profile.total.0)),
        (
            "tokens",
            match profile.input_tokens + profile.output_tokens {
                0 => String::new(),
                _ => format!("{} in, {} out", profile.input_tokens, profile.output_tokens),
            },
        ),
    ]);
    text.push_str(&format!("\n{}", table.render(look)));
    if !profile.names.is_empty() {
        text.push_str(&format!("\n{}", names(&profile.names).render(look)));
    }
    text
}

fn names(names: &BTreeMap<String, Spent>) -> Table {
    let mut table = Table::new(&[
        ("step", Column::Left),
        ("times", Column::Right),
        ("self", Column::Right),
        ("longest", Column::Right),
    ]);
    let mut rows: Vec<(&String, &Spent)> = names.iter().collect();
    rows.sort_by_key(|(_, spent)| std::cmp::Reverse(spent.took));
    for (name, spent) in rows {
        table.row(vec![
            name.clone().into(),
            spent.count.to_string().into(),
            when::span(spent.took.0).into(),
            when::span(spent.longest.0).into(),
        ]);
    }
    table
}
