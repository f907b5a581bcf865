//! Who gets work: free slots against the turns of the queue.
//!
//! `core::queue` says which queue, class and key are next, [`crate::gates`] whether the key may go, this says which
//! worker takes it, the store picks the runs. Workers that name their queues are served before those that take all,
//! so that the flexible ones are left for what nobody else takes.
//! Read next: `hale-core/src/queue.rs`.

use crate::desk::{Act, Desk, WorkerState};
use hale_core::id::WorkerId;
use hale_core::queue::Claim;
use hale_core::time::Timestamp;
use hale_store::Op;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Runs claimed in one turn of the loop; the next turn comes at once.
const CLAIMS_MAX: u32 = 256;

/// The queues that a worker takes from; empty means all.
type Served = Vec<Arc<str>>;

pub(crate) fn serves(served: &[Arc<str>], queue: &str) -> bool {
    served.is_empty() || served.iter().any(|name| name.as_ref() == queue)
}

impl Desk {
    /// The worker with the most free slots among those that take from the queue; one that named it comes first.
    pub(crate) fn idle_worker(&self, queue: &str) -> Option<WorkerId> {
        let idle =
            self.workers.iter().filter(|(_, worker)| worker.free() > 0 && serves(&worker.queues, queue));
        idle.max_by_key(|(_, worker)| (!worker.queues.is_empty(), worker.free())).map(|(id, _)| *id)
    }

    /// Turns free slots into claims.
    pub(crate) fn claim(&mut self) {
        if self.closed || self.queue.is_empty() {
            return;
        }
        let mut groups: BTreeMap<Served, u32> = BTreeMap::new();
        for worker in self.workers.values().filter(|worker| worker.free() > 0) {
            *groups.entry(worker.queues.clone()).or_default() += worker.free();
        }
        let now = self.now();
        // An empty list sorts first and is served last.
        for (served, slots) in groups.into_iter().rev() {
            let Desk { queue, gates, registry, settings, standing, .. } = self;
            let may = |line: &hale_core::queue::Line| {
                !settings.holds(&line.key)
                    && !standing.holds(&line.key, now)
                    && gates.may(line, registry, now)
            };
            let claims = queue.next(slots.min(CLAIMS_MAX), |name| serves(&served, name), may);
            for claim in claims {
                self.place(claim, &served, now);
            }
        }
    }

    fn place(&mut self, mut claim: Claim, served: &Served, now: Timestamp) {
        let fits = |worker: &WorkerState| worker.free() > 0 && worker.queues == *served;
        while claim.n > 0 {
            let idle = self.workers.iter().filter(|(_, worker)| fits(worker));
            let Some(id) = idle.max_by_key(|(_, worker)| worker.free()).map(|(id, _)| *id) else { break };
            let Some(worker) = self.workers.get_mut(&id) else { break };
            let n = worker.free().min(claim.n);
            worker.busy += n;
            self.has_a_lease(id, now);
            *self.placed.entry(id).or_default() += n;
            claim.n -= n;
            let part = Claim { line: claim.line.clone(), n };
            let op = Op::Claim { from: part.line.clone(), n, worker: id, at: now };
            self.push(op, Act::Claimed { worker: id, n, claim: part });
        }
        if claim.n > 0 {
            self.gates.gave_back(&claim.line.key, claim.n);
            self.queue.added(&claim.line, u64::from(claim.n));
        }
    }
}
