//! Why: a diagnosis for people.
//!
//! The sentence first; then, per finding, symptom, cause with its certainty, the evidence with its numbers, what is
//! ruled out, the fix with the command that does it, how it is verified and how it is taken back.
//! Guarantees: every command that is shown can be typed as it stands; an open question says what would decide it.
//! Leaves to others: the judgement itself (`hale-playbooks`).

use super::paint::{Look, Tone};
use super::{arm, run, when};
use crate::wire::{Diagnosis, FixReport};
use hale_playbooks::Finding;
use hale_playbooks::Verdict;
use hale_playbooks::expr::Truth;
use hale_playbooks::finding::{Certainty, Check, Fix, Item, Readiness, Undetermined};
use hale_playbooks::playbook::{Severity, Side};

/// Names stand in a column of this width.
const NAME: usize = 10;

/// `hale why` and `hale doctor`.
pub fn text(diagnosis: &Diagnosis, look: &Look) -> String {
    let mut text = format!("{}\n", Tone::Strong.paint(&diagnosis.says));
    if let Some(run) = &diagnosis.run {
        let state = run::headline(run, look);
        let took = when::span(run.duration_ms);
        text.push_str(&format!("  {}  {state}  {}@{}  {took}\n", run.id, run.pack, run.version));
    }
    text.push_str(&time_line(diagnosis));
    if let Some(decision) = &diagnosis.route {
        text.push_str(&block("why this arm", &arm::lines(decision)));
    }
    text.push_str(&verdict(&diagnosis.verdict, look));
    text
}

/// Where the time went, longest first: `queue 12ms · model 7.4s · tools 3ms`.
fn time_line(diagnosis: &Diagnosis) -> String {
    let mut parts: Vec<(&String, &u64)> = diagnosis.time_ms.iter().filter(|(_, ms)| **ms > 0).collect();
    if parts.is_empty() {
        return String::new();
    }
    parts.sort_by_key(|(_, ms)| std::cmp::Reverse(**ms));
    let parts: Vec<String> =
        parts.into_iter().map(|(name, ms)| format!("{name} {}", when::span(*ms))).collect();
    format!("{}{}\n", name("time"), parts.join(", "))
}

/// Findings, open questions, and a count of the rest.
pub fn verdict(verdict: &Verdict, look: &Look) -> String {
    let mut text = String::new();
    for finding in &verdict.findings {
        text.push_str(&format!("\n{}", self::finding(finding, look)));
    }
    for open in &verdict.undetermined {
        text.push_str(&format!("\n{}", undetermined(open, look)));
    }
    for unjudged in &verdict.unknown {
        let because = unjudged.because.join(", ");
        let line = format!(
            "{} not judged: {}/{} ({because})",
            look.glyphs.note(),
            unjudged.playbook,
            unjudged.symptom
        );
        text.push_str(&format!("\n{}\n", Tone::Dim.paint(&line)));
    }
    text.push_str(&format!("\n{}\n", counts(verdict, look)));
    text
}

/// `✔ 14 passed, 1 finding, 2 skipped`.
pub fn counts(verdict: &Verdict, look: &Look) -> String {
    let explained = verdict.findings.iter().map(|finding| finding.explains.len());
    let open = verdict.undetermined.iter().map(|open| open.explains.len());
    let shown: usize = explained.sum::<usize>() + open.sum::<usize>();
    let skipped = verdict.unknown.len();
    let passed = verdict.checked.saturating_sub(shown + skipped);
    let mut parts = vec![look.good(&format!("{passed} passed"))];
    let mut part = |count: usize, one: &str, many: &str| {
        if count > 0 {
            parts.push(format!("{count} {}", if count == 1 { one } else { many }));
        }
    };
    part(verdict.findings.len(), "finding", "findings");
    part(verdict.undetermined.len(), "undetermined", "undetermined");
    part(skipped, "skipped", "skipped");
    parts.join(", ")
}

fn severity(severity: Severity, title: &str, look: &Look) -> String {
    match severity {
        Severity::Critical => look.bad(&format!("critical  {title}")),
        Severity::Warning => look.warn(&format!("warning   {title}")),
        Severity::Info => format!("{} note      {title}", look.glyphs.note()),
    }
}

fn name(text: &str) -> String {
    format!("  {}", Tone::Dim.paint(&format!("{text:<NAME$}  ")))
}

/// A block of lines under one name.
fn block(title: &str, lines: &[String]) -> String {
    let mut text = String::new();
    for (nth, line) in lines.iter().enumerate() {
        text.push_str(&format!("{}{line}\n", name(if nth == 0 { title } else { "" })));
    }
    text
}

/// One finding whole.
pub fn finding(finding: &Finding, look: &Look) -> String {
    let certainty = match finding.certainty {
        Certainty::Certain => "certain",
        Certainty::Likely => "likely",
    };
    let head = format!("{}: {}", finding.code, finding.title);
    let mut text = format!("{}\n", severity(finding.severity, &head, look));
    text.push_str(&block("symptom", std::slice::from_ref(&finding.symptom)));
    text.push_str(&block("cause", std::slice::from_ref(&finding.cause)));
    let weighed =
        format!("{certainty}, score {}, ahead by {}, at {}", finding.score, finding.margin, finding.at);
    text.push_str(&block("", &[Tone::Dim.paint(&weighed)]));
    let (mut pro, mut contra) = (Vec::new(), Vec::new());
    for item in &finding.evidence {
        let side = if item.side == Side::For { &mut pro } else { &mut contra };
        side.push(evidence(item));
    }
    text.push_str(&block("for", &pro));
    text.push_str(&block("against", &contra));
    let ruled_out = finding.ruled_out.iter().map(|out| format!("{}: {}", out.cause, out.because));
    text.push_str(&block("ruled out", &ruled_out.collect::<Vec<_>>()));
    for (nth, fix) in finding.fixes.iter().enumerate() {
        text.push_str(&block(&format!("fix {}", nth + 1), &self::fix(fix)));
    }
    text.push_str(&block("verify", &finding.verify.as_ref().map(check).into_iter().collect::<Vec<_>>()));
    text.push_str(&block("prevent", &finding.prevent));
    text
}

/// `workers.live = 0   (workers.live == 0: true, decisive, +20)`.
fn evidence(item: &Item) -> String {
    let readings = if item.readings.is_empty() { item.expr.clone() } else { item.readings.join(", ") };
    let points = match item.points {
        0 => String::new(),
        points => format!(", {points:+}"),
    };
    let truth = if item.value == Truth::True {
        "holds"
    } else if item.value == Truth::False {
        "does not hold"
    } else {
        "unknown"
    };
    format!("{readings}  {}", Tone::Dim.paint(&format!("({}: {truth}, {}{points})", item.expr, item.weight)))
}

fn fix(fix: &Fix) -> Vec<String> {
    let ready = match fix.readiness {
        Readiness::Ready => String::new(),
        Readiness::Blocked => ", its guard does not hold now".to_owned(),
        Readiness::Unknown => ", something it needs is not known".to_owned(),
    };
    let mut lines = vec![format!("{}  {}", fix.title, Tone::Dim.paint(&format!("({}{ready})", fix.risk)))];
    lines.extend(fix.command.as_ref().map(|command| format!("run: {}", Tone::Moving.paint(command))));
    if !fix.blast.is_empty() {
        lines.push(format!("touches: {}", fix.blast));
    }
    match (&fix.undo, &fix.undo_none) {
        (Some(undo), _) => lines.push(format!("undo: {undo}")),
        (None, Some(why)) => lines.push(format!("no undo: {why}")),
        (None, None) => {}
    }
    lines
}

fn check(check: &Check) -> String {
    let within = if check.within.0 > 0 { format!(" within {}", check.within) } else { String::new() };
    format!("{}{within}  {}", check.expr, Tone::Dim.paint(&format!("(now {})", check.readings.join(", "))))
}

fn undetermined(open: &Undetermined, look: &Look) -> String {
    let head = format!("undetermined: {}", open.symptom);
    let mut text = format!("{}\n", severity(open.severity, &head, look));
    text.push_str(&block("because", std::slice::from_ref(&open.because)));
    let between = open.between.iter().map(|candidate| {
        format!(
            "{}  score {}, {} of {} known",
            candidate.cause, candidate.score, candidate.known, candidate.total
        )
    });
    text.push_str(&block("between", &between.collect::<Vec<_>>()));
    let ruled_out = open.ruled_out.iter().map(|out| format!("{}: {}", out.cause, out.because));
    text.push_str(&block("ruled out", &ruled_out.collect::<Vec<_>>()));
    text.push_str(&block("to decide", &open.would_decide));
    text
}

/// `hale doctor --fix`, dry or done.
pub fn report(report: &FixReport, look: &Look) -> String {
    let cause = if report.cause.is_empty() { String::new() } else { format!("{}: ", report.cause) };
    let head = format!("{cause}{} ({})", report.fix, report.risk);
    let mut text = match report.outcome.as_str() {
        "changed" => format!("{}\n", look.good(&head)),
        "refused" => format!("{}\n", look.bad(&head)),
        _ => format!("{} {head}\n", look.glyphs.note()),
    };
    text.push_str(&block(&report.outcome, &report.effects));
    if report.verified != "not run" || !report.verify_detail.is_empty() {
        let detail = format!("{}  {}", report.verified, Tone::Dim.paint(&report.verify_detail));
        text.push_str(&block("check", &[detail.trim_end().to_owned()]));
    }
    text.push_str(&block("operation", &report.operation.clone().into_iter().collect::<Vec<_>>()));
    text.push_str(&block("undo", &report.undo.clone().into_iter().collect::<Vec<_>>()));
    text
}
