//! Levers of workers: how many processes the server keeps, how many runs each executes, and starting one anew.
//!
//! Every change is an operation in the audit trail; numbers are settings, survive a restart and can be taken back.
//! A worker is named by its id, by its seat, or as `embedded`.
//! Read next: [`crate::supervisor`].

use super::Engine;
use super::operate::Deed;
use crate::desk::WorkerLook;
use crate::facade::runs::blocking;
use crate::input::Caller;
use crate::settings::{WORKER_PROCESSES, WORKER_SLOTS, slots_key};
use crate::supervisor::{Heard, Launch, SeatLook, Supervisor};
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::{OperationId, WorkerId};
use hale_core::limits;
use hale_core::time::Millis;
use hale_store::{WorkerKind, WorkerRow};
use std::time::Duration;
use tokio::sync::oneshot;

/// The worker in the server's own process, whatever its id is now.
const EMBEDDED: &str = "embedded";
/// Orders to the supervisor are heard at once, unless it stores an end on a slow disk.
const HEARD_WITHIN: Duration = Duration::from_secs(10);
/// Grace, giving back, and the kill of one that does neither.
const END_WITHIN: Duration = Duration::from_secs(limits::DRAIN.0 / 1000 + 15);

/// The worker processes that the server keeps.
#[derive(Clone, Debug, Default)]
pub struct Processes {
    pub wanted: u32,
    /// An operator set the number; else it is configured.
    pub is_set: bool,
    pub seats: Vec<SeatLook>,
}

impl Engine {
    /// Begins to keep worker processes; the door that they call must be open.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn supervise(&self, launch: Launch) -> std::io::Result<()> {
        let supervisor = Supervisor::start(self.clone(), launch)?;
        // A second one is dropped, and its processes with it: nobody calls this twice.
        let _ = self.0.supervisor.set(supervisor);
        Ok(())
    }

    /// How the worker processes stand, as last shown.
    pub fn processes(&self) -> Processes {
        let Some(supervisor) = self.0.supervisor.get() else { return Processes::default() };
        let set = self.settings().processes();
        Processes {
            wanted: set.unwrap_or(supervisor.wanted),
            is_set: set.is_some(),
            seats: supervisor.seats.load().to_vec(),
        }
    }

    /// Whether this worker was started for this seat.
    pub(crate) fn sits(&self, id: WorkerId, seat: u32) -> bool {
        self.processes().seats.iter().any(|look| look.seat == seat && look.worker() == Some(id))
    }

    /// The supervisor hears of another number; one that hears much reads it with the next.
    pub(crate) fn processes_changed(&self) {
        if let Some(supervisor) = self.0.supervisor.get() {
            let _ = supervisor.heard.try_send(Heard::Changed);
        }
    }

    /// Ends the worker processes in order, and returns when none is left.
    pub async fn end_processes(&self) {
        let Some(supervisor) = self.0.supervisor.get() else { return };
        let (reply, ended) = oneshot::channel();
        if supervisor.heard.send(Heard::Close { reply }).await.is_ok() {
            // One that hangs in the kernel is left: it ends when it can, being told by our death.
            let _ = tokio::time::timeout(END_WITHIN, ended).await;
        }
    }

    fn supervisor(&self, tried: &str) -> Result<&Supervisor, Failure> {
        self.0.supervisor.get().ok_or_else(|| {
            let message = format!("{tried}: this server keeps no worker processes");
            Failure::new(Code::E011, "worker.not_supervised", "engine", message)
        })
    }

    /// Keeps another number of worker processes from now on; none goes back to what is configured.
    ///
    /// # Errors
    /// E002 for more than [`limits::WORKER_PROCESSES_MAX`].
    pub async fn workers_scale(&self, wanted: Option<u32>, caller: &Caller) -> Result<OperationId, Failure> {
        self.supervisor("set the number of worker processes")?;
        let most = limits::WORKER_PROCESSES_MAX;
        if let Some(bad) = wanted.filter(|wanted| *wanted > most) {
            let message = format!("keep {bad} worker processes: 0 to {most} are allowed on one machine");
            return Err(Failure::new(Code::E002, "worker.invalid_number", "engine", message));
        }
        let value = wanted.map(|wanted| wanted.to_string());
        self.change("worker.scale", (WORKER_PROCESSES, value), caller).await
    }

    /// Sets how many runs a worker executes at a time; none goes back to what it asked for. Runs in hand go on.
    ///
    /// # Errors
    /// E010 for an unknown worker, E002 for a number that is not allowed.
    pub async fn worker_limit(
        &self,
        target: &str,
        slots: Option<u32>,
        caller: &Caller,
    ) -> Result<OperationId, Failure> {
        let key = self.slots_of(target).await?;
        let most = limits::WORKER_CONCURRENCY_MAX;
        if let Some(bad) = slots.filter(|slots| !(1..=most).contains(slots)) {
            let message = format!(
                "give worker {target} {bad} slots: 1 to {most} are allowed; to give it no runs: hale workers drain {target}"
            );
            return Err(Failure::new(Code::E002, "worker.invalid_slots", "engine", message));
        }
        self.change("worker.limits", (&key, slots.map(|slots| slots.to_string())), caller).await
    }

    async fn slots_of(&self, target: &str) -> Result<String, Failure> {
        if target == EMBEDDED {
            return Ok(format!("{WORKER_SLOTS}{EMBEDDED}"));
        }
        if let Ok(seat) = target.parse::<u32>() {
            self.seat(seat)?;
            return Ok(format!("{WORKER_SLOTS}seat.{seat}"));
        }
        let worker = self.worker(target).await?;
        Ok(slots_key(worker.row.id, worker.row.kind, worker.seat))
    }

    /// Ends a worker process when it has nothing in hand, at the latest after `wait`, and starts another in its seat.
    /// Closes the breaker of the seat.
    ///
    /// # Errors
    /// E010 for an unknown worker or seat; E011 for one that the server does not keep, or that ends already.
    pub async fn worker_restart(
        &self,
        target: &str,
        wait: Millis,
        caller: &Caller,
    ) -> Result<SeatLook, Failure> {
        let seat = match target.parse::<u32>() {
            Ok(seat) => self.seat(seat)?.seat,
            Err(_) => self.seat_of(&self.worker(target).await?)?,
        };
        let supervisor = self.supervisor("restart a worker process")?;
        let deed = Deed {
            operation: "worker.restart",
            target: format!("seat {seat}"),
            detail: format!("asked for as {target}"),
            undo: None,
        };
        let operation = self.intend(&deed, caller).await?;
        let (reply, done) = oneshot::channel();
        let _ = supervisor.heard.send(Heard::Restart { seat, wait, reply }).await;
        let ended = || Failure::new(Code::E014, "worker.supervisor_ended", "engine", "reach the supervisor");
        let done = tokio::time::timeout(HEARD_WITHIN, done).await.map_err(|_| ended())?;
        let done = done.map_err(|_| ended())?;
        let failed = done.as_ref().err().map(|failure| format!("refused: {failure}"));
        self.outcome(operation, &Deed { detail: failed.unwrap_or(deed.detail), ..deed }, caller).await?;
        done?;
        self.seat(seat)
    }

    fn seat(&self, seat: u32) -> Result<SeatLook, Failure> {
        let seats = self.processes().seats;
        let of = seats.len();
        seats.into_iter().find(|look| look.seat == seat).ok_or_else(|| {
            let message =
                format!("find seat {seat}: the server keeps {of} worker processes; hale workers list");
            Failure::new(Code::E010, "worker.no_seat", "engine", message)
        })
    }

    fn seat_of(&self, worker: &WorkerLook) -> Result<u32, Failure> {
        worker.seat.ok_or_else(|| {
            let id = worker.row.id;
            let why = match worker.row.kind {
                WorkerKind::Embedded => "it is part of the server; restart that: hale down, then hale up",
                WorkerKind::Process => "this server did not start it; end it where it was started, it drains",
            };
            Failure::new(Code::E011, "worker.not_supervised", "engine", format!("restart worker {id}: {why}"))
        })
    }

    /// One worker that is not known to be gone, by id, seat, or as `embedded`.
    ///
    /// # Errors
    /// E010 when there is none.
    pub async fn worker(&self, target: &str) -> Result<WorkerLook, Failure> {
        let seat = target.parse::<u32>().ok();
        let is = |worker: &WorkerLook| match seat {
            Some(seat) => worker.seat == Some(seat),
            None if target == EMBEDDED => worker.row.kind == WorkerKind::Embedded,
            None => worker.row.id.to_string() == target,
        };
        let workers = self.workers().await?;
        workers.into_iter().find(is).ok_or_else(|| {
            let letters = target.chars().take(limits::NAME_CHARS).collect::<String>();
            let message =
                format!("find worker {letters:?}: no live worker has this id or seat; hale workers list");
            Failure::new(Code::E010, "worker.not_found", "engine", message)
        })
    }

    /// Workers that have ended, the last first.
    ///
    /// # Errors
    /// What the store could not read.
    pub async fn workers_ended(&self, limit: usize) -> Result<Vec<WorkerRow>, Failure> {
        let store = self.store().clone();
        let mut rows = blocking(move || store.workers()).await?;
        rows.retain(|row| row.ended.is_some());
        rows.sort_by_key(|row| std::cmp::Reverse(row.seen_at));
        rows.truncate(limit);
        Ok(rows)
    }
}
