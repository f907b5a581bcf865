//! Results as JSON for programs and as tables for people, with the conditions that they were taken under.
//!
//! A gate says what was wanted and what came; one that is missed is printed like one that is kept. Nothing is rounded away
//! before the JSON.

use super::readings;
use super::workshop::Workshop;
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::fs;

#[derive(Serialize, Deserialize)]
pub struct Report {
    pub title: String,
    pub conditions: serde_json::Value,
    pub rows: Vec<Row>,
    pub gates: Vec<Gate>,
    pub notes: Vec<String>,
}

/// One measurement of one subject; peers' scripts print these.
#[derive(Serialize, Deserialize)]
pub struct Row {
    pub peer: String,
    pub version: String,
    pub durability: String,
    pub conc: usize,
    pub n: usize,
    #[serde(default)]
    pub pass: u32,
    pub per_s: f64,
    pub cpu_ms_per_op: f64,
    pub p50_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    pub note: Option<String>,
}

#[derive(Serialize, Deserialize)]
pub struct Gate {
    pub name: String,
    pub got: f64,
    pub limit: f64,
    pub unit: String,
    pub bound: Bound,
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    AtLeast,
    AtMost,
}

impl Gate {
    pub fn at_least(name: &str, got: f64, limit: f64, unit: &str) -> Gate {
        Gate { name: name.to_owned(), got, limit, unit: unit.to_owned(), bound: Bound::AtLeast }
    }

    pub fn at_most(name: &str, got: f64, limit: f64, unit: &str) -> Gate {
        Gate { bound: Bound::AtMost, ..Gate::at_least(name, got, limit, unit) }
    }

    pub fn kept(&self) -> bool {
        match self.bound {
            Bound::AtLeast => self.got >= self.limit,
            Bound::AtMost => self.got <= self.limit,
        }
    }

    fn cells(&self) -> [String; 4] {
        let sign = if self.bound == Bound::AtLeast { "≥" } else { "≤" };
        let verdict = if self.kept() { "kept" } else { "MISSED" };
        let got = format!("{} {}", number(self.got), self.unit);
        [self.name.clone(), format!("{sign} {} {}", number(self.limit), self.unit), got, verdict.to_owned()]
    }
}

impl Row {
    pub fn in_pass(self, pass: u32) -> Row {
        Row { pass, ..self }
    }

    pub fn is(&self, peer: &str, conc: usize, pass: u32) -> bool {
        self.peer == peer && self.conc == conc && self.pass == pass
    }

    fn cells(&self) -> [String; 9] {
        let optional = |value: Option<f64>| value.map_or("-".to_owned(), number);
        [
            format!("{} {}", self.peer, self.version),
            self.durability.clone(),
            self.pass.to_string(),
            self.conc.to_string(),
            self.n.to_string(),
            number(self.per_s),
            number(self.cpu_ms_per_op),
            optional(self.p50_ms),
            optional(self.p99_ms),
        ]
    }
}

impl Report {
    pub fn new(title: &str, workshop: &Workshop) -> Report {
        let conditions = readings::conditions(&workshop.bench);
        Report { title: title.to_owned(), conditions, rows: Vec::new(), gates: Vec::new(), notes: Vec::new() }
    }

    /// Of several measurements for one gate the worst counts.
    pub fn gate(&mut self, gate: Gate) {
        let Some(old) = self.gates.iter_mut().find(|old| old.name == gate.name) else {
            self.gates.push(gate);
            return;
        };
        old.got = match gate.bound {
            Bound::AtLeast => old.got.min(gate.got),
            Bound::AtMost => old.got.max(gate.got),
        };
    }

    pub fn print(&self) {
        println!("\n{}", self.markdown());
    }

    pub fn write(&self, workshop: &Workshop, file: &str) -> anyhow::Result<()> {
        let path = workshop.bench.join(file);
        fs::write(&path, serde_json::to_string_pretty(self)?)
            .with_context(|| format!("write {}", path.display()))
    }

    pub fn markdown(&self) -> String {
        let mut text = format!("## {}\n", self.title);
        let said = |key: &str| {
            self.conditions.get(key).map_or(String::new(), |value| value.to_string().replace('"', ""))
        };
        let _ = writeln!(
            text,
            "\n{}: {} CPUs ({}), Linux {}, {} under the data, load {} at the start.",
            said("date"),
            said("cpus"),
            said("cpu_model"),
            said("kernel"),
            said("file_system"),
            said("load_1m")
        );
        if !self.rows.is_empty() {
            let heads = [
                "subject",
                "durability",
                "pass",
                "clients",
                "runs",
                "runs/s",
                "CPU ms/run",
                "p50 ms",
                "p99 ms",
            ];
            table(&mut text, &heads, self.rows.iter().map(Row::cells));
        }
        if !self.gates.is_empty() {
            table(&mut text, &["gate", "wanted", "got (worst pass)", ""], self.gates.iter().map(Gate::cells));
        }
        for note in self.notes.iter().cloned().chain(self.rows.iter().filter_map(row_note)) {
            let _ = write!(text, "\n- {note}");
        }
        text.push('\n');
        text
    }
}

fn row_note(row: &Row) -> Option<String> {
    let note = row.note.as_ref().filter(|_| row.pass <= 1)?;
    Some(format!("{} with {} clients: {note}", row.peer, row.conc))
}

fn table<const N: usize>(text: &mut String, heads: &[&str; N], rows: impl Iterator<Item = [String; N]>) {
    let _ = writeln!(text, "\n| {} |\n|{}", heads.join(" | "), " --- |".repeat(N));
    for cells in rows {
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
}

fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// What follows this heading in `docs/benchmarks.md` is written by people and stays.
const BY_HAND: &str = "## What the figures do not say";

/// Renders `docs/benchmarks.md` from all results that are there.
pub fn write_page(workshop: &Workshop) -> anyhow::Result<()> {
    let mut page = "# Benchmarks\n\nMeasured by `cargo xtask bench`, which installs the peers and runs everything itself; run it to get your own.\n\
        What is compared ran interleaved in one go on one machine. Ratios carry over to other machines better than rates do.\n\
        A ratio is taken within a pass, and the worst pass counts. CPU is that of all processes that take part, clients too.\n\
        Peers are set up as durable as hale: what is acknowledged is synced. Their scripts are in `bench/peers`.\n\n".to_owned();
    for case in super::ALL {
        if let Ok(text) = fs::read_to_string(workshop.bench.join(format!("{case}.json"))) {
            let report: Report =
                serde_json::from_str(&text).with_context(|| format!("read the results of {case}"))?;
            let _ = writeln!(page, "{}", report.markdown());
        }
    }
    let path = workshop.root.join("docs/benchmarks.md");
    let before = fs::read_to_string(&path).unwrap_or_default();
    if let Some(at) = before.find(BY_HAND) {
        page.push_str(&before[at..]);
    }
    fs::write(&path, page.trim_end().to_owned() + "\n")
        .with_context(|| format!("write {}", path.display()))?;
    println!("written: {}", path.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_pass_decides_a_gate() {
        let empty = Vec::new;
        let mut report = Report {
            title: "t".to_owned(),
            conditions: serde_json::Value::Null,
            rows: empty(),
            gates: Vec::new(),
            notes: Vec::new(),
        };
        report.gate(Gate::at_least("rate", 12.0, 10.0, "x"));
        report.gate(Gate::at_least("rate", 9.0, 10.0, "x"));
        report.gate(Gate::at_least("rate", 11.0, 10.0, "x"));
        report.gate(Gate::at_most("cpu", 0.2, 0.25, "ms"));
        report.gate(Gate::at_most("cpu", 0.1, 0.25, "ms"));
        let verdicts: Vec<_> = report.gates.iter().map(|gate| (gate.got, gate.kept())).collect();
        assert_eq!(verdicts, [(9.0, false), (0.2, true)]);
        assert!(report.markdown().contains("| rate | ≥ 10.0 x | 9.00 x | MISSED |"), "{}", report.markdown());
    }

    #[test]
    fn a_line_of_a_peer_is_a_row() {
        let line = r#"{"peer":"celery","version":"5","durability":"d","conc":64,"n":10,"per_s":1.5,"cpu_ms_per_op":2.0,"note":"x"}"#;
        let row: Row = serde_json::from_str(line).unwrap();
        assert!(row.in_pass(2).is("celery", 64, 2));
    }
}
