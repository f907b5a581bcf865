//! Log lines: one JSON object each, or the operators' text form.
//!
//! Guarantees: every line is one line whatever stands in its fields (control characters are escaped, a field is cut
//! at [`FIELD_BYTES`]); the keys `level ts caller msg` are always there, and the fields of the spans around a line
//! are on it, so that every line of a request has its `request_id` and every line of a run its `run_id`. Lines from
//! WARN on are in the flight recorder too, once it is there.
//! Leaves to others: what is worth a line; reading the file (`cli/logs.rs`).
//! Read next: [`file`].

pub mod file;
pub mod line;

use crate::config::value::{LogFormat, LogLevel};
use file::Rotating;
use hale_engine::recorder::Recorder;
use line::{Fields, Line};
use std::io::Write;
use std::path::Path;
use std::sync::OnceLock;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// The largest field; more is a dump, and dumps belong into artifacts.
pub const FIELD_BYTES: usize = 8 << 10;

/// What goes to stderr beside the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terminal {
    Nothing,
    /// In this form, from this level on.
    Lines(LogFormat, LogLevel),
}

/// The recorder of this process's data folder; logging begins before that folder is ours.
static FLIGHT: OnceLock<Recorder> = OnceLock::new();

/// From here on bad lines are kept by the flight recorder too.
pub fn keep_bad_lines(recorder: Recorder) {
    // A second server in one process, which only tests have, keeps its lines in the first one's ring.
    let _ = FLIGHT.set(recorder);
}

/// Where lines go.
pub struct Lines<W> {
    file: Option<Rotating>,
    level: Level,
    terminal: Terminal,
    writer: W,
}

impl<W> std::fmt::Debug for Lines<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").field("terminal", &self.terminal).finish_non_exhaustive()
    }
}

fn level(level: LogLevel) -> Level {
    match level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    }
}

/// Takes over logging for this process: the file `DIR/logs/hale.jsonl`, and stderr as `terminal` says.
///
/// # Errors
/// When the file cannot be opened.
pub fn install(dir: &Path, least: LogLevel, terminal: Terminal) -> std::io::Result<()> {
    let file = Some(Rotating::open(dir)?);
    let lines =
        Lines { file, level: level(least), terminal, writer: std::io::stderr as fn() -> std::io::Stderr };
    // Fails only if one is installed already, which happens in tests; that one is as good.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(lines));
    Ok(())
}

/// Lines to stderr only: for a worker process, which has no data folder.
pub fn install_terminal(terminal: Terminal) {
    let lines = Lines {
        file: None,
        level: level(LogLevel::Info),
        terminal,
        writer: std::io::stderr as fn() -> std::io::Stderr,
    };
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(lines));
}

/// Lines to `writer` only: for processes without a data folder, and for tests.
pub fn to_writer<W>(writer: W, least: LogLevel, format: LogFormat) -> Lines<W> {
    Lines { file: None, level: level(least), terminal: Terminal::Lines(format, least), writer }
}

impl<S, W, O> Layer<S> for Lines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Fn() -> O + 'static,
    O: Write,
{
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        // The libraries below us are heard from WARN on: their INFO is about themselves.
        let ours = metadata.target().starts_with("hale");
        *metadata.level() <= if ours { self.level } else { self.level.min(Level::WARN) }
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        if let Some(span) = ctx.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        if let Some(span) = ctx.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let mut fields = Fields::default();
        // From the root inward, so that the nearest span wins, and the event itself over all.
        for span in ctx.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(outer) = span.extensions().get::<Fields>() {
                fields.take_over(outer);
            }
        }
        event.record(&mut fields);
        let line = Line::new(event.metadata(), fields, line::now());
        if *event.metadata().level() <= Level::WARN
            && let Some(recorder) = FLIGHT.get()
        {
            recorder.note(line::now(), "log", line.text().trim_end());
        }
        if let Some(file) = &self.file {
            file.write(&line.json());
        }
        if let Terminal::Lines(format, least) = self.terminal
            && *event.metadata().level() <= level(least)
        {
            let text = if format == LogFormat::Json { line.json() } else { line.text() };
            // Nobody can be told that stderr is gone.
            let _ = (self.writer)().write_all(text.as_bytes());
        }
    }
}
