//! An operation over many runs: its preview, its progress, what it did.
//!
//! Leaves to others: asking and watching (`cli/many.rs`).

use super::paint::{Look, Tone};
use super::table::{Column, Table, pairs};
use super::when;
use crate::wire::bulk::{BulkItemView, BulkView};
use std::collections::BTreeMap;

/// `12 match, 9 will be cancelled, 3 are left alone`.
pub fn preview(bulk: &BulkView, verb: &str, look: &Look) -> String {
    let most = if bulk.capped { "at least " } else { "" };
    let mut text = format!(
        "{}\n",
        look.good(&format!("{most}{} match, {} would be {}", bulk.matched, bulk.meant, past(verb)))
    );
    text.push_str(&list("matching", &bulk.groups));
    text.push_str(&list("left alone", &bulk.excluded));
    for example in &bulk.examples {
        text.push_str(&format!("  {}  {example}\n", Tone::Dim.paint("for example")));
    }
    text
}

fn past(verb: &str) -> String {
    match verb {
        "cancel" => "cancelled".to_owned(),
        "retry" => "retried".to_owned(),
        "redrive" => "redriven".to_owned(),
        other => format!("{other}ed"),
    }
}

fn list(name: &str, counts: &BTreeMap<String, u64>) -> String {
    let line = |(what, count): (&String, &u64)| format!("  {}  {count}  {what}\n", Tone::Dim.paint(name));
    counts.iter().map(line).collect()
}

/// One line while it works.
pub fn progress(bulk: &BulkView) -> String {
    let apart = match (bulk.left, bulk.failed) {
        (0, 0) => String::new(),
        (left, failed) => format!(", {left} left, {failed} failed"),
    };
    format!("{}  {}  {} of {} done{apart}", bulk.kind, bulk.state, bulk.done, bulk.meant)
}

/// What it did.
pub fn told(bulk: &BulkView, look: &Look) -> String {
    let line = format!("{} {}: {} of {} done", bulk.kind, bulk.state, bulk.done, bulk.meant);
    let mut text = match bulk.left + bulk.failed + bulk.waiting {
        0 => format!("{}\n", look.good(&line)),
        _ => format!("{}\n", Tone::Warn.paint(&line)),
    };
    for reason in &bulk.reasons {
        text.push_str(&format!(
            "  {}  {}  {}  (for example {})\n",
            Tone::Dim.paint(&reason.outcome),
            reason.count,
            reason.reason,
            reason.example
        ));
    }
    text.push_str(&list("not meant", &bulk.excluded));
    if bulk.waiting > 0 {
        text.push_str(&format!("  {}  {}\n", Tone::Dim.paint("not acted on"), bulk.waiting));
    }
    if bulk.capped {
        text.push_str("  there are more: ask again for the rest\n");
    }
    text
}

/// `hale operations show`.
pub fn page(bulk: &BulkView, look: &Look) -> String {
    let at = |moment: &Option<String>| {
        moment.as_deref().map(|moment| when::moment(look, moment)).unwrap_or_default()
    };
    let mut text = format!("{}\n", Tone::Strong.paint(bulk.id.as_deref().unwrap_or_default()));
    text.push_str(&pairs(&[
        ("kind", bulk.kind.clone()),
        ("state", bulk.state.clone()),
        ("filter", bulk.filter.clone()),
        ("by", bulk.by.clone().unwrap_or_default()),
        ("begun", at(&bulk.begun_at)),
        ("ended", at(&bulk.ended_at)),
        ("takes back", bulk.undoes.clone().unwrap_or_default()),
        ("undo", bulk.undo.clone().unwrap_or_default()),
    ]));
    text.push_str(&told(bulk, look));
    text
}

pub fn table(bulks: &[BulkView], look: &Look) -> Table {
    let mut table = Table::new(&[
        ("id", Column::Left),
        ("begun", Column::Left),
        ("by", Column::Left),
        ("kind", Column::Left),
        ("state", Column::Left),
        ("done", Column::Right),
        ("of", Column::Right),
        ("left", Column::Right),
        ("failed", Column::Right),
        ("filter", Column::Text),
    ]);
    for bulk in bulks {
        let begun = bulk.begun_at.as_deref().map(|at| when::moment(look, at)).unwrap_or_default();
        table.row(vec![
            bulk.id.clone().unwrap_or_default().into(),
            begun.into(),
            bulk.by.clone().unwrap_or_default().into(),
            bulk.kind.clone().into(),
            bulk.state.clone().into(),
            bulk.done.to_string().into(),
            bulk.meant.to_string().into(),
            bulk.left.to_string().into(),
            bulk.failed.to_string().into(),
            bulk.filter.clone().into(),
        ]);
    }
    table
}

pub fn items(items: &[BulkItemView]) -> Table {
    let mut table = Table::new(&[
        ("n", Column::Right),
        ("run", Column::Left),
        ("state", Column::Left),
        ("detail", Column::Text),
    ]);
    for item in items {
        table.row(vec![
            item.n.to_string().into(),
            item.run.clone().into(),
            item.state.clone().into(),
            item.detail.clone().into(),
        ]);
    }
    table
}
