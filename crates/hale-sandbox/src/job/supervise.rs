//! The supervisor of one job: a process of its own, with one thread, between the server and the program.
//!
//! All descendants of the program that lose their parent become its children, so that "no child is left" is the
//! kernel's word that nothing of the job is left. When the server ends, however it ends, the pipe from it closes and
//! the tree is killed; when the supervisor itself is killed, the program dies with it and the server sweeps the rest.
//! It never waits for the server while the program runs: events queue up to a bound, then the program's output is left
//! in its pipe, so that the program waits.
//! Read next: [`start`], [`watch`], [`output`].

mod finish;
mod outbox;
mod output;
mod start;
mod watch;

use super::cgroup::Cgroup;
use super::event::{Event, Warning};
use super::limits::{KILL_EVERY, KILL_WITHIN};
use super::plan::{CANCEL, Message, Plan};
use super::reaper::Entry;
use super::wall::Standing;
use crate::process::{self, Tell, reap, stat::Stat, tree};
use hale_core::kill::Stop;
use outbox::Outbox;
use output::{Output, Pipe};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};
use watch::Watch;

/// Runs the supervisor until nothing of its job is left.
pub(super) fn main() -> i32 {
    match start::start() {
        Ok(supervisor) => supervisor.run(),
        Err(failed) => failed.tell(),
    }
    0
}

struct Supervisor {
    plan: Plan,
    walls: Vec<Standing>,
    /// The pipe from the server; gone when the server is.
    control: Option<File>,
    out: Outbox,
    pipes: [Pipe; 2],
    output: Output,
    watch: Watch,
    cgroup: Option<Cgroup>,
    entry: Entry,
    machine_oom_kills: Option<u64>,
    own_pid: u32,
    pid: u32,
    ended: Option<reap::Ended>,
    stop: Option<Stop>,
    phase: Phase,
    leftovers: u32,
}

#[derive(Clone, Copy)]
enum Phase {
    Running,
    /// SIGTERM was sent.
    Asked {
        kill_at: Instant,
    },
    Killing {
        since: Instant,
    },
}

impl Supervisor {
    fn run(mut self) {
        loop {
            self.wait();
            self.hear();
            for pipe in &mut self.pipes {
                if !self.out.is_full() {
                    pipe.read(&mut self.output, &mut self.out);
                }
            }
            self.out.flush();
            let alone = self.reap();
            if alone && self.ended.is_some() {
                break;
            }
            if self.step(Instant::now()).is_break() {
                break;
            }
        }
        self.finish();
    }

    /// Until something can be read or written, or the next look is due.
    fn wait(&mut self) {
        let pause = match self.phase {
            Phase::Killing { .. } => KILL_EVERY.duration(),
            Phase::Running | Phase::Asked { .. } => self.watch.pause(Instant::now()),
        };
        let mut fds: Vec<PollFd<'_>> = Vec::with_capacity(4);
        fds.extend(self.control.as_ref().map(|control| input(control.as_fd())));
        if !self.out.is_full() {
            fds.extend(self.pipes.iter().filter_map(Pipe::fd).map(input));
        }
        if !self.out.is_empty() {
            fds.push(PollFd::from_borrowed_fd(self.out.fd(), PollFlags::OUT));
        }
        // Interrupted or not: the loop looks at everything anyway.
        let _ = poll(&mut fds, Some(&timespec(pause)));
    }

    fn hear(&mut self) {
        let Some(control) = &mut self.control else { return };
        let mut bytes = [0; 64];
        match control.read(&mut bytes) {
            Ok(0) => {
                self.control = None;
                self.stop_by(Stop::ServerGone);
            }
            Ok(count) if bytes[..count].contains(&CANCEL) => self.stop_by(Stop::Cancelled),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => {
                self.control = None;
                self.stop_by(Stop::ServerGone);
            }
        }
    }

    /// Whether no child is left.
    fn reap(&mut self) -> bool {
        loop {
            match reap::next() {
                reap::Next::Ended(ended) => {
                    self.watch.reaped(&ended);
                    if ended.pid == self.pid {
                        self.ended = Some(ended);
                    }
                }
                reap::Next::Running => return false,
                reap::Next::NoChild => return true,
            }
        }
    }

    fn step(&mut self, now: Instant) -> std::ops::ControlFlow<()> {
        match self.phase {
            Phase::Running if self.ended.is_some() => {
                let left = tree::below(self.own_pid).iter().filter(|stat| !stat.is_dead()).count();
                self.leftovers = u32::try_from(left).unwrap_or(u32::MAX);
                self.phase = Phase::Killing { since: now };
            }
            Phase::Asked { kill_at } if self.ended.is_some() || now >= kill_at => {
                self.phase = Phase::Killing { since: now };
            }
            Phase::Running | Phase::Asked { .. } => self.look(now),
            Phase::Killing { since } if now.duration_since(since) > KILL_WITHIN.duration() => {
                return std::ops::ControlFlow::Break(());
            }
            Phase::Killing { .. } => self.kill_round(),
        }
        std::ops::ControlFlow::Continue(())
    }

    fn look(&mut self, now: Instant) {
        if !self.watch.is_due(now) {
            return;
        }
        let tree = tree::below(self.own_pid);
        let mut warnings = Vec::new();
        let stop = self.watch.look(now, &tree, &mut warnings);
        self.entry.note_escapes(self.pid, &tree, now);
        for warning in warnings {
            self.warn(warning);
        }
        if let Some(stop) = stop {
            self.stop_by(stop);
        }
    }

    fn warn(&mut self, warning: Warning) {
        self.out.push(&Message::Event { event: Event::Warning(warning) });
    }

    /// The first reason stays the reason; a later one may only hasten the end.
    fn stop_by(&mut self, stop: Stop) {
        let now = Instant::now();
        self.stop.get_or_insert(stop);
        match (stop, self.phase) {
            (_, Phase::Killing { .. }) | (Stop::WallTime | Stop::Cancelled, Phase::Asked { .. }) => {}
            (Stop::WallTime | Stop::Cancelled, Phase::Running) => {
                self.ask_to_end();
                self.phase = Phase::Asked { kill_at: now + self.plan.limits.grace.duration() };
            }
            // Nobody would wait for the end of a grace, and a hog must not have one.
            _ => {
                self.phase = Phase::Killing { since: now };
                self.kill_round();
            }
        }
    }

    fn ask_to_end(&self) {
        for group in self.groups(&tree::below(self.own_pid)) {
            // A stopped process hears only after it goes on. Groups that are gone are gone.
            let _ = kill_process_group(group, Signal::TERM);
            let _ = kill_process_group(group, Signal::CONT);
        }
    }

    /// One round of SIGKILL over everything that is there now. A whole group is killed in one step of the kernel, so
    /// that a fork bomb cannot run ahead; who forks meanwhile is met in the next round.
    fn kill_round(&self) {
        if let Some(cgroup) = &self.cgroup {
            cgroup.kill();
        }
        let tree = tree::below(self.own_pid);
        for group in self.groups(&tree) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        for stat in tree.iter().filter(|stat| !stat.is_dead()) {
            let _ = process::kill(stat.pid, stat.start_time, Tell::Kill);
        }
    }

    /// Groups of the tree. Groups lie within sessions and sessions of descendants hold descendants only, so that no
    /// stranger is in them; our own group is left out.
    fn groups(&self, tree: &[Stat]) -> Vec<Pid> {
        let foreign = tree.iter().filter(|stat| stat.session != self.own_pid && stat.group != self.own_pid);
        let groups: BTreeSet<u32> = foreign.map(|stat| stat.group).filter(|group| *group > 1).collect();
        groups.into_iter().filter_map(|group| Pid::from_raw(i32::try_from(group).ok()?)).collect()
    }
}

fn input(fd: BorrowedFd<'_>) -> PollFd<'_> {
    PollFd::from_borrowed_fd(fd, PollFlags::IN)
}

fn timespec(span: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(span.subsec_nanos()),
    }
}
