//! The doctor without a server: from a bundle of evidence, or from the folder of a server that is down.
//!
//! Guarantees: nothing is changed; a bundle is judged by the same function as in the server.

use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::render::{Look, when};
use crate::wire::Diagnosis;
use hale_core::code::Code;
use hale_core::run::StateName;
use hale_core::time::{Millis, Timestamp};
use hale_engine::recorder;
use hale_playbooks::evidence::Reason;
use hale_playbooks::signal::{SIGNALS, Scope};
use hale_playbooks::{Evidence, Subject, Value, Verdict, catalogue, diagnose};
use hale_store::folder::Holder;
use hale_store::{Folder, Sqlite, Store};
use std::path::Path;

/// Judges a bundle.
///
/// # Errors
/// When the file cannot be read or is no bundle.
pub fn from_bundle(file: &Path) -> Result<Verdict, Error> {
    let text =
        std::fs::read_to_string(file).map_err(|error| Error::file("read the evidence in", file, &error))?;
    let evidence = Evidence::from_json(&text).map_err(|error| {
        Error::coded(Code::E002, format!("judge the evidence in {}", file.display()))
            .caused_by(&error)
            .hint("make one with: hale doctor --save bundle.json")
    })?;
    Ok(diagnose(catalogue(), &evidence))
}

/// A verdict with a sentence before it.
pub fn diagnosis(verdict: Verdict) -> Diagnosis {
    Diagnosis {
        schema: "hale.diagnosis/1".to_owned(),
        subject: verdict.subject.to_string(),
        says: hale_engine::evidence::says(&verdict),
        run: None,
        route: None,
        time_ms: Default::default(),
        verdict,
        took_ms: 0,
    }
}

/// Writes a bundle.
///
/// # Errors
/// What the file system says.
pub fn save(ctx: &mut Ctx, file: &Path, evidence: &serde_json::Value) -> Result<Exit, Error> {
    let evidence: Evidence = serde_json::from_value(evidence.clone())
        .map_err(|error| Error::new(Exit::Failed, "read the server's evidence").caused_by(&error))?;
    let path = ctx.cwd.join(file);
    std::fs::write(&path, evidence.to_json())
        .map_err(|error| Error::file("write the evidence to", &path, &error))?;
    let name = file.display().to_string();
    let done =
        serde_json::json!({ "schema": "hale.saved/1", "file": name, "readings": evidence.readings().len() });
    ctx.screen.one(&done, &name, |look| {
        format!("{}\n", look.good(&format!("saved {} readings to {name}", evidence.readings().len())))
    });
    ctx.screen.next(&format!("hale doctor --evidence {name}"));
    Ok(Exit::Done)
}

/// Judges the folder of a server that is down or hung, from a copy of its database and the disk below it.
///
/// # Errors
/// When the folder holds no database that can be read.
pub fn from_folder(data: &Path) -> Result<Diagnosis, Error> {
    let holder = Folder::holder(data)?;
    let store = Sqlite::open_readonly_copy(data)?;
    let verdict = diagnose(catalogue(), &gather(&store, data)?);
    let mut diagnosis = diagnosis(verdict);
    let folder = data.display();
    let mut says = match holder {
        Some(Holder { pid, .. }) => format!(
            "process {pid} holds {folder} and does not answer; end it (kill -9 {pid}) and start again with: hale up --detach"
        ),
        None => format!("no server runs on {folder}; start one with: hale up --detach --data {folder}"),
    };
    if !diagnosis.verdict.findings.is_empty() {
        says.push_str(&format!("; {}", diagnosis.says));
    }
    diagnosis.says = says;
    Ok(diagnosis)
}

/// The last lines of the flight recorder: what the server saw before it went away.
pub fn last_lines(data: &Path, look: &Look) -> Vec<String> {
    let mut entries = recorder::read(&recorder::path(data)).unwrap_or_default();
    // What was said again and again is said once, with its last moment.
    entries.reverse();
    entries.dedup_by(|later, sooner| (&later.kind, &later.text) == (&sooner.kind, &sooner.text));
    entries.reverse();
    let last = &entries[entries.len().saturating_sub(LAST_LINES)..];
    let line = |entry: &recorder::Entry| {
        let at = when::moment(look, &entry.at.rfc3339());
        format!("  {at}  {}  {}", entry.kind, crate::logs::line::escaped(&entry.text))
    };
    last.iter().map(line).collect()
}

const LAST_LINES: usize = 8;

/// What the store and the disk say by themselves. What only a living server knows stays unknown, with that reason.
fn gather(store: &Sqlite, data: &Path) -> Result<Evidence, Error> {
    let now = crate::logs::line::now();
    let counts = store.counts(now - RECENT)?;
    let active = [StateName::Initializing, StateName::Running, StateName::Completing];
    let count = |state: &StateName| counts.by_state.get(state).copied().unwrap_or(0);
    let ended = |state: StateName| counts.ended_since.get(&state).copied().unwrap_or(0);
    let space = store.space()?;
    let ratio = |part: u64, whole: u64| if whole == 0 { 1.0 } else { part as f64 / whole as f64 };
    let readings = [
        ("server.up", Value::Bool(false), "cli"),
        ("disk.path", Value::Text(data.display().to_string()), "cli"),
        ("disk.free", Value::Bytes(space.free), "statvfs"),
        ("disk.total", Value::Bytes(space.total), "statvfs"),
        ("disk.free_ratio", Value::Num(ratio(space.free, space.total)), "statvfs"),
        ("disk.inodes_free_ratio", Value::Num(inodes_free(data)), "statvfs"),
        ("store.ballast_released", Value::Bool(!space.ballast), "store"),
        ("runs.pending", whole(count(&StateName::Pending)), "store"),
        ("runs.oldest_pending_age", Value::Duration(oldest(store, now)?), "store"),
        ("runs.active", whole(active.iter().map(count).sum()), "store"),
        ("runs.failed_5m", whole(ended(StateName::Failed)), "store"),
        ("runs.timeout_5m", whole(ended(StateName::Timeout)), "store"),
    ];
    let mut evidence = Evidence::builder(Subject::System, now);
    for signal in SIGNALS.iter().filter(|signal| signal.scope == Scope::System) {
        evidence = match readings.iter().find(|(name, ..)| *name == signal.name) {
            Some((name, value, source)) => evidence.known(name, value.clone(), source),
            None => evidence.unknown(signal.name, Reason::ServerDown, ""),
        };
    }
    evidence.build().map_err(|error| Error::new(Exit::Failed, "gather evidence").caused_by(&error))
}

/// "Now" of the signals that count what ended.
const RECENT: Millis = Millis::seconds(300);

fn oldest(store: &Sqlite, now: Timestamp) -> Result<Millis, Error> {
    let oldest = store.queue()?.iter().filter_map(|row| row.oldest).min();
    Ok(oldest.map_or(Millis(0), |at| now.since(at)))
}

fn whole(count: u64) -> Value {
    Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
}

/// Free inodes as a share; 1 where the file system has no such limit, or does not say.
fn inodes_free(data: &Path) -> f64 {
    match rustix::fs::statvfs(data) {
        Ok(disk) if disk.f_files > 0 => disk.f_favail as f64 / disk.f_files as f64,
        _ => 1.0,
    }
}
