//! One claimed run: the two transitions that every store makes when it leases a pending run.
//!
//! State changes through `hale_core::run::apply` only; this merely strings two events together.
//! Read next: `sqlite/claim.rs`.

use crate::Error;
use hale_core::id::WorkerId;
use hale_core::run::{self, Effect, Event, Record, Run, event};
use hale_core::time::Timestamp;

/// A run before and after its lease.
pub(crate) struct Taken {
    pub(crate) run: Run,
    pub(crate) records: Vec<Record>,
    pub(crate) effects: Vec<Effect>,
}

/// Leases `pending` to `worker` and initialises it, in one step.
pub(crate) fn take(pending: &Run, worker: WorkerId, at: Timestamp) -> Result<Taken, Error> {
    let mut taken = Taken { run: pending.clone(), records: Vec::with_capacity(2), effects: Vec::new() };
    for event in [Event::Leased { worker, epoch: pending.epoch + 1 }, Event::Initialized] {
        let (run, effects) = run::apply(&taken.run, &event, at).map_err(|refused| Error::Damaged {
            problem: format!("run {} stands in the queue but cannot be leased: {refused}", pending.id),
        })?;
        taken.records.push(Record { v: event::VERSION, seq: run.seq, at, event });
        taken.effects.extend(effects);
        taken.run = run;
    }
    Ok(taken)
}
