//! The watchdogs: memory, processes and threads, CPU time, disk and wall time of a whole job.
//!
//! Memory is the sum of resident pages, which counts shared pages once for each process; where that passes the limit
//! and there are several processes, the exact shares are read before anything is done. Looks are close together near a
//! limit and rare far from it. Swap is not counted: `memory.max` of a cgroup does that.
//! Leaves to others: acting on it ([`super::Supervisor`]).

mod disk;

use crate::job::event::Warning;
use crate::job::limits::{
    MEMORY_WARNINGS, WATCH_EXACT, WATCH_FAST, WATCH_FAST_FIRST, WATCH_FAST_PERCENT, WATCH_SLOW,
};
use crate::job::plan::Plan;
use crate::process::reap::{Ended, ticks};
use crate::process::stat::Stat;
use disk::Disk;
use hale_core::kill::{Caps, Stop};
use hale_core::limits::TIME_WARNINGS;
use hale_core::time::Millis;
use std::fs;
use std::time::{Duration, Instant};

pub(super) struct Watch {
    caps: Caps,
    since: Instant,
    next: Instant,
    exact_next: Instant,
    disk: Disk,
    page: u64,
    memory_warned: usize,
    wall_warned: usize,
    /// CPU time of processes that are gone.
    reaped_cpu: Millis,
    pub(super) cpu: Millis,
    pub(super) peak_rss_bytes: u64,
    pub(super) peak_data_bytes: u64,
    pub(super) peak_tasks: u64,
}

impl Watch {
    pub(super) fn new(plan: &Plan) -> Self {
        let now = Instant::now();
        Self {
            caps: plan.caps(),
            since: now,
            next: now,
            exact_next: now,
            disk: Disk::new(&plan.read_write, now),
            page: rustix::param::page_size() as u64,
            memory_warned: 0,
            wall_warned: 0,
            reaped_cpu: Millis(0),
            cpu: Millis(0),
            peak_rss_bytes: 0,
            peak_data_bytes: 0,
            peak_tasks: 0,
        }
    }

    /// The program runs from now on.
    pub(super) fn begin(&mut self) {
        self.since = Instant::now();
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        now >= self.next
    }

    pub(super) fn pause(&self, now: Instant) -> Duration {
        self.next.saturating_duration_since(now)
    }

    pub(super) fn wall(&self) -> Millis {
        Millis::from(self.since.elapsed())
    }

    pub(super) fn reaped(&mut self, ended: &Ended) {
        self.reaped_cpu = self.reaped_cpu + ended.cpu;
        self.cpu = self.cpu.max(self.reaped_cpu);
        self.peak_rss_bytes = self.peak_rss_bytes.max(ended.peak_rss_bytes);
    }

    /// Reads everything once. What it finds first of what must stop the job is returned.
    pub(super) fn look(&mut self, now: Instant, tree: &[Stat], warnings: &mut Vec<Warning>) -> Option<Stop> {
        let used = self.memory(now, tree);
        // A zombie has no thread left but still holds its place.
        let tasks = tree.iter().map(|stat| stat.threads.max(1)).sum();
        let running: u64 = tree.iter().map(|stat| stat.cpu_ticks).sum();
        self.cpu = self.cpu.max(self.reaped_cpu + ticks(running));
        self.peak_rss_bytes = self.peak_rss_bytes.max(used);
        self.peak_tasks = self.peak_tasks.max(tasks);
        self.warn(used, warnings);
        self.plan_next(now, used, tasks);
        if used > self.caps.memory_bytes {
            return Some(Stop::Memory { used_bytes: used });
        }
        if tasks > self.caps.tasks {
            return Some(Stop::Tasks { count: tasks });
        }
        if self.wall() >= self.caps.wall {
            return Some(Stop::WallTime);
        }
        // The kernel's own limit of one process, a second wide, comes first where it can.
        if self.cpu > self.caps.cpu + Millis::seconds(2) {
            return Some(Stop::CpuTime { used: self.cpu });
        }
        let used_bytes = self.disk.grown(now).filter(|used| *used > self.caps.disk_bytes)?;
        Some(Stop::Disk { used_bytes })
    }

    fn memory(&mut self, now: Instant, tree: &[Stat]) -> u64 {
        let sum: u64 = tree.iter().map(|stat| stat.rss_pages * self.page).sum();
        for stat in tree.iter().filter(|stat| !stat.is_dead()) {
            self.peak_data_bytes = self.peak_data_bytes.max(data_pages(stat.pid) * self.page);
        }
        let limit = self.caps.memory_bytes;
        if sum <= limit || tree.len() < 2 {
            return sum;
        }
        if now < self.exact_next {
            return limit;
        }
        self.exact_next = now + WATCH_EXACT.duration();
        tree.iter().map(|stat| share_bytes(stat.pid).unwrap_or(stat.rss_pages * self.page)).sum()
    }

    fn warn(&mut self, used: u64, warnings: &mut Vec<Warning>) {
        let limit = self.caps.memory_bytes;
        while let Some(percent) = MEMORY_WARNINGS.get(self.memory_warned).copied()
            && used >= limit / 100 * percent
        {
            self.memory_warned += 1;
            warnings.push(Warning::Memory { percent, used_bytes: used, limit_bytes: limit });
        }
        let passed = self.wall();
        let limit = self.caps.wall;
        while let Some(sixtieth) = TIME_WARNINGS.get(self.wall_warned)
            && passed.0 >= limit.0 * sixtieth / 60
        {
            self.wall_warned += 1;
            warnings.push(Warning::Wall { passed, limit });
        }
    }

    fn plan_next(&mut self, now: Instant, used: u64, tasks: u64) {
        let near = |used: u64, limit: u64| used > limit / 100 * WATCH_FAST_PERCENT;
        let young = self.wall() < WATCH_FAST_FIRST;
        let close = near(used, self.caps.memory_bytes) || near(tasks, self.caps.tasks.max(100));
        let pause = if young || close { WATCH_FAST } else { WATCH_SLOW };
        self.next = now + pause.duration();
    }
}

/// Private writable pages and stack of one process.
fn data_pages(pid: u32) -> u64 {
    let line = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    line.split_ascii_whitespace().nth(5).and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// Its proportional share: a page that three processes share counts a third.
fn share_bytes(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}
