//! Back-tests: the list, one with its stages, and the equity curve drawn with letters.

use super::paint::{Glyphs, Look, Tone};
use super::table::{Cell, Column, Table, pairs};
use super::when;
use crate::wire::backtests::{BacktestView, EquityView};
use serde_json::Value;

/// Columns of a chart where the terminal does not say.
const CHART_COLUMNS: usize = 72;
/// Rows of a chart: enough to see a drawdown, few enough to fit above a prompt.
const CHART_ROWS: usize = 10;
/// Room for the amounts left of it.
const SCALE: usize = 12;

pub fn table(all: &[BacktestView], look: &Look) -> Table {
    let mut table = Table::new(&[
        ("id", Column::Left),
        ("status", Column::Left),
        ("submitted", Column::Left),
        ("took", Column::Right),
        ("stage", Column::Left),
        ("note", Column::Text),
    ]);
    for one in all {
        let note = one.error.as_ref().map(super::step::short).unwrap_or_default();
        table.row(vec![
            Cell::from(one.id.clone()),
            Cell::new(one.status.clone(), tone(one)),
            Cell::from(when::moment(look, &one.submitted_at)),
            Cell::from(when::span(one.duration_ms)),
            Cell::from(one.stage.clone().or_else(|| one.failure_class.clone()).unwrap_or_default()),
            Cell::new(note, Tone::Dim),
        ]);
    }
    table
}

fn tone(one: &BacktestView) -> Tone {
    match one.status.as_str() {
        "completed" => Tone::Good,
        "failed" | "timeout" => Tone::Bad,
        "cancelled" => Tone::Warn,
        _ => Tone::Plain,
    }
}

/// Id and status.
pub fn line(one: &BacktestView, _: &Look) -> String {
    format!("{}  {}\n", Tone::Strong.paint(&one.id), tone(one).paint(&one.status))
}

/// `hale backtests show`.
pub fn page(one: &BacktestView, look: &Look) -> String {
    let mut text = line(one, look);
    let memory = match (one.memory_peak_bytes, one.memory_limit_bytes) {
        (Some(peak), Some(limit)) => format!("{} of {} at its peak", when::bytes(peak), when::bytes(limit)),
        (None, Some(limit)) => format!("{} allowed", when::bytes(limit)),
        _ => String::new(),
    };
    let params = one.params.as_ref().and_then(Value::as_object).map(|params| {
        let shown = params.iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| {
            format!("{name} {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        });
        crate::logs::line::escaped(&shown.collect::<Vec<_>>().join(", "))
    });
    text.push_str(&pairs(&[
        ("run", one.run_id.clone()),
        ("asked", params.unwrap_or_default()),
        ("submitted", when::moment(look, &one.submitted_at)),
        ("took", format!("{} of {} allowed", when::span(one.duration_ms), when::span(one.timeout_ms))),
        ("worker", one.worker.clone().unwrap_or_default()),
        ("stages", stages(one, look)),
        ("memory", memory),
        ("cpu", one.cpu_ms.map(when::span).unwrap_or_default()),
        ("results", one.results.iter().map(|result| result.name.as_str()).collect::<Vec<_>>().join(", ")),
        ("failure", one.failure_class.clone().unwrap_or_default()),
        ("error", one.error.as_ref().map(super::run::error).unwrap_or_default()),
        ("advice", one.advice.join("\n")),
    ]));
    if let Some(metrics) = &one.metrics {
        text.push_str(&format!("\n{}", self::metrics(metrics)));
    }
    text
}

fn stages(one: &BacktestView, look: &Look) -> String {
    let shown = one.stages.iter().map(|stage| {
        let words = if stage.state == "running" { one.stage.clone() } else { None };
        let name = words.unwrap_or_else(|| stage.name.clone());
        match stage.state.as_str() {
            "done" => format!("{} {name}", Tone::Good.paint(look.glyphs.good())),
            "failed" => format!("{} {name}", Tone::Bad.paint(look.glyphs.bad())),
            "running" => format!("{} {name}", look.glyphs.note()),
            _ => Tone::Dim.paint(&format!("  {name}")),
        }
    });
    shown.collect::<Vec<_>>().join("\n")
}

fn metrics(metrics: &Value) -> String {
    let number = |path: &str| metrics.pointer(path).and_then(Value::as_f64);
    let percent = |path: &str| number(path).map(|part| format!("{:.2} %", part * 100.0)).unwrap_or_default();
    let plain = |path: &str| number(path).map(|number| format!("{number:.2}")).unwrap_or_default();
    let whole = |path: &str| number(path).map(|number| format!("{number:.0}")).unwrap_or_default();
    pairs(&[
        ("final equity", plain("/final_equity_amount")),
        ("total return", percent("/total_return_fraction")),
        ("buy and hold", percent("/buy_and_hold_return_fraction")),
        ("CAGR", percent("/cagr_fraction")),
        ("max drawdown", percent("/max_drawdown/depth_fraction")),
        ("Sharpe ratio", plain("/sharpe/ratio")),
        ("trades", whole("/trades_count")),
        ("won", percent("/win_rate_fraction")),
        ("fees paid", plain("/fees_amount")),
    ])
}

/// The curve in columns, with the highest and the lowest amount beside it.
pub fn chart(curve: &EquityView, look: &Look) -> String {
    let width = look.width.unwrap_or(CHART_COLUMNS + SCALE).saturating_sub(SCALE).clamp(10, 200);
    let n = curve.points.len();
    if n < 2 {
        return "the curve has fewer than two points\n".to_owned();
    }
    let amounts: Vec<f64> =
        (0..width).map(|column| curve.points[column * (n - 1) / (width - 1)].equity_amount).collect();
    let (low, high) = amounts
        .iter()
        .fold((f64::MAX, f64::MIN), |(low, high), amount| (low.min(*amount), high.max(*amount)));
    let steps: &[char] = match look.glyphs {
        Glyphs::Unicode => &['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'],
        Glyphs::Ascii => &['.', '#'],
    };
    let levels = (CHART_ROWS * steps.len()) as f64;
    let span = (high - low).max(f64::EPSILON);
    // From 1: the lowest amount is still a line.
    let heights: Vec<usize> =
        amounts.iter().map(|amount| 1 + ((amount - low) / span * (levels - 1.0)).round() as usize).collect();
    let mut text = String::new();
    for row in (0..CHART_ROWS).rev() {
        let scale = match row {
            0 => format!("{low:.2}"),
            top if top == CHART_ROWS - 1 => format!("{high:.2}"),
            _ => String::new(),
        };
        let cells = heights.iter().map(|height| match height.saturating_sub(row * steps.len()) {
            0 => ' ',
            over => steps[over.min(steps.len()) - 1],
        });
        let cells: String = cells.collect();
        text.push_str(format!("{scale:>width$}  {cells}", width = SCALE - 2).trim_end());
        text.push('\n');
    }
    let day = |at: &str| at.chars().take(10).collect::<String>();
    let (first, last) = (day(&curve.points[0].at), day(&curve.points[n - 1].at));
    text.push_str(&format!("{:SCALE$}{first}{last:>rest$}\n", "", rest = width.saturating_sub(first.len())));
    text.push_str(&format!(
        "{:SCALE$}{:.2} to {:.2} over {} bars, deepest {:.2} % below a peak\n",
        "",
        curve.initial_amount,
        curve.final_amount,
        curve.bars_count,
        curve.max_drawdown_fraction * 100.0
    ));
    text
}
