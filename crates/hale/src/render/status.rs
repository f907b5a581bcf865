//! The state of the server, its workers, and what `hale up` prints when it is ready.

use super::paint::{Look, Tone};
use super::table::{Cell, Column, Table, pairs};
use super::when;
use crate::wire::{Component, FaultView, Health, MachineView, Status};

/// `hale status`.
pub fn page(status: &Status, look: &Look) -> String {
    let draining = if status.draining { Tone::Warn.paint("  draining") } else { String::new() };
    let up = when::span(status.uptime_ms / 1000 * 1000);
    let head = Tone::Strong.paint(&format!("hale {}", status.version));
    let mut text = format!("{head}  {}  up {up}{draining}\n", health(&status.health, look));
    let runs: Vec<String> = status.runs.iter().map(|(state, count)| format!("{count} {state}")).collect();
    text.push_str(&pairs(&[
        ("address", status.address.clone()),
        ("data", format!("{} (pid {})", status.data, status.pid)),
        ("runs", if runs.is_empty() { "none".to_owned() } else { runs.join(", ") }),
        ("oldest waiting", status.oldest_pending_ms.map(when::span).unwrap_or_default()),
        ("approvals", approvals(status, look)),
        ("workers", workers_line(status)),
        ("machine", status.machine.as_ref().map(machine).unwrap_or_default()),
        ("packs", status.packs.to_string()),
        ("model", model(status)),
        ("access", status.access.clone()),
    ]));
    text.push('\n');
    text.push_str(&components(&status.components, look).render(look));
    if !status.switches.is_quiet() {
        text.push_str(&format!("\n{}", super::killswitch::page(&status.switches, look)));
    }
    if !status.faults.is_empty() {
        text.push_str(&format!("\n{}\n", look.warn("faults are injected; to remove them: hale chaos clear")));
        text.push_str(&faults(&status.faults, look).render(look));
    }
    text
}

/// `hale status --components`: the five parts by the names that runbooks give them, each with the status of the probe
/// behind it. The queue lies in the store; it is degraded while something waits that no worker serves.
pub fn five_lines(status: &Status) -> String {
    let of = |name: &str| {
        let found = status.components.iter().find(|component| component.name == name);
        found.map_or("unknown", |component| component.status.as_str())
    };
    let waiting = status.runs.get("PENDING").copied().unwrap_or(0);
    let live = status.workers.iter().filter(|worker| worker.status == "live").count();
    let queue = match of("store") {
        "healthy" if waiting > 0 && live == 0 => "degraded",
        word => word,
    };
    let there = format!(" ({live}/{} live)", status.workers.len());
    let depth = format!(" (depth: {waiting})");
    let lines = [
        ("orchestrator", of("orchestrator"), String::new()),
        ("worker", of("workers"), there),
        ("queue", queue, depth),
        ("artifacts", of("artifacts"), String::new()),
        ("registry", of("packs"), String::new()),
    ];
    lines.map(|(name, word, more)| format!("{name}: {}{more}\n", painted(word))).concat()
}

/// The word alone, coloured.
fn painted(word: &str) -> String {
    match word {
        "healthy" => Tone::Good.paint(word),
        "degraded" => Tone::Warn.paint(word),
        _ => Tone::Bad.paint(word),
    }
}

/// `hale status` of a server that tells no more than its health.
pub fn health_page(told: &Health, status: u16, look: &Look) -> String {
    let head = Tone::Strong.paint(&format!("hale {}", told.version));
    let table = components(&told.components, look).render(look);
    format!("{head}  {}  answered {status}\n\n{table}", health(&told.status, look))
}

/// Who waits for a person; nothing while nobody does.
fn approvals(status: &Status, look: &Look) -> String {
    match (status.approvals, status.approvals_stalled) {
        (0, _) => String::new(),
        (waiting, 0) => format!("{waiting} wait for a person: hale approvals list"),
        (waiting, stalled) => look.warn(&format!(
            "{waiting} wait for a person, {stalled} for more than an hour: hale approvals list"
        )),
    }
}

fn health(word: &str, look: &Look) -> String {
    match word {
        "healthy" => look.good(word),
        "degraded" => look.warn(word),
        "unhealthy" => look.bad(word),
        other => other.to_owned(),
    }
}

fn model(status: &Status) -> String {
    let simulated = if status.simulated {
        " (simulated; set OPENAI_API_KEY or HALE_MODEL_BASE_URL for a real one)"
    } else {
        ""
    };
    format!("{}{simulated}", status.model)
}

fn machine(machine: &MachineView) -> String {
    format!(
        "{}: load {:.2} on {} CPUs, {} of {} memory free; the server has {}",
        machine.host,
        machine.load_1m,
        machine.cpus,
        when::bytes(machine.memory_available_bytes),
        when::bytes(machine.memory_bytes),
        when::bytes(machine.server_memory_bytes)
    )
}

fn workers_line(status: &Status) -> String {
    let live = status.workers.iter().filter(|worker| worker.status == "live");
    let (count, slots, busy) = live.fold((0, 0, 0), |(count, slots, busy), worker| {
        (count + 1, slots + worker.slots, busy + worker.busy)
    });
    format!("{count} live, {busy} of {slots} slots busy")
}

fn components(components: &[Component], look: &Look) -> Table {
    let mut table = Table::new(&[
        ("component", Column::Left),
        ("status", Column::Left),
        ("probed", Column::Left),
        ("detail", Column::Text),
    ]);
    for component in components {
        let (tone, glyph) = match component.status.as_str() {
            "healthy" => (Tone::Good, look.glyphs.good()),
            "degraded" => (Tone::Warn, look.glyphs.warn()),
            "unhealthy" => (Tone::Bad, look.glyphs.bad()),
            _ => (Tone::Dim, look.glyphs.note()),
        };
        table.row(vec![
            Cell::from(component.name.clone()),
            Cell::new(format!("{glyph} {}", component.status), tone),
            Cell::from(format!("{} ago", when::span(component.age_ms))),
            Cell::from(component.detail.clone()),
        ]);
    }
    table
}

pub fn faults(faults: &[FaultView], look: &Look) -> Table {
    let mut table = Table::new(&[
        ("id", Column::Left),
        ("fault", Column::Left),
        ("target", Column::Left),
        ("since", Column::Left),
        ("until", Column::Left),
        ("hits", Column::Right),
    ]);
    for fault in faults {
        table.row(vec![
            Cell::from(fault.id.clone()),
            Cell::from(fault.fault.clone()),
            Cell::from(fault.target.clone()),
            Cell::from(when::moment(look, &fault.since)),
            Cell::from(
                fault.until.as_deref().map(|until| when::moment(look, until)).unwrap_or("cleared".to_owned()),
            ),
            Cell::from(fault.hits.to_string()),
        ]);
    }
    table
}

/// What `hale up` prints; `took_ms` is the time from its start to here.
pub fn ready(status: &Status, took_ms: u64, look: &Look) -> String {
    let head = Tone::Strong.paint(&format!("hale {}", status.version));
    let mut text = format!("{head}  {}\n", look.good(&format!("ready in {took_ms} ms")));
    text.push_str(&pairs(&[
        ("address", status.address.clone()),
        ("data", status.data.clone()),
        ("packs", status.packs.to_string()),
        ("workers", workers_line(status)),
        ("model", model(status)),
        ("access", status.access.clone()),
    ]));
    text
}
