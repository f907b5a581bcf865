//! An error for people: what happened, under which circumstances, what to do.
//!
//! ```text
//! error[E003]: run run_01JD4… passed its time limit of 60s
//!   while: waiting for tool `search`, 58.2s of 60s
//!   hint: raise `limits.timeout` in packs/research.md, or run: hale why run_01JD4…
//! ```
//! Guarantees: one screen; every source on a line of its own; no full stop behind an id.

use super::paint::Tone;
use crate::exit::Error;
use crate::logs::line::escaped;

/// The error as lines.
pub fn text(error: &Error) -> String {
    let label = match &error.code {
        Some(code) => format!("error[{code}]"),
        None => "error".to_owned(),
    };
    let mut text = format!("{}: {}\n", Tone::Bad.paint(&label), sentence(&error.message));
    if let Some(report) = &error.report {
        text.push_str(report.trim_end());
        text.push('\n');
    }
    let mut line = |name: &str, value: &str| {
        text.push_str(&format!("  {}: {}\n", Tone::Strong.paint(name), sentence(value)));
    };
    if let Some(field) = &error.field {
        line("field", field);
    }
    if let Some(during) = &error.during {
        line("while", during);
    }
    for source in &error.chain {
        line("cause", source);
    }
    // A drawn place has the help beside it.
    if let Some(hint) = error.hint.as_ref().filter(|_| error.report.is_none()) {
        // A hint that is nothing but a command says what to do with it.
        let run = if hint.starts_with("hale ") { "run: " } else { "" };
        line("hint", &format!("{run}{hint}"));
    }
    text
}

/// Several lines stay several, everything else that could move the cursor does not.
fn sentence(text: &str) -> String {
    text.trim_end().lines().map(escaped).collect::<Vec<_>>().join("\n    ")
}
