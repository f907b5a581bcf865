//! Queues and limits for people.

use super::paint::{Look, Tone};
use super::table::{Cell, Column, Table, pairs};
use super::when;
use crate::wire::queues::{Cleared, LimitsSet, QueueView, Queues};

/// `hale queues list`.
pub fn list(queues: &Queues, look: &Look) -> String {
    let mut table = Table::new(&[
        ("queue", Column::Left),
        ("depth", Column::Right),
        ("oldest", Column::Right),
        ("in/min", Column::Right),
        ("out/min", Column::Right),
        ("workers", Column::Right),
        ("weights", Column::Left),
        ("note", Column::Text),
    ]);
    for queue in &queues.items {
        let sum = |of: fn(&crate::wire::queues::ClassView) -> u64| queue.classes.iter().map(of).sum::<u64>();
        let weights: Vec<String> = queue.classes.iter().map(|class| class.weight.to_string()).collect();
        let (tone, note) = note(queue);
        table.row(vec![
            Cell::from(queue.name.clone()),
            Cell::from(queue.depth.to_string()),
            Cell::from(if queue.depth == 0 { "-".to_owned() } else { when::span(queue.oldest_ms) }),
            Cell::from(sum(|class| class.arrived_per_minute).to_string()),
            Cell::from(sum(|class| class.served_per_minute).to_string()),
            Cell::from(queue.workers.to_string()),
            Cell::from(weights.join(":")),
            Cell::new(note, tone),
        ]);
    }
    let mut text = table.render(look);
    if queues.delayed > 0 {
        let next = queues.next_due_at.as_deref().map(|at| when::moment(look, at)).unwrap_or_default();
        text.push_str(&format!("\n{} runs wait for their time, the first {next}\n", queues.delayed));
    }
    text
}

/// What is worth saying beside the numbers.
fn note(queue: &QueueView) -> (Tone, String) {
    if let Some(by) = &queue.drained_by {
        return (Tone::Warn, format!("drained by {by}"));
    }
    if queue.unserved {
        return (Tone::Bad, "no live worker takes from it".to_owned());
    }
    let starving: Vec<&str> =
        queue.classes.iter().filter(|class| class.starves).map(|class| class.priority.as_str()).collect();
    if !starving.is_empty() {
        return (Tone::Warn, format!("{} starves", starving.join(", ")));
    }
    match queue.keys.iter().filter(|key| key.held).count() {
        0 => (Tone::Dim, String::new()),
        held => (Tone::Dim, format!("{held} keys at their limit")),
    }
}

fn waiting(queue: &QueueView) -> String {
    match queue.depth {
        0 => "no runs".to_owned(),
        depth => format!("{depth} runs, the oldest for {}", when::span(queue.oldest_ms)),
    }
}

/// `hale queues show`.
pub fn page(queue: &QueueView, look: &Look) -> String {
    let (_, note) = note(queue);
    let mut text = format!("{}\n", Tone::Strong.paint(&queue.name));
    text.push_str(&pairs(&[
        ("waiting", waiting(queue)),
        ("workers", format!("{} live, {} slots", queue.workers, queue.slots)),
        ("packs", queue.packs.join(", ")),
        ("note", note),
    ]));
    text.push('\n');
    let mut classes = Table::new(&[
        ("class", Column::Left),
        ("weight", Column::Right),
        ("depth", Column::Right),
        ("oldest", Column::Right),
        ("in/min", Column::Right),
        ("out/min", Column::Right),
        ("note", Column::Text),
    ]);
    for class in &queue.classes {
        classes.row(vec![
            Cell::from(class.priority.clone()),
            Cell::from(class.weight.to_string()),
            Cell::from(class.depth.to_string()),
            Cell::from(if class.depth == 0 { "-".to_owned() } else { when::span(class.oldest_ms) }),
            Cell::from(class.arrived_per_minute.to_string()),
            Cell::from(class.served_per_minute.to_string()),
            Cell::new(if class.starves { "starves" } else { "" }, Tone::Warn),
        ]);
    }
    text.push_str(&classes.render(look));
    if !queue.keys.is_empty() {
        text.push('\n');
        text.push_str(&keys(queue).render(look));
    }
    text
}

fn keys(queue: &QueueView) -> Table {
    let mut table = Table::new(&[
        ("key", Column::Left),
        ("depth", Column::Right),
        ("oldest", Column::Right),
        ("running", Column::Right),
        ("limit", Column::Left),
        ("note", Column::Text),
    ]);
    for key in &queue.keys {
        table.row(vec![
            Cell::from(key.key.clone()),
            Cell::from(key.depth.to_string()),
            Cell::from(when::span(key.oldest_ms)),
            Cell::from(key.running.to_string()),
            Cell::from(key.limit.clone().unwrap_or_default()),
            Cell::new(if key.held { "at its limit" } else { "" }, Tone::Dim),
        ]);
    }
    table
}

/// What operators limited.
pub fn limits(set: &LimitsSet, look: &Look) -> String {
    if set.limits.is_empty() {
        return "no limits are set; those of pack files hold\n".to_owned();
    }
    let mut table = Table::new(&[("key", Column::Left), ("limit", Column::Left)]);
    for (key, limit) in &set.limits {
        table.row(vec![Cell::from(key.clone()), Cell::from(limit.clone())]);
    }
    table.render(look)
}

/// What was taken out of a queue.
pub fn cleared(report: &Cleared, (deed, done): (&str, &str), look: &Look) -> String {
    let mut text = if report.dry_run {
        format!("would {deed}: {} runs\n", report.matched)
    } else {
        format!("{}\n", look.good(&format!("{done}: {} of {} runs", report.changed, report.matched)))
    };
    for (id, why) in &report.left {
        text.push_str(&format!("  {}  {id}  {why}\n", Tone::Dim.paint("left alone")));
    }
    text
}
