//! Kill switches in the loop: held lines, refused orders, runs that are stopped and forced, targets that come back.
//!
//! A switch is a durable setting; it takes effect when the loop has read it, before whoever threw it is answered.
//! Queued and waiting runs keep their places and are not leased; runs that execute are stopped when their time is over.
//! Guarantees: the embedded worker knows a switch before the answer leaves, worker processes are told at once.
//! Leaves to others: throwing (`facade/killswitch.rs`), the border between steps (`worker/switches.rs`).
//! Read next: [`crate::claims`].

use crate::desk::{Act, Desk};
use crate::settings::Settings;
use crate::worker::Order;
use hale_core::failure::Failure;
use hale_core::killswitch::{Due, Standing, Switch, Target};
use hale_core::run::{self, Event, Run};
use hale_core::time::Timestamp;
use hale_store::WorkerKind;
use std::collections::BTreeMap;

/// Settings of switches that are on: what follows is the target.
pub const PREFIX: &str = "killswitch.";
/// The setting of what was switched off and comes back.
pub const RETURNING: &str = "killswitch_returning";

impl Settings {
    /// The switches that are on, and what comes back.
    pub fn standing(&self) -> Standing {
        let on = self.below(PREFIX);
        let on: Vec<Switch> = on.iter().filter_map(|(_, value)| serde_json::from_str(value).ok()).collect();
        let returning = self.get(RETURNING);
        let returning: BTreeMap<Target, Timestamp> =
            returning.and_then(|value| serde_json::from_str(&value).ok()).unwrap_or_default();
        Standing { on, returning }
    }
}

impl Desk {
    /// Takes over the switches as they are set now, tells every worker, and does what is due.
    pub(crate) fn rethrow(&mut self) {
        let (standing, now) = (self.settings.standing(), self.now());
        let same = standing.on == self.standing.on;
        self.standing = standing;
        self.returns = self.standing.next_return(now);
        if same {
            return;
        }
        self.switches.set(&self.standing.on, now);
        for worker in self.workers.values().filter(|worker| worker.row.kind == WorkerKind::Process) {
            worker.send(self.switches_now(now));
        }
        self.enforce(now);
    }

    /// What a worker process is told.
    pub(crate) fn switches_now(&self, now: Timestamp) -> Order {
        Order::Switches { on: self.standing.on.clone(), now }
    }

    /// Refuses new work that a switch covers.
    pub(crate) fn admits(&self, order: &run::Order) -> Result<(), Failure> {
        if order.trigger == run::Trigger::Probe {
            return Ok(());
        }
        match self.standing.covering(order.tenant.as_deref(), &order.pack.name) {
            Some(switch) => Err(switch.refuses(&order.pack.name)),
            None => Ok(()),
        }
    }

    /// Gives a run back that was leased just before its switch was thrown; whether it did.
    pub(crate) fn held_back(&mut self, run: &Run) -> bool {
        let (Some(lease), Some(_)) = (run.lease(), self.standing.over(run)) else { return false };
        let now = self.now();
        self.move_by(run, Event::Released { worker: lease.worker, epoch: lease.epoch }, now);
        true
    }

    /// Stops runs whose time under a switch is over, and ends those that did not stop.
    pub(crate) fn enforce(&mut self, now: Timestamp) {
        if self.standing.on.is_empty() {
            return;
        }
        let due: Vec<(Run, Vec<Event>)> = self
            .active
            .values()
            .filter_map(|active| {
                let switch = self.standing.over(&active.run)?;
                let events = ending(&active.run, (switch, switch.due(now)?));
                (!events.is_empty()).then(|| (active.run.clone(), events))
            })
            .collect();
        for (run, events) in due {
            match self.advance(&run, events, now) {
                Ok((op, moved)) => self.push(op, Act::Moved(moved)),
                Err(refused) => {
                    tracing::error!(run_id = %run.id, error = %refused, "run not stopped by its kill switch");
                }
            }
        }
    }

    /// Lets targets go again whose moment has come.
    pub(crate) fn let_return(&mut self, now: Timestamp) {
        if self.returns.is_some_and(|at| at <= now) {
            self.returns = self.standing.next_return(now);
            self.queue.release_all();
        }
    }
}

/// What ends a run under a switch; nothing for one that holds no lease, or that was told already.
fn ending(run: &Run, (switch, due): (&Switch, Due)) -> Vec<Event> {
    let Some(lease) = run.lease() else { return Vec::new() };
    let reason = format!("kill switch {}: {}", switch.target, switch.reason);
    let mut events = Vec::new();
    if run.cancel.is_none() {
        events.push(Event::CancelAsked { by: switch.by.clone(), reason: Some(reason.clone()) });
    }
    if due == Due::Forced {
        events.push(Event::LeaseLost { worker: lease.worker, epoch: lease.epoch, why: reason });
    }
    events
}
