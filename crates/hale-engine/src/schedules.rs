//! Schedules: runs that start at certain times.
//!
//! Guarantees: a firing is submitted under the idempotency key `NAME/TIME`, so a crash between its commit and our note
//! of it starts nothing twice; what was missed while the server was down is made up at most `catch_up` times, the
//! latest first to count; with `overlap: skip` no firing starts while the run of the one before is active.
//! Leaves to others: what a cron line means (`hale_core::cron`), starting a run ([`crate::facade::runs`]).
//! Read next: [`crate::facade::schedules`], the levers.

use crate::facade::Engine;
use crate::input::{Caller, Submit};
use crate::settings::{SCHEDULE, SCHEDULE_DONE};
use hale_core::code::Code;
use hale_core::cron;
use hale_core::failure::Failure;
use hale_core::id::RunId;
use hale_core::limits;
use hale_core::run::{Priority, Trigger};
use hale_core::time::{Millis, Timestamp};
use hale_store::Op;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// The actor of fired runs; with the key of a firing it makes `schedule/NAME/TIME`.
const ACTOR: &str = "schedule";
/// Without a schedule the task sleeps this long; a change wakes it.
const FAR: Duration = Duration::from_secs(3600);
/// Between two tries of a firing that the server could not take.
const AGAIN: Duration = Duration::from_secs(5);
/// Firings that one look back in time counts; beyond it they are told as "at least".
const COUNTED: usize = 10_000;

/// What to do when the run of the last firing is active still.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overlap {
    #[default]
    Skip,
    Queue,
}

/// A schedule as it is stored under `schedule.NAME`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    pub pack: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(default)]
    pub input: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    pub cron: String,
    /// A name of the time zone database.
    pub tz: String,
    /// Missed firings that are made up after a downtime.
    pub catch_up: u32,
    #[serde(default)]
    pub overlap: Overlap,
    #[serde(default)]
    pub paused: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Arc<str>>,
    pub by: String,
    /// Nothing before this moment fires: when it was made, or resumed.
    pub since: Timestamp,
}

/// What a schedule has done, as it is stored under `schedule_done.NAME`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// The last moment that was dealt with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// The run of the last firing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    #[serde(default)]
    pub fired: u64,
    /// Not started, because the run before was active.
    #[serde(default)]
    pub skipped: u64,
    /// Not made up after a downtime.
    #[serde(default)]
    pub missed: u64,
    /// Why the last firing started nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The time zone of a name.
///
/// # Errors
/// E002 for a name that the time zone database does not have.
pub fn zone(name: &str) -> Result<TimeZone, Failure> {
    TimeZone::get(name).map_err(|_| {
        let known: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
        let meant = hale_core::nearest::nearest(name, known.iter().map(String::as_str));
        let meant = meant.map(|meant| format!(", did you mean {meant}?")).unwrap_or_default();
        let message = format!(
            "read {name:?} as a time zone{meant}: write a name such as Europe/Berlin, America/New_York or UTC"
        );
        Failure::new(Code::E002, "schedule.invalid_zone", "engine", message)
    })
}

impl Schedule {
    /// The cron line and the zone, read.
    ///
    /// # Errors
    /// E002 for either.
    pub fn times(&self) -> Result<(cron::Cron, TimeZone), Failure> {
        let cron = cron::parse(&self.cron).map_err(|error| {
            Failure::new(Code::E002, "schedule.invalid_cron", "engine", error.to_string())
        })?;
        Ok((cron, zone(&self.tz)?))
    }

    /// The next firings after a moment.
    pub fn next(&self, after: Timestamp, n: usize) -> Vec<Timestamp> {
        let Ok((cron, zone)) = self.times() else { return Vec::new() };
        let next = |from: &Timestamp| cron.next(&zone, *from);
        std::iter::successors(next(&after), next).take(n).collect()
    }

    /// Up to where its times are dealt with.
    fn dealt_with(&self, done: &Done) -> Timestamp {
        done.last.map_or(self.since, |last| last.max(self.since))
    }

    /// What is due now: the firings to start, the earliest first, and how many were missed for good.
    pub fn due(&self, done: &Done, now: Timestamp) -> (Vec<Timestamp>, u64) {
        let from = self.dealt_with(done);
        let Ok((cron, zone)) = self.times() else { return (Vec::new(), 0) };
        let mut all: VecDeque<Timestamp> = VecDeque::new();
        let mut counted = 0u64;
        let mut at = look_back(&cron, &zone, (from, now), self.catch_up as usize + 2);
        while let Some(next) = cron.next(&zone, at).filter(|next| *next <= now) {
            all.push_back(next);
            counted += 1;
            if all.len() > self.catch_up as usize + 1 {
                all.pop_front();
            }
            at = next;
        }
        let is_late = |at: &Timestamp| now.since(*at) > limits::FIRING_LATE;
        let late = all.iter().filter(|at| is_late(at)).count();
        let spare = late.saturating_sub(self.catch_up as usize);
        all.drain(..spare);
        let missed = counted - all.len() as u64;
        (all.into(), missed)
    }
}

/// Where to begin to look for the firings up to now: as late as still finds `enough` of them.
fn look_back(
    cron: &cron::Cron,
    zone: &TimeZone,
    (from, now): (Timestamp, Timestamp),
    enough: usize,
) -> Timestamp {
    let enough = enough.max(COUNTED);
    let mut span = Millis::seconds(86_400);
    while now - span > from {
        let mut at = now - span;
        let begin = at;
        let mut found = 0;
        while let Some(next) = cron.next(zone, at).filter(|next| *next <= now) {
            found += 1;
            at = next;
            if found >= enough {
                return begin;
            }
        }
        span = Millis(span.0.saturating_mul(8));
    }
    from
}

impl Engine {
    /// Schedules by name.
    pub fn schedules(&self) -> Vec<(String, Schedule, Done)> {
        let read = |(key, value): (String, String)| {
            let name = key.strip_prefix(SCHEDULE)?.to_owned();
            match serde_json::from_str(&value) {
                Ok(schedule) => {
                    let done = self.schedule_done(&name);
                    Some((name, schedule, done))
                }
                Err(error) => {
                    tracing::error!(event = "schedule_unreadable", schedule = %name, error = %error, "schedule not read");
                    None
                }
            }
        };
        self.settings().below(SCHEDULE).into_iter().filter_map(read).collect()
    }

    pub(crate) fn schedule_done(&self, name: &str) -> Done {
        let text = self.settings().get(&format!("{SCHEDULE_DONE}{name}"));
        text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }

    pub(crate) async fn note_done(&self, name: &str, done: &Done) -> Result<(), Failure> {
        let key = format!("{SCHEDULE_DONE}{name}");
        let value = serde_json::to_string(done).unwrap_or_default();
        self.write(vec![Op::Setting { key: key.clone(), value: Some(value.clone()) }]).await?;
        self.settings().set(&key, Some(&value));
        Ok(())
    }

    /// Starts what a schedule says, under a key of its own.
    pub(crate) async fn fire(
        &self,
        (name, schedule): (&str, &Schedule),
        key: String,
    ) -> Result<hale_core::run::Run, Failure> {
        let submit = Submit {
            pack: schedule.pack.clone(),
            version: schedule.version.clone(),
            input: schedule.input.clone(),
            priority: schedule.priority,
            idempotency: Some(key),
            ..Submit::default()
        };
        let caller = Caller {
            actor: Arc::from(ACTOR),
            correlation: Arc::from(format!("{ACTOR}/{name}")),
            traceparent: None,
            trigger: Trigger::Schedule,
            tenant: schedule.tenant.clone(),
        };
        Ok(self.submit(submit, &caller).await?.run)
    }

    /// Deals with everything of one schedule that is due; an error is to be tried again.
    async fn deal(&self, name: &str, schedule: &Schedule, mut done: Done) -> Result<(), Failure> {
        let now = self.now();
        let (due, missed) = schedule.due(&done, now);
        if missed > 0 {
            tracing::warn!(event = "schedule_missed", schedule = %name, missed, "firings were missed and are not made up");
            done.missed += missed;
        }
        if due.is_empty() && missed > 0 {
            done.last = Some(now);
            self.note_done(name, &done).await?;
        }
        for at in due {
            done.last = Some(at);
            done.error = None;
            if schedule.overlap == Overlap::Skip && self.is_active(done.run) {
                tracing::warn!(event = "schedule_skipped", schedule = %name, at = %at, "firing skipped: the run before is active");
                done.skipped += 1;
                self.note_done(name, &done).await?;
                continue;
            }
            match self.fire((name, schedule), format!("{name}/{at}")).await {
                Ok(run) => {
                    done.run = Some(run.id);
                    done.fired += 1;
                    tracing::info!(event = "schedule_fired", schedule = %name, run_id = %run.id, at = %at, "schedule fired");
                }
                // Not taken now: the same moment is tried again.
                Err(failure) if matches!(failure.code, Code::E014 | Code::E008) => return Err(failure),
                Err(failure) => {
                    tracing::error!(event = "schedule_failed", schedule = %name, at = %at, error = %failure, "firing started nothing");
                    done.error = Some(failure.to_string());
                }
            }
            self.note_done(name, &done).await?;
        }
        Ok(())
    }

    fn is_active(&self, run: Option<RunId>) -> bool {
        let stored = run.and_then(|run| self.store().run(run).ok().flatten());
        stored.is_some_and(|stored| !stored.run.is_terminal())
    }
}

/// Follows all schedules until the engine stops.
pub(crate) async fn follow(engine: Engine) {
    loop {
        let mut sleep = FAR;
        for (name, schedule, done) in engine.schedules() {
            if schedule.paused {
                continue;
            }
            if let Err(failure) = engine.deal(&name, &schedule, done).await {
                tracing::warn!(event = "schedule_waits", schedule = %name, error = %failure, "firing is tried again");
                sleep = sleep.min(AGAIN);
                continue;
            }
            let from =
                schedule.dealt_with(&engine.schedule_done(&name)).max(engine.now() - limits::FIRING_LATE);
            if let Some(next) = schedule.next(from, 1).first() {
                sleep = sleep.min(next.since(engine.now()).duration().max(Duration::from_millis(1)));
            }
        }
        tokio::select! {
            () = engine.0.stop.cancelled() => return,
            () = engine.0.schedules_changed.notified() => {}
            () = tokio::time::sleep(sleep) => {}
        }
    }
}
