//! What runs ask people.
//!
//! Guarantees: the exact call is shown whole, escaped, never cut: a person answers for what stands there.
//! Read next: `cli/approvals.rs`.

use super::paint::{Look, Tone};
use super::table::{Cell, Column, Table, pairs};
use super::when;
use crate::logs::line::escaped;
use crate::wire::waits::ApprovalView;
use serde_json::Value;

/// `hale approvals list`.
pub fn table(asking: &[ApprovalView], look: &Look) -> Table {
    let mut table = Table::new(&[
        ("run", Column::Left),
        ("pack", Column::Left),
        ("kind", Column::Left),
        ("waits", Column::Right),
        ("until", Column::Left),
        ("question", Column::Text),
    ]);
    for asks in asking {
        let waits = when::coarse(hale_core::time::Millis(asks.waits_ms));
        let tone = if asks.stalled { Tone::Warn } else { Tone::Plain };
        let waits = if asks.stalled { format!("{} {waits}", look.glyphs.warn()) } else { waits };
        table.row(vec![
            Cell::from(asks.run.clone()),
            Cell::from(format!("{}@{}", asks.pack, asks.version)),
            Cell::from(asks.kind.clone()),
            Cell::new(waits, tone),
            Cell::from(when::moment(look, &asks.until)),
            Cell::from(asks.question.clone()),
        ]);
    }
    table
}

/// `hale approvals show`.
pub fn page(asks: &ApprovalView, look: &Look) -> String {
    let waits = when::span(asks.waits_ms);
    let stalled = if asks.stalled { look.warn("  for too long") } else { String::new() };
    let mut text = format!("{}  {}@{}\n", Tone::Strong.paint(&asks.run), asks.pack, asks.version);
    text.push_str(&pairs(&[
        ("asks", escaped(&asks.question)),
        ("step", format!("{}  {}", asks.index + 1, asks.tool)),
        ("waits", format!("{waits}{stalled}")),
        ("until", format!("{}, then {}", when::moment(look, &asks.until), then(asks))),
        ("answer with", answer_with(asks)),
    ]));
    if let Some(effect) = &asks.effect {
        text.push_str(&format!("\nthe exact call:\n{}\n", exact(effect)));
    }
    text
}

fn then(asks: &ApprovalView) -> &'static str {
    if asks.kind == "parked" { "the run times out" } else { "it counts as denied" }
}

/// The command that answers.
pub fn answer_with(asks: &ApprovalView) -> String {
    match asks.kind.as_str() {
        "parked" => format!("hale runs resolve {} --as retry", asks.run),
        _ => format!("hale approvals approve {}", asks.run),
    }
}

/// The JSON of a call, line by line, as it is sent: letters that have no shape or turn the direction of reading are
/// escaped, since they could make a line say something else than what is called.
fn exact(effect: &Value) -> String {
    let text = serde_json::to_string_pretty(effect).unwrap_or_else(|_| effect.to_string());
    let plain = |letter: char| {
        let hidden = matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        if hidden { letter.escape_unicode().to_string() } else { letter.to_string() }
    };
    text.lines().map(|line| escaped(line).chars().map(plain).collect()).collect::<Vec<String>>().join("\n")
}
