//! Who gets work: free slots against the turns of the queue.
//!
//! `core::queue` says which key and class are next, this says which worker takes them, the store picks the runs.
//! Read next: `hale-core/src/queue.rs`.

use crate::desk::{Act, Desk};
use hale_core::id::WorkerId;
use hale_store::Op;

/// Runs claimed in one turn of the loop; the next turn comes at once.
const CLAIMS_MAX: u32 = 256;

impl Desk {
    /// The worker with the most free slots.
    pub(crate) fn idle_worker(&self) -> Option<WorkerId> {
        let idle = self.workers.iter().filter(|(_, worker)| worker.free() > 0);
        idle.max_by_key(|(_, worker)| worker.free()).map(|(id, _)| *id)
    }

    /// Turns free slots into claims.
    pub(crate) fn claim(&mut self) {
        if self.closed || self.queue.is_empty() {
            return;
        }
        let free: u32 = self.workers.values().map(|worker| worker.free()).sum();
        if free == 0 {
            return;
        }
        let now = self.now();
        let Self { queue, settings, .. } = self;
        for claim in queue.next(free.min(CLAIMS_MAX), |_| true, |line| !settings.holds(&line.key)) {
            self.place(claim, now);
        }
    }

    fn place(&mut self, mut claim: hale_core::queue::Claim, now: hale_core::time::Timestamp) {
        while claim.n > 0 {
            let Some(id) = self.idle_worker() else { break };
            let Some(worker) = self.workers.get_mut(&id) else { break };
            let n = worker.free().min(claim.n);
            worker.busy += n;
            claim.n -= n;
            let part = hale_core::queue::Claim { line: claim.line.clone(), n };
            let op = Op::Claim { from: part.line.clone(), n, worker: id, at: now };
            self.push(op, Act::Claimed { worker: id, n, claim: part });
        }
        if claim.n > 0 {
            self.queue.added(&claim.line, u64::from(claim.n));
        }
    }
}
