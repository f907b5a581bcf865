//! Dead letters: groups, a list, one.
//!
//! Leaves to others: why a run failed ([`super::diagnosis`]).

use super::paint::{Look, Tone};
use super::table::{Column, Table, pairs};
use super::when;
use crate::wire::dlq::{LetterGroups, LetterView, QuarantineView};

/// By cause, each with the command to type next.
pub fn groups(groups: &LetterGroups, look: &Look) -> String {
    if groups.items.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&[
        ("cause", Column::Left),
        ("letters", Column::Right),
        ("first", Column::Left),
        ("last", Column::Left),
        ("next", Column::Left),
    ]);
    for group in &groups.items {
        table.row(vec![
            group.cause.clone().into(),
            group.count.to_string().into(),
            when::moment(look, &group.first).into(),
            when::moment(look, &group.last).into(),
            super::table::Cell::new(group.next.clone(), Tone::Dim),
        ]);
    }
    let more = if groups.capped { "more than " } else { "" };
    let letters = if groups.total == 1 { "dead letter" } else { "dead letters" };
    format!("{}\n{more}{} {letters}\n", table.render(look), groups.total)
}

pub fn table(letters: &[LetterView], look: &Look) -> Table {
    let mut table = Table::new(&[
        ("run", Column::Left),
        ("died", Column::Left),
        ("pack", Column::Left),
        ("queue", Column::Left),
        ("cause", Column::Left),
        ("resolution", Column::Text),
    ]);
    for letter in letters {
        table.row(vec![
            letter.run.clone().into(),
            when::moment(look, &letter.at).into(),
            letter.pack.clone().into(),
            letter.queue.clone().into(),
            letter.cause.clone().into(),
            letter.resolution.clone().unwrap_or_default().into(),
        ]);
    }
    table
}

pub fn page(letter: &LetterView, look: &Look) -> String {
    let mut text = format!("{}\n", Tone::Strong.paint(&letter.run));
    text.push_str(&pairs(&[
        ("cause", letter.cause.clone()),
        ("pack", letter.pack.clone()),
        ("queue", letter.queue.clone()),
        ("died", when::moment(look, &letter.at)),
        ("resolution", letter.resolution.clone().unwrap_or_default()),
        ("by", letter.resolved_by.clone().unwrap_or_default()),
    ]));
    text
}

/// Packs that are held back.
pub fn quarantine(items: &[QuarantineView], look: &Look) -> Table {
    let mut table = Table::new(&[
        ("pack", Column::Left),
        ("since", Column::Left),
        ("reason", Column::Left),
        ("runs", Column::Text),
    ]);
    for item in items {
        let runs: Vec<&str> = item.evidence.iter().map(|kill| kill.run.as_str()).collect();
        table.row(vec![
            item.pack.clone().into(),
            when::moment(look, &item.since).into(),
            item.reason.clone().into(),
            runs.join(" ").into(),
        ]);
    }
    table
}
