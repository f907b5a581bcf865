//! What a process and its machine use, read from `/proc` when asked.
//!
//! Read next: [`super::stat`].

use super::stat::{Stat, TICKS_PER_SECOND};
use hale_core::time::Millis;

/// What one process uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory, shared pages among it.
    pub memory_bytes: u64,
    /// User and system time since its start, of children that it waited for too.
    pub cpu: Millis,
}

/// What the machine has, and how much of it is taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Machine {
    pub cpus: usize,
    /// Processes that ran or wanted to, averaged over a minute.
    pub load_1m: f64,
    pub memory_bytes: u64,
    /// What new programs could take without swapping.
    pub available_bytes: u64,
}

/// None when there is no such process, or it is a zombie.
pub fn of_process(pid: u32) -> Option<Usage> {
    let stat = Stat::of(pid).filter(|stat| !stat.is_dead())?;
    Some(Usage {
        memory_bytes: stat.rss_pages * rustix::param::page_size() as u64,
        cpu: Millis(stat.cpu_ticks * 1000 / TICKS_PER_SECOND),
    })
}

/// None where `/proc` does not tell.
pub fn of_machine() -> Option<Machine> {
    let load = std::fs::read_to_string("/proc/loadavg").ok()?;
    let memory = std::fs::read_to_string("/proc/meminfo").ok()?;
    Some(Machine {
        cpus: std::thread::available_parallelism().map_or(1, usize::from),
        load_1m: load.split_ascii_whitespace().next()?.parse().ok()?,
        memory_bytes: field(&memory, "MemTotal:")?,
        available_bytes: field(&memory, "MemAvailable:")?,
    })
}

/// A line of `/proc/meminfo`, in bytes.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_and_this_machine_are_read() {
        let mine = of_process(std::process::id()).unwrap();
        assert!(mine.memory_bytes > 1 << 20, "{mine:?}");
        let machine = of_machine().unwrap();
        assert!(machine.available_bytes <= machine.memory_bytes && machine.cpus >= 1, "{machine:?}");
        assert!(mine.memory_bytes < machine.memory_bytes, "{mine:?} {machine:?}");
        assert_eq!(of_process(u32::MAX), None);
    }

    #[test]
    fn a_line_that_is_not_there_is_not_made_up() {
        assert_eq!(field("MemTotal:       16 kB\n", "MemTotal:"), Some(16 * 1024));
        assert_eq!(field("MemTotal:       16 kB\n", "MemAvailable:"), None);
        assert_eq!(field("MemTotal:       many kB\n", "MemTotal:"), None);
    }
}
