//! Evidence: every signal read once, at one moment, into one immutable value.
//!
//! Gathering and judging are apart: this reads, `hale-playbooks` decides, and the same bundle gives the same verdict
//! anywhere. What cannot be read, or not in time, is *unknown* with its reason, never a guess.
//! Rows of lab origin are left out: the injector leaves no tracks for the diagnoser.
//! Read next: [`run_facts`], then `hale-playbooks/src/verdict.rs`.

mod model_facts;
pub mod pack_facts;
pub mod run_facts;
mod wait_facts;

use crate::desk::Look;
use crate::facade::Engine;
use crate::facade::runs::blocking;
use crate::registry::modes::Folder;
use crate::settings::Settings;
use crate::supervisor::Stands;
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::RunId;
use hale_core::limits;
use hale_core::run::{Run, StateName};
use hale_core::time::{Millis, Timestamp};
use hale_playbooks::evidence::{Builder, Evidence, Reason, Subject};
use hale_playbooks::value::Value;
use hale_playbooks::{Verdict, diagnose};
use hale_store::{Counts, Pruned, QueueRow, Space, StoredRun};
use run_facts::RunFacts;
use std::collections::{BTreeMap, BTreeSet};
use tokio::time::Instant;

/// The window of signals that count what happened lately.
pub const WINDOW: Millis = Millis::seconds(300);

/// A diagnosis: the sentence, the verdict, and where the time of a run went.
#[derive(Clone, Debug)]
pub struct Diagnosed {
    pub says: String,
    pub verdict: Verdict,
    pub run: Option<StoredRun>,
    /// Queue, model, tools, other.
    pub time: BTreeMap<String, Millis>,
    pub took: Millis,
}

impl Engine {
    /// Reads all signals of the system, and of one run when named.
    ///
    /// # Errors
    /// E010 for an unknown run. A source that does not answer makes its signals unknown, not an error.
    pub async fn evidence(&self, run: Option<RunId>) -> Result<Evidence, Failure> {
        Ok(self.gather(run).await?.0)
    }

    /// All sources at once, each until the same moment: one that hangs costs its own signals and no more.
    async fn gather(&self, run: Option<RunId>) -> Result<(Evidence, Option<(StoredRun, RunFacts)>), Failure> {
        let now = self.now();
        let by = Instant::now() + limits::TRIAGE.duration();
        let subject = run.map_or(Subject::System, |id| Subject::Run(id.to_string()));
        let of_run = async {
            match run {
                Some(id) => Ok(Some(within(by, self.facts(id, now)).await?)),
                None => Ok(None),
            }
        };
        let (of_run, look, counted, space, disk, packs) = tokio::join!(
            of_run,
            within(by, self.look()),
            within(by, self.counted(now)),
            within(by, self.spaces(now)),
            within(by, self.disk()),
            within(by, self.pack_folder()),
        );
        let of_run = of_run?;
        let mut builder = Evidence::builder(subject, now).known("server.up", Value::Bool(true), "engine");
        builder = read_queues(builder, (&look, &counted), (self.settings(), now));
        builder = read_look(builder, look, now);
        builder = self.read_processes(builder);
        builder = read_counts(builder, counted, now);
        builder = read_store(builder, space, now);
        builder = builder.known("disk.path", Value::Text(self.config().data.display().to_string()), "config");
        builder = read_disk(builder, disk);
        builder = self.read_walls(builder);
        let packs = packs.map_err(|failure| (reason(&failure), failure.to_string()));
        builder = pack_facts::fill(builder, self.config().packs.as_deref(), packs);
        let model = of_run.as_ref().map(|(_, facts)| facts.model.clone());
        builder = model_facts::read(self, builder, (model, now));
        if let Some((_, facts)) = &of_run {
            builder = facts.fill(builder);
        }
        let evidence = builder.build().map_err(|error| {
            Failure::new(Code::E015, "evidence.unbuildable", "engine", "build the evidence").caused_by(&error)
        })?;
        Ok((evidence, of_run))
    }

    async fn facts(&self, id: RunId, now: Timestamp) -> Result<(StoredRun, RunFacts), Failure> {
        let stored = self.run(id).await?;
        let store = self.store().clone();
        let records = blocking(move || store.history(id, 1, limits::STEPS_MAX)).await?;
        let manifest = self.registry().manifest(&stored.run.pack);
        let current = self.registry().resolve(&stored.run.pack.name, None).ok().or_else(|| manifest.clone());
        let default = self.config().default_model.clone();
        let model = manifest.as_ref().and_then(|manifest| manifest.model.clone()).unwrap_or(default);
        let raised = self.settings().limit(&stored.run.pack.name);
        let doing = self.hub().doing(id);
        let facts =
            RunFacts::of(&stored.run, (&records, doing, now)).with_pack((model, manifest), (current, raised));
        Ok((stored, facts))
    }

    /// The worker processes that this server keeps.
    fn read_processes(&self, builder: Builder) -> Builder {
        let processes = self.processes();
        let seats = &processes.seats;
        let int = |n: usize| Value::Int(i64::try_from(n).unwrap_or(i64::MAX));
        let open = seats.iter().filter(|seat| matches!(seat.stands, Stands::Open { .. })).count();
        let taken = seats.iter().filter(|seat| matches!(seat.stands, Stands::Taken { .. })).count();
        let ends = seats.iter().map(|seat| seat.ends).sum();
        let last = seats.iter().filter_map(|seat| seat.last.as_ref()).max_by_key(|ended| ended.at);
        let last = last.map_or(String::new(), |ended| format!("seat {}: {}", ended.seat, ended.meaning.says));
        builder
            .known("workers.processes_wanted", Value::Int(i64::from(processes.wanted)), "settings")
            .known("workers.processes_live", int(taken), "supervisor")
            .known("workers.breakers_open", int(open), "supervisor")
            .known("workers.ends_5m", int(ends), "supervisor")
            .known("workers.last_end", Value::Text(last), "supervisor")
    }

    /// The walls around jobs, which a probe finds out once after the start.
    fn read_walls(&self, builder: Builder) -> Builder {
        use hale_sandbox::job::wall::State;
        let Some(walls) = self.jobs().and_then(|jobs| jobs.walls()) else {
            let why = "the probe of the start has not told them";
            return builder.unknown("jobs.walls_live", Reason::Missing, why).unknown(
                "jobs.walls_missing",
                Reason::Missing,
                why,
            );
        };
        let live = walls.iter().filter(|standing| standing.state == State::Live).count();
        let missing = walls.iter().filter(|standing| matches!(standing.state, State::NotAvailable { .. }));
        let missing = missing.map(|standing| standing.wall.name()).collect::<Vec<_>>().join(", ");
        builder.known("jobs.walls_live", Value::Int(live as i64), "sandbox").known(
            "jobs.walls_missing",
            Value::Text(missing),
            "sandbox",
        )
    }

    async fn counted(&self, now: Timestamp) -> Counted {
        let (store, since) = (self.store().clone(), now - WINDOW);
        blocking(move || Ok((store.counts(since)?, store.queue()?))).await
    }

    async fn spaces(&self, now: Timestamp) -> Result<(Space, Pruned), Failure> {
        let (store, before) = (self.store().clone(), now - self.config().retention);
        blocking(move || Ok((store.space()?, store.freeable(before)?))).await
    }

    /// The file system itself, not the text of an error, says whether there is room.
    async fn disk(&self) -> Result<rustix::fs::StatVfs, Failure> {
        let dir = self.config().data.clone();
        aside("ask the file system of the data folder", move || rustix::fs::statvfs(&dir)).await
    }

    async fn pack_folder(&self) -> Result<Option<Folder>, Failure> {
        let dir = self.config().packs.clone();
        aside("look at the folder of packs", move || pack_facts::look(dir.as_deref())).await
    }

    /// Why: the evidence judged, with the sentence to read first.
    ///
    /// # Errors
    /// E010 for an unknown run.
    pub async fn diagnose(&self, run: Option<RunId>) -> Result<Diagnosed, Failure> {
        let begun = Instant::now();
        let (evidence, of_run) = self.gather(run).await?;
        let verdict = diagnose(hale_playbooks::catalogue(), &evidence);
        let says = match &of_run {
            Some((stored, facts)) => run_facts::says(&stored.run, (facts, &verdict, evidence.taken_at())),
            None => says(&verdict),
        };
        let says = match of_run.as_ref().and_then(|(stored, _)| self.switched_off(&stored.run)) {
            Some(switched) => format!("{switched}; {says}"),
            None => says,
        };
        let (run, time) = match of_run {
            Some((stored, facts)) => (Some(stored), facts.time()),
            None => (None, BTreeMap::new()),
        };
        Ok(Diagnosed { says, verdict, run, time, took: Millis::from(begun.elapsed()) })
    }
}

impl Engine {
    /// What a kill switch means for a run that has not ended.
    fn switched_off(&self, run: &Run) -> Option<String> {
        let standing = self.switches();
        if run.is_terminal() {
            return None;
        }
        if let Some(switch) = standing.over(run) {
            return Some(format!("{}; hale killswitch list", switch.told()));
        }
        let at = standing.returns(run.tenant.as_deref(), &run.pack.name)?;
        Some(format!("its kill switch is off again, and it goes from {at} on; hale killswitch list"))
    }
}

fn count(counts: &Counts, state: StateName) -> i64 {
    i64::try_from(counts.ended_since.get(&state).copied().unwrap_or(0)).unwrap_or(i64::MAX)
}

/// Runs by state, and by queue.
type Counted = Result<(Counts, Vec<QueueRow>), Failure>;

/// What a source says until this moment; later is too late.
async fn within<T>(by: Instant, read: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::time::timeout_at(by, read).await.unwrap_or_else(|_| {
        let message = format!("gather evidence: no answer within {}", limits::TRIAGE);
        Err(Failure::new(Code::E014, LATE, "engine", message))
    })
}

/// The cause of a reading that came too late.
const LATE: &str = "evidence.late";

fn reason(failure: &Failure) -> Reason {
    match failure.cause.as_str() {
        LATE | "engine.hangs" => Reason::TimedOut,
        _ => Reason::Missing,
    }
}

/// A read that may hang, on a thread of its own.
async fn aside<T, E>(
    what: &'static str,
    read: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, Failure>
where
    T: Send + 'static,
    E: std::error::Error + Send + 'static,
{
    let failed = |error: &(dyn std::error::Error + 'static)| {
        Failure::new(Code::E008, "evidence.unreadable", "engine", what).caused_by(error)
    };
    let read = tokio::task::spawn_blocking(read).await.map_err(|error| failed(&error))?;
    read.map_err(|error| failed(&error))
}

/// Signals that one failed source leaves unknown.
fn unknown(builder: Builder, names: &[&str], failure: &Failure) -> Builder {
    let (reason, detail) = (reason(failure), failure.to_string());
    names.iter().fold(builder, |builder, name| builder.unknown(name, reason, &detail))
}

fn read_look(builder: Builder, look: Result<Look, Failure>, now: Timestamp) -> Builder {
    const NAMES: [&str; 9] = [
        "approvals.oldest_age",
        "approvals.stalled",
        "approvals.waiting",
        "runs.pending",
        "runs.active",
        "workers.live",
        "workers.slots",
        "workers.busy",
        "workers.draining",
    ];
    let look = match look {
        Ok(look) => look,
        Err(failure) => return unknown(builder, &NAMES, &failure),
    };
    let live = || look.workers.iter().filter(|worker| worker.until > now);
    let taking = || live().filter(|worker| !worker.draining);
    let sum = |value: u64| Value::Int(i64::try_from(value).unwrap_or(i64::MAX));
    let asked = look.approvals_since.map_or(Millis(0), |since| now.since(since));
    builder
        .known("approvals.oldest_age", Value::Duration(asked), "engine")
        .known("approvals.stalled", sum(look.approvals_stalled), "engine")
        .known("approvals.waiting", sum(look.approvals), "engine")
        .known("runs.pending", sum(look.pending), "engine")
        .known("runs.active", sum(look.active), "engine")
        .known("workers.live", sum(taking().count() as u64), "engine")
        .known("workers.slots", sum(taking().map(|worker| u64::from(worker.slots)).sum()), "engine")
        .known("workers.busy", sum(live().map(|worker| u64::from(worker.busy)).sum()), "engine")
        .known("workers.draining", sum(live().filter(|worker| worker.draining).count() as u64), "engine")
}

/// Queues from which nothing can go, whoever works elsewhere.
fn read_queues(
    builder: Builder,
    (look, counted): (&Result<Look, Failure>, &Counted),
    (settings, now): (&Settings, Timestamp),
) -> Builder {
    let (look, rows) = match (look, counted) {
        (Ok(look), Ok((_, rows))) => (look, rows),
        (Err(failure), _) | (_, Err(failure)) => {
            return unknown(builder, &["queues.drained", "queues.unserved"], failure);
        }
    };
    let waits: BTreeSet<&str> =
        rows.iter().filter(|row| row.count > 0).map(|row| row.line.queue.as_ref()).collect();
    let set = settings.queues();
    let drained = waits.iter().filter(|name| set.get(**name).is_some_and(|tuned| tuned.paused.is_some()));
    let takes = |name: &str| {
        let mut live = look.workers.iter().filter(|worker| worker.until > now && !worker.draining);
        live.any(|worker| crate::claims::serves(&worker.queues, name))
    };
    let unserved = waits.iter().filter(|name| !takes(name));
    let int = |n: usize| Value::Int(i64::try_from(n).unwrap_or(i64::MAX));
    builder.known("queues.drained", int(drained.count()), "settings").known(
        "queues.unserved",
        int(unserved.count()),
        "engine",
    )
}

fn read_counts(builder: Builder, counted: Counted, now: Timestamp) -> Builder {
    let (counts, queue) = match counted {
        Ok(read) => read,
        Err(failure) => {
            let names = ["runs.failed_5m", "runs.timeout_5m", "runs.oldest_pending_age"];
            return unknown(builder, &names, &failure);
        }
    };
    let ended = |state| Value::Int(count(&counts, state));
    let oldest = queue.iter().filter_map(|row| row.oldest).min();
    let age = oldest.map_or(Millis(0), |oldest| now.since(oldest));
    builder
        .known("runs.failed_5m", ended(StateName::Failed), "store")
        .known("runs.timeout_5m", ended(StateName::Timeout), "store")
        .known("runs.oldest_pending_age", Value::Duration(age), "store")
}

fn read_store(builder: Builder, read: Result<(Space, Pruned), Failure>, now: Timestamp) -> Builder {
    let (space, freeable) = match read {
        Ok(read) => read,
        Err(failure) => {
            let names = [
                "store.full",
                "store.ballast_released",
                "store.reserve",
                "store.retention_freeable",
                "store.write_ok_last_age",
            ];
            return unknown(builder, &names, &failure);
        }
    };
    let reserve = if space.ballast { 0 } else { limits::BALLAST_BYTES };
    let builder = builder
        .known("store.retention_freeable", Value::Bytes(freeable.bytes), "store")
        .known("store.full", Value::Bool(space.full_since.is_some()), "store")
        .known("store.ballast_released", Value::Bool(!space.ballast), "store")
        .known("store.reserve", Value::Bytes(reserve), "store");
    match space.last_write_ok_at {
        Some(at) => builder.known("store.write_ok_last_age", Value::Duration(now.since(at)), "store"),
        None => builder.unknown("store.write_ok_last_age", Reason::Missing, "nothing was written yet"),
    }
}

fn read_disk(builder: Builder, read: Result<rustix::fs::StatVfs, Failure>) -> Builder {
    let stat = match read {
        Ok(stat) => stat,
        Err(failure) => {
            let names = ["disk.free", "disk.total", "disk.free_ratio", "disk.inodes_free_ratio"];
            return unknown(builder, &names, &failure);
        }
    };
    let (free, total) = (stat.f_bavail * stat.f_frsize, stat.f_blocks * stat.f_frsize);
    let share = |part: u64, whole: u64| if whole == 0 { 1.0 } else { part as f64 / whole as f64 };
    builder
        .known("disk.free", Value::Bytes(free), "statvfs")
        .known("disk.total", Value::Bytes(total), "statvfs")
        .known("disk.free_ratio", Value::Num(share(free, total)), "statvfs")
        .known("disk.inodes_free_ratio", Value::Num(share(stat.f_favail, stat.f_files)), "statvfs")
}

/// The sentence for the whole system.
pub fn says(verdict: &Verdict) -> String {
    match (verdict.findings.first(), verdict.undetermined.first()) {
        (Some(first), _) => format!("{}: {}", first.title, first.cause),
        (None, Some(open)) => format!("{}; the cause is not decided: {}", open.symptom, open.because),
        (None, None) => format!("nothing is wrong: none of {} symptoms is seen", verdict.checked),
    }
}
