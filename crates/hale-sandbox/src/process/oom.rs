//! What the kernel counts of its kills for lack of memory: of our own control group, and of the whole machine.
//!
//! Counts only rise; who wants to know whether one process was killed compares two readings and still has a hint, no
//! proof: others live in the group too.
//! Leaves to others: what a rise means (`hale_core::kill`, `hale_core::supervise`).

use std::fs;
use std::path::Path;

/// One reading; none where the kernel does not tell us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub group: Option<u64>,
    pub machine: Option<u64>,
}

impl Counts {
    pub fn read() -> Self {
        Self { group: group(), machine: machine() }
    }

    /// How much each rose since `before`.
    pub fn since(self, before: Counts) -> Counts {
        let rose = |now: Option<u64>, then: Option<u64>| Some(now?.saturating_sub(then?));
        Self { group: rose(self.group, before.group), machine: rose(self.machine, before.machine) }
    }
}

/// Processes that the kernel has killed for lack of memory since it started, on the whole machine.
pub(crate) fn machine() -> Option<u64> {
    let text = fs::read_to_string("/proc/vmstat").ok()?;
    text.lines().find_map(|line| line.strip_prefix("oom_kill "))?.parse().ok()
}

/// The same of our own group: version 2, else the memory controller of version 1.
fn group() -> Option<u64> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let below = |path: &str, mount: &str, file: &str| {
        let path = Path::new(mount).join(path.trim_start_matches('/')).join(file);
        // In a container the path is often the host's, while the mount shows our group as its root.
        let text =
            fs::read_to_string(&path).or_else(|_| fs::read_to_string(Path::new(mount).join(file))).ok()?;
        text.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
    };
    let second = own.lines().find_map(|line| line.strip_prefix("0::")).and_then(|path| {
        below(path, "/sys/fs/cgroup", "memory.events")
            .or_else(|| below(path, "/sys/fs/cgroup/unified", "memory.events"))
    });
    let first = || {
        let line = own.lines().find(|line| line.split(':').nth(1).is_some_and(|name| name == "memory"))?;
        below(line.split(':').nth(2)?, "/sys/fs/cgroup/memory", "memory.oom_control")
    };
    second.or_else(first)
}
