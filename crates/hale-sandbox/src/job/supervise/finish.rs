//! The end of a job: the rest of its output, the facts, the verdict.
//!
//! Read next: [`hale_core::kill`].

use super::output::More;
use super::{Phase, Supervisor};
use crate::job::event::{Ended, Event};
use crate::job::plan::Message;
use crate::process::{oom, tree};
use hale_core::kill::{End, Facts, classify};

impl Supervisor {
    pub(super) fn finish(mut self) {
        let wall = self.watch.wall();
        let survivors = tree::below(self.own_pid).iter().filter(|stat| !stat.is_dead()).count();
        self.drain();
        // Read before the group is removed, or the proof is gone.
        let cgroup_oom_kills = self.cgroup.as_ref().and_then(crate::job::cgroup::Cgroup::oom_kills);
        let facts = Facts {
            end: self.ended.map_or(End::Unseen, |ended| End::from_raw(ended.status)),
            raw_status: self.ended.map(|ended| ended.status),
            stop: self.stop,
            cgroup_oom_kills,
            machine_oom_kills: oom::machine().zip(self.machine_oom_kills).map(|(now, then)| now - then),
            peak_rss_bytes: self.watch.peak_rss_bytes,
            peak_data_bytes: self.watch.peak_data_bytes,
            peak_tasks: self.watch.peak_tasks,
            cpu: self.watch.cpu,
            wall,
            caps: self.plan.caps(),
            stderr_tail: self.output.tail_lines(),
        };
        if let Some(cgroup) = self.cgroup.take() {
            cgroup.remove();
        }
        if survivors == 0 {
            self.entry.remove();
        }
        let ended = Ended {
            verdict: classify(&facts),
            facts,
            walls: std::mem::take(&mut self.walls),
            output: self.output.counts,
            leftovers: self.leftovers,
            survivors: u32::try_from(survivors).unwrap_or(u32::MAX),
        };
        self.out.push(&Message::Event { event: Event::Ended(Box::new(ended)) });
        while !self.out.is_empty() {
            self.out.flush();
            self.out.wait();
        }
    }

    /// What lies in the pipes. Their writers are dead; a stranger who was handed an end is not waited for.
    fn drain(&mut self) {
        debug_assert!(!matches!(self.phase, Phase::Asked { .. }) || self.ended.is_some());
        for pipe in &mut self.pipes {
            loop {
                while self.out.is_full() {
                    self.out.wait();
                }
                if pipe.read(&mut self.output, &mut self.out) == More::No {
                    break;
                }
                self.out.flush();
            }
            pipe.close(&mut self.out);
        }
    }
}
