//! What a job tells while it runs: lines of output, where it stands, warnings. For the log and for whoever watches.
//!
//! One path for both kinds of workers: the embedded one tells this process's log and hub, a process of its own sends the
//! same values to the server. Nothing here is durable; what counts is in the journal.
//! Guarantees: lines are bounded in number ([`LINES_MAX`]) by the worker and in length by the sandbox.
//! Read next: [`super::job`], which tells.

use crate::live::{Doing, Hub, Live};
use hale_core::id::RunId;
use hale_core::run::StepKind;
use hale_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Lines of one try that reach the log and the watchers: a page of scrolling; a program that says more is counted.
pub const LINES_MAX: u64 = 2_000;
/// Things told in one request of a worker process.
pub const TOLD_MAX: usize = 512;
/// Bytes of one text in such a request; the sandbox cuts lines earlier.
const TEXT_BYTES: usize = 16 << 10;

/// Where a worker tells.
pub type Tell = Arc<dyn Fn(Told) + Send + Sync>;

/// One thing that was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    pub run: RunId,
    pub pack: Arc<str>,
    pub correlation: Arc<str>,
    pub step: u32,
    pub attempt: u32,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "told", rename_all = "snake_case")]
pub enum What {
    /// The program runs.
    Begun { name: Arc<str> },
    /// A line of its output.
    Line { stream: Stream, text: String },
    /// Where it stands, in its own words: `simulation 38/750`.
    Note { text: String },
    /// Something for the log.
    Log { level: Loud, event: String, text: String },
    /// It has ended.
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    Stdout,
    Stderr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loud {
    Info,
    Warn,
    Error,
}

impl Stream {
    pub const fn name(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}

impl Told {
    /// Whether it may come from another process: its texts are bounded.
    pub fn fits(&self) -> bool {
        let bytes = match &self.what {
            What::Begun { name } => name.len(),
            What::Line { text, .. } | What::Note { text } => text.len(),
            What::Log { event, text, .. } => event.len() + text.len(),
            What::Over => 0,
        };
        bytes + self.pack.len() + self.correlation.len() <= TEXT_BYTES
    }
}

/// Tells this process's log, and those who watch the run.
pub fn here(hub: &Hub, told: Told, now: Timestamp) {
    let Told { run, pack, correlation, step, attempt, what } = told;
    match what {
        What::Begun { name } => {
            let known = hub.doing(run).is_some_and(|doing| doing.index == step && doing.attempt == attempt);
            if !known {
                let kind = StepKind::Job;
                hub.step(
                    run,
                    Doing { kind, name, index: step, attempt, since: now, limited: false, note: None },
                );
            }
        }
        What::Line { stream, text } => {
            let of = stream.name();
            tracing::info!(
                run_id = %run, pack = %pack, step, correlation_id = %correlation, event = "job_output",
                component = "job", stream = of, "{text}"
            );
            hub.chunk(run, || Live::Line { index: step, attempt, stream: of, text: text.into() });
        }
        What::Note { text } => hub.note(run, (step, attempt), text.into()),
        What::Log { level, event, text } => {
            // The event goes in as text: it came over the wire.
            macro_rules! say {
                ($level:ident) => {
                    tracing::$level!(
                        run_id = %run, pack = %pack, step, correlation_id = %correlation, event = %event,
                        component = "job", "{text}"
                    )
                };
            }
            match level {
                Loud::Info => say!(info),
                Loud::Warn => say!(warn),
                Loud::Error => say!(error),
            }
        }
        What::Over => hub.step_over(run),
    }
}
