//! Log lines: one JSON object each, or the operators' text form.
//!
//! Guarantees: every line is one line whatever stands in its fields (control characters are escaped, a field is cut
//! at [`FIELD_BYTES`]); the keys `level ts caller msg` are always there, and the fields of the spans around a line
//! are on it, so that every line of a request has its `request_id` and every line of a run its `run_id`. A line is
//! put into its form once, by the thread that logs it, and written with others ([`sink`] says when). Lines from
//! WARN on are in the flight recorder too, once it is there.
//! Leaves to others: what is worth a line; reading the file (`cli/logs.rs`).
//! Read next: [`sink`], then [`file`].

pub mod file;
pub mod lane;
pub mod line;
pub mod sink;

use crate::config::value::{LogFormat, LogLevel};
use file::Rotating;
use hale_engine::recorder::Recorder;
use lane::Worth;
use line::{Fields, Line};
use sink::{Entry, Output, Pace, Sink};
use std::cell::RefCell;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// The largest field; more is a dump, and dumps belong into artifacts.
pub const FIELD_BYTES: usize = 8 << 10;
/// A thread's buffer that grew larger is not kept.
const SCRATCH_BYTES: usize = 64 << 10;

/// What goes to stderr beside the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terminal {
    Nothing,
    /// In this form, from this level on.
    Lines(LogFormat, LogLevel),
}

impl Terminal {
    fn output(self, to: impl Write + Send + 'static) -> Option<Output> {
        match self {
            Terminal::Nothing => None,
            Terminal::Lines(LogFormat::Json, _) => Some(Output::json(to)),
            Terminal::Lines(LogFormat::Text, _) => Some(Output::text(to)),
        }
    }

    fn wants(self, asked: Level) -> Option<LogFormat> {
        match self {
            Terminal::Lines(format, least) if asked <= level(least) => Some(format),
            _ => None,
        }
    }
}

/// The recorder of this process's data folder; logging begins before that folder is ours.
static FLIGHT: OnceLock<Recorder> = OnceLock::new();

/// From here on bad lines are kept by the flight recorder too.
pub fn keep_bad_lines(recorder: Recorder) {
    // A second server in one process, which only tests have, keeps its lines in the first one's ring.
    let _ = FLIGHT.set(recorder);
}

/// Turns events into lines for a sink.
#[derive(Debug)]
pub struct Lines {
    sink: Arc<Sink>,
    level: Level,
    to_file: ToFile,
    terminal: Terminal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ToFile {
    Yes,
    No,
}

/// The sink of this process, for [`flush`].
static INSTALLED: OnceLock<Arc<Sink>> = OnceLock::new();

/// Buffers of a thread that logs.
#[derive(Debug, Default)]
struct Scratch {
    fields: Fields,
    json: Vec<u8>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
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
    let file = Output::json(Rotating::open(dir)?);
    let sink = Sink::start(Some(file), terminal.output(std::io::stderr()), Pace::Gathered);
    take_over(Lines { sink: Arc::new(sink), level: level(least), to_file: ToFile::Yes, terminal });
    Ok(())
}

/// Lines to stderr only: for a worker process, which has no data folder.
pub fn install_terminal(terminal: Terminal) {
    let sink = Sink::start(None, terminal.output(std::io::stderr()), Pace::Gathered);
    take_over(Lines { sink: Arc::new(sink), level: Level::INFO, to_file: ToFile::No, terminal });
}

fn take_over(lines: Lines) {
    let sink = lines.sink.clone();
    // Fails only if one is installed already, which happens in tests; that one is as good.
    if tracing::subscriber::set_global_default(tracing_subscriber::registry().with(lines)).is_ok() {
        flush_in_panics(sink.clone());
        let _ = INSTALLED.set(sink);
    }
}

/// Lines from before a panic stand before its message, and in the file even if the process ends with it.
fn flush_in_panics(sink: Arc<Sink>) {
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        sink.flush_in_panic();
        told(panic);
    }));
}

/// Writes what waits to be written: before the process ends, and before the log is read in it.
pub fn flush() {
    if let Some(sink) = INSTALLED.get() {
        sink.flush();
    }
}

/// Lines to `writer` only, each at once: for tests.
pub fn to_writer(writer: impl Write + Send + 'static, least: LogLevel, format: LogFormat) -> Lines {
    let terminal = Terminal::Lines(format, least);
    let sink = Arc::new(Sink::start(None, terminal.output(writer), Pace::Each));
    Lines { sink, level: level(least), to_file: ToFile::No, terminal }
}

impl Lines {
    fn write<S>(&self, event: &Event<'_>, ctx: &Context<'_, S>, Scratch { fields, json }: &mut Scratch)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        fields.clear();
        json.clear();
        // From the root inward, so that the nearest span wins, and the event itself over all.
        for span in ctx.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(outer) = span.extensions().get::<Fields>() {
                fields.take_over(outer);
            }
        }
        event.record(fields);
        let asked = *event.metadata().level();
        let now = line::now();
        let line = Line::new(event.metadata(), fields, now);
        if asked <= Level::WARN
            && let Some(recorder) = FLIGHT.get()
        {
            recorder.note(now, "log", line.text().trim_end());
        }
        let format = self.terminal.wants(asked);
        if self.to_file == ToFile::Yes || format == Some(LogFormat::Json) {
            line.json(json);
        }
        let text = if format == Some(LogFormat::Text) { line.text() } else { String::new() };
        self.sink.put(Entry {
            file: (self.to_file == ToFile::Yes).then_some(json.as_slice()),
            terminal: format.map(|format| match format {
                LogFormat::Json => json.as_slice(),
                LogFormat::Text => text.as_bytes(),
            }),
            worth: if asked <= Level::WARN { Worth::Urgent } else { Worth::Common },
        });
    }
}

impl<S> Layer<S> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
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
        let in_place = SCRATCH.try_with(|scratch| {
            let mut scratch = scratch.try_borrow_mut().ok()?;
            self.write(event, &ctx, &mut scratch);
            if scratch.json.capacity() > SCRATCH_BYTES {
                *scratch = Scratch::default();
            }
            Some(())
        });
        // The thread is ending, or a field logged while it was written down.
        if !matches!(in_place, Ok(Some(()))) {
            self.write(event, &ctx, &mut Scratch::default());
        }
    }
}
