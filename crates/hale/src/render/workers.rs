//! Workers for people: who does what, how the kept processes stand, and what an end means.

use super::paint::{Look, Tone};
use super::table::{Cell, Column, Table, pairs};
use super::when;
use crate::wire::workers::{EndView, SeatView, WorkerView, Workers};

/// Comings and goings below a list.
const EVENTS: usize = 3;

/// `hale workers list`.
pub fn list(workers: &Workers, look: &Look) -> String {
    let (ended, live): (Vec<&WorkerView>, Vec<&WorkerView>) =
        workers.items.iter().partition(|worker| worker.status == "ended");
    let mut text = if live.is_empty() { String::new() } else { table(&live, look).render(look) };
    let troubled: Vec<&SeatView> = workers.seats.iter().filter(|seat| is_told(seat)).collect();
    if workers.wanted > 0 || !workers.seats.is_empty() {
        let by = if workers.wanted_by == "set" { "as an operator set" } else { "as configured" };
        let live = live.iter().filter(|worker| worker.seat.is_some()).count();
        let kept = workers.wanted;
        text.push_str(&format!(
            "\nthe server keeps {kept} worker processes, {by}; {live} of {kept} are live\n"
        ));
    }
    for seat in troubled {
        text.push_str(&format!("  {}\n", seat_line(seat, look)));
    }
    if ended.is_empty() && !workers.events.is_empty() {
        text.push_str("\nlast events\n");
        for event in workers.events.iter().take(EVENTS) {
            let seat = event.seat.map(|seat| format!(" in seat {seat}")).unwrap_or_default();
            let tone = if event.alarming { Tone::Bad } else { Tone::Plain };
            let when = when::moment(look, &event.at);
            text.push_str(&format!("  {when}  {}{seat}  {}\n", event.worker, tone.paint(&event.what)));
        }
    }
    if !ended.is_empty() {
        text.push('\n');
        text.push_str(&ends(&ended, look).render(look));
    }
    text
}

/// A seat about which the table of workers does not say all.
fn is_told(seat: &SeatView) -> bool {
    seat.state != "taken" || seat.ends_5m > 0
}

fn seat_line(seat: &SeatView, look: &Look) -> String {
    let last = seat.last_end.as_ref().map(|end| format!("; last end: {}", end.reason)).unwrap_or_default();
    let ends = format!("{} ends in 5 minutes, {} restarts", seat.ends_5m, seat.restarts);
    match seat.state.as_str() {
        "open" => look.bad(&format!("seat {}: restart loop, no more restarts ({ends}){last}", seat.seat)),
        "waiting" => {
            let when = when::span(seat.restart_in_ms.unwrap_or(0));
            look.warn(&format!("seat {}: starts again in {when} ({ends}){last}", seat.seat))
        }
        state => look.warn(&format!("seat {}: {state} ({ends}){last}", seat.seat)),
    }
}

/// Live workers.
pub fn table(workers: &[&WorkerView], look: &Look) -> Table {
    let mut table = Table::new(&[
        ("id", Column::Left),
        ("status", Column::Left),
        ("kind", Column::Left),
        ("seat", Column::Right),
        ("host", Column::Left),
        ("pid", Column::Right),
        ("busy", Column::Right),
        ("memory", Column::Right),
        ("cpu", Column::Right),
        ("queues", Column::Left),
        ("started", Column::Left),
        ("seen", Column::Left),
        ("progress", Column::Left),
        ("runs", Column::Left),
    ]);
    for worker in workers {
        let (tone, glyph) = match worker.status.as_str() {
            "live" => (Tone::Good, look.glyphs.good()),
            "draining" => (Tone::Warn, look.glyphs.warn()),
            _ => (Tone::Bad, look.glyphs.bad()),
        };
        let dash = || "-".to_owned();
        table.row(vec![
            Cell::from(worker.id.clone()),
            Cell::new(format!("{glyph} {}", worker.status), tone),
            Cell::from(worker.kind.clone()),
            Cell::from(worker.seat.map_or_else(dash, |seat| seat.to_string())),
            Cell::from(worker.host.clone()),
            Cell::from(worker.pid.to_string()),
            Cell::from(format!("{}/{}", worker.busy, worker.slots)),
            Cell::from(worker.memory_bytes.map_or_else(dash, when::bytes)),
            Cell::from(worker.cpu_ms.map_or_else(dash, when::span)),
            Cell::from(if worker.queues.is_empty() { "all".to_owned() } else { worker.queues.join(",") }),
            Cell::from(when::moment(look, &worker.started_at)),
            Cell::from(format!("{} ago", when::span(worker.seen_ms_ago))),
            Cell::from(worker.progress_ms_ago.map_or_else(dash, |ms| format!("{} ago", when::span(ms)))),
            Cell::from(worker.runs.join(",")),
        ]);
    }
    table
}

fn ends(workers: &[&WorkerView], look: &Look) -> Table {
    let mut table = Table::new(&[
        ("ended", Column::Left),
        ("id", Column::Left),
        ("seat", Column::Right),
        ("pid", Column::Right),
        ("exit", Column::Right),
        ("signal", Column::Left),
        ("what it means", Column::Text),
    ]);
    for worker in workers {
        let Some(end) = &worker.end else { continue };
        let tone = if end.alarming { Tone::Bad } else { Tone::Dim };
        table.row(vec![
            Cell::from(when::moment(look, &end.at)),
            Cell::from(worker.id.clone()),
            Cell::from(worker.seat.map_or("-".to_owned(), |seat| seat.to_string())),
            Cell::from(worker.pid.to_string()),
            Cell::from(end.exit_code.map_or("-".to_owned(), |code| code.to_string())),
            Cell::from(end.signal.clone().unwrap_or_else(|| "-".to_owned())),
            Cell::new(end.reason.clone(), tone),
        ]);
    }
    table
}

/// `hale workers show`.
pub fn one(worker: &WorkerView, look: &Look) -> String {
    let mut rows = vec![
        ("id", worker.id.clone()),
        ("status", worker.status.clone()),
        ("kind", worker.kind.clone()),
        ("process", format!("{} on {}", worker.pid, worker.host)),
        ("slots", format!("{} of {} busy", worker.busy, worker.slots)),
        ("started", when::moment(look, &worker.started_at)),
        ("seen", format!("{} ago", when::span(worker.seen_ms_ago))),
    ];
    rows.extend(worker.memory_bytes.map(|bytes| ("memory", when::bytes(bytes))));
    rows.extend(worker.cpu_ms.map(|ms| ("cpu", format!("{} since its start", when::span(ms)))));
    rows.extend(worker.seat.map(|seat| ("seat", seat.to_string())));
    rows.extend(worker.progress_ms_ago.map(|ms| ("progress", format!("{} ago", when::span(ms)))));
    if !worker.queues.is_empty() {
        rows.push(("queues", worker.queues.join(", ")));
    }
    if !worker.runs.is_empty() {
        rows.push(("runs", worker.runs.join(", ")));
    }
    let mut text = pairs(&rows);
    if let Some(end) = &worker.end {
        text.push('\n');
        text.push_str(&told(end, look));
    }
    text
}

fn told(end: &EndView, look: &Look) -> String {
    let head = if end.alarming { look.bad(&end.reason) } else { look.good(&end.reason) };
    let mut text = format!("{head}\n");
    let mut rows = vec![("at", when::moment(look, &end.at))];
    rows.extend(end.exit_code.map(|code| ("exit code", code.to_string())));
    rows.extend(end.signal.clone().map(|signal| ("signal", signal)));
    rows.extend(end.grade.clone().map(|grade| ("certainty", grade)));
    rows.extend(end.advice.clone().map(|advice| ("do", advice)));
    text.push_str(&pairs(&rows));
    for line in &end.evidence {
        text.push_str(&format!("  - {line}\n"));
    }
    text
}
