//! `hale logs`: the server's own log, read from its folder.
//!
//! Guarantees: works with the server up or down; shows what a running server logged before the command was given,
//! although it writes lines in bundles; a line that is not ours is shown as it is, never dropped in silence.
//! Leaves to others: writing ([`crate::logs`]).

pub mod tail;

use super::ctx::Ctx;
use crate::config::value::{LogLevel, Setting};
use crate::exit::{Error, Exit};
use crate::logs::file;
use crate::logs::line::{now, text_form};
use crate::logs::sink::GATHER;
use crate::render::paint::Look;
use crate::render::{Format, Tone, when};
use hale_core::time::{Millis, Timestamp};
use serde_json::Value;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;
use tail::Tail;

/// Show the server's log
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale logs
  hale logs --level warn --since 1h
  hale logs --follow --level warn
  hale logs --run run_01JD4M8Q2R7WX5B9N3K6T0VYHZ --text
  hale logs --pack research --last 1h
  hale logs -o jsonl | jq 'select(.event == \"hot_reload\")'")]
pub struct Args {
    /// This level and worse: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    level: Option<LogLevel>,
    /// Lines of this run
    #[arg(long, value_name = "ID")]
    run: Option<String>,
    /// Lines about runs of this pack
    #[arg(long, value_name = "NAME")]
    pack: Option<String>,
    /// Lines of the last hour, day …
    #[arg(long, value_name = "SPAN", visible_alias = "last")]
    since: Option<Millis>,
    /// The last so many lines that fit
    #[arg(short = 'n', long, default_value_t = 50, value_name = "LINES")]
    tail: usize,
    /// Go on with every new line that fits, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// As `LEVEL [run_id=…] message`
    #[arg(long)]
    text: bool,
}

fn level(text: &str) -> Result<LogLevel, String> {
    LogLevel::read(text).ok_or_else(|| format!("{text:?} is not {}", LogLevel::EXPECTS))
}

impl Args {
    /// The last lines of one run.
    pub fn of_run(run: String, tail: usize) -> Self {
        Self { level: None, run: Some(run), pack: None, since: None, tail, follow: false, text: false }
    }
}

/// What a line must be like.
struct Wanted<'a> {
    level: Option<LogLevel>,
    run: Option<&'a str>,
    pack: Option<&'a str>,
    from: Option<Timestamp>,
}

pub fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let data = ctx.config(Vec::new(), None)?.data;
    let dir = data.join("logs");
    let from = args.since.map(|since| now() - since);
    let_it_write(&data);
    let wanted = Wanted { level: args.level, run: args.run.as_deref(), pack: args.pack.as_deref(), from };
    let present = file::path(&dir, 0);
    let failed = |error: &std::io::Error| Error::file("read the log", &present, error);
    let mut tail = match Tail::open(&dir) {
        Ok(tail) => Some(tail),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed(&error)),
    };
    let mut kept = VecDeque::new();
    let mut found = tail.is_some();
    for path in file::files(&dir) {
        // The present file is read from its handle, also when it was turned over since.
        if !tail.as_ref().is_some_and(|tail| tail.is_at(&path)) {
            found |= read(&path, &wanted, (&mut kept, args.tail))?;
        }
    }
    if let Some(tail) = &mut tail {
        let lines = tail.lines().map_err(|error| failed(&error))?;
        lines.into_iter().for_each(|line| wanted.keep(line, (&mut kept, args.tail)));
    }
    if !found {
        let error = Error::new(Exit::NotFound, format!("read the log in {}: there is none", dir.display()));
        return Err(error.hint("a server writes it; name its data folder with --data"));
    }
    for line in kept {
        let text = shown(&line, (args, ctx));
        ctx.screen.print(&text);
    }
    let Some(mut tail) = tail.filter(|_| args.follow) else { return Ok(Exit::Done) };
    loop {
        std::thread::sleep(LOOK_AGAIN);
        for line in tail.lines().map_err(|error| failed(&error))? {
            let text = shown(&line, (args, ctx));
            // Whoever read along went away.
            if wanted.wants(&line) && ctx.screen.try_print(&text).is_err() {
                return Ok(Exit::Done);
            }
        }
    }
}

/// Between two looks for new lines: as good as at once for a person, and nothing for the machine.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

fn shown(line: &str, (args, ctx): (&Args, &Ctx)) -> String {
    match ctx.screen.format() {
        Format::Table | Format::Wide if args.text => plain(line),
        Format::Table | Format::Wide => pretty(line, &ctx.screen.look()),
        _ => format!("{line}\n"),
    }
}

/// A server that is up holds lines back for [`GATHER`]: what it logged before this command is in the file afterwards.
fn let_it_write(data: &Path) {
    // A folder whose lock cannot be read is read all the same; only the newest lines may be missing.
    if let Ok(Some(_)) = hale_store::folder::Folder::holder(data) {
        std::thread::sleep(GATHER * 2);
    }
}

/// Reads one file, oldest line first; false if it is not there.
fn read(path: &Path, wanted: &Wanted<'_>, into: (&mut VecDeque<String>, usize)) -> Result<bool, Error> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(Error::file("read the log", path, &error)),
    };
    let (kept, most) = into;
    for line in BufReader::new(file).split(b'\n') {
        let line = line.map_err(|error| Error::file("read the log", path, &error))?;
        wanted.keep(String::from_utf8_lossy(&line).into_owned(), (kept, most));
    }
    Ok(true)
}

impl Wanted<'_> {
    /// Keeps the last lines that fit.
    fn keep(&self, line: String, (kept, most): (&mut VecDeque<String>, usize)) {
        if !line.is_empty() && self.wants(&line) {
            kept.push_back(line);
            if kept.len() > most {
                kept.pop_front();
            }
        }
    }

    fn wants(&self, line: &str) -> bool {
        // Cheap first: most lines are of other runs.
        if self.run.is_some_and(|run| !line.contains(run)) {
            return false;
        }
        let Ok(fields) = serde_json::from_str::<Value>(line) else {
            return self.level.is_none() && self.run.is_none() && self.pack.is_none() && self.from.is_none();
        };
        let text = |key: &str| fields.get(key).and_then(Value::as_str);
        let level = text("level").and_then(LogLevel::read);
        let at = text("ts").and_then(when::parse);
        self.run.is_none_or(|run| text("run_id") == Some(run))
            && self.pack.is_none_or(|pack| text("pack") == Some(pack))
            && self.level.is_none_or(|least| level.is_some_and(|level| level <= least))
            && self.from.is_none_or(|from| at.is_some_and(|at| at >= from))
    }
}

/// The operators' text form.
fn plain(line: &str) -> String {
    let Ok(fields) = serde_json::from_str::<Value>(line) else { return format!("{line}\n") };
    let text = |key: &str| fields.get(key).and_then(Value::as_str);
    let level = text("level").unwrap_or("info").to_ascii_uppercase();
    text_form(&level, text("run_id"), text("msg").unwrap_or_default())
}

/// Keys that a line for people has in another form already.
const SHOWN: [&str; 5] = ["level", "ts", "caller", "msg", "run_id"];

/// Time, level, message, then the fields.
fn pretty(line: &str, look: &Look) -> String {
    let Ok(fields) = serde_json::from_str::<Value>(line) else { return format!("{line}\n") };
    let text = |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or_default();
    let level = text("level").to_ascii_uppercase();
    let tone = match level.as_str() {
        "ERROR" => Tone::Bad,
        "WARN" => Tone::Warn,
        _ => Tone::Plain,
    };
    let mut shown = format!(
        "{}  {}  {}",
        Tone::Dim.paint(&when::moment(look, text("ts"))),
        tone.paint(&format!("{level:<5}")),
        crate::logs::line::escaped(text("msg"))
    );
    let rest = fields.as_object().into_iter().flatten().filter(|(key, _)| !SHOWN.contains(&key.as_str()));
    let run = fields.get("run_id").map(|run| ("run_id", run));
    for (key, value) in run.into_iter().chain(rest.map(|(key, value)| (key.as_str(), value))) {
        let value = value.as_str().map_or_else(|| value.to_string(), crate::logs::line::escaped);
        shown.push_str(&Tone::Dim.paint(&format!("  {key}={value}")));
    }
    shown.push('\n');
    shown
}
