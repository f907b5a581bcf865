//! A cgroup v2 of the job's own, where the machine lets us make one.
//!
//! It is the only wall that counts swap and the page cache, and the only proof of a kill for lack of memory:
//! `memory.events` counts the kernel's kills in this group alone, and goes with the group.
//! It needs a folder that was delegated to us (systemd's `Delegate=yes`, or a container that owns its group) with no
//! process in it but in its leaves.
//! Read next: [`super::supervise`].

use super::spec::Limits;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where cgroup v2 is mounted: alone, or beside version 1.
const MOUNTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
const CGROUP2_MAGIC: u64 = 0x6367_7270;
const CONTROLLERS: [&str; 2] = ["memory", "pids"];

/// The group of this process, if jobs may have groups below it.
///
/// # Errors
/// Why not, for `doctor` and the run's record.
pub fn detect() -> Result<PathBuf, String> {
    let mount = MOUNTS.iter().map(Path::new).find(|mount| is_cgroup2(mount));
    let mount = mount.ok_or("no cgroup v2 is mounted at /sys/fs/cgroup")?;
    let own = fs::read_to_string("/proc/self/cgroup")
        .map_err(|error| format!("read /proc/self/cgroup: {error}"))?;
    let below =
        own.lines().find_map(|line| line.strip_prefix("0::")).ok_or("this process is in no cgroup v2")?;
    let root = mount.join(below.trim_start_matches('/'));
    usable(&root)?;
    Ok(root)
}

/// Whether groups with our controllers can be made here.
///
/// # Errors
/// What is missing.
pub fn usable(root: &Path) -> Result<(), String> {
    let file = root.join("cgroup.controllers");
    let has = fs::read_to_string(&file).map_err(|error| format!("read {}: {error}", file.display()))?;
    let has: Vec<&str> = has.split_ascii_whitespace().collect();
    if let Some(missing) = CONTROLLERS.iter().find(|wanted| !has.contains(*wanted)) {
        return Err(format!(
            "{} has no {missing} controller (it has: {}); cgroup v1 holds it, or it was not delegated",
            root.display(),
            if has.is_empty() { "none".to_owned() } else { has.join(", ") }
        ));
    }
    rustix::fs::access(root, rustix::fs::Access::WRITE_OK).map_err(|errno| {
        format!("{} may not be written to ({errno}); delegate it to this user", root.display())
    })
}

fn is_cgroup2(path: &Path) -> bool {
    rustix::fs::statfs(path).is_ok_and(|found| found.f_type as u64 & 0xffff_ffff == CGROUP2_MAGIC)
}

/// One job's group.
#[derive(Debug)]
pub struct Cgroup {
    folder: PathBuf,
    kills_before: Option<u64>,
}

impl Cgroup {
    /// Makes the group and sets its limits.
    ///
    /// # Errors
    /// What could not be done; nothing is left behind.
    pub fn create(root: &Path, job: &str, limits: &Limits) -> Result<Self, String> {
        usable(root)?;
        let control = root.join("cgroup.subtree_control");
        let on = CONTROLLERS.map(|name| format!("+{name}")).join(" ");
        fs::write(&control, on).map_err(|error| match error.raw_os_error() {
            Some(libc::EBUSY) => format!(
                "{} holds processes of its own, the server among them; put the server into a leaf of it \
                 (systemd: DelegateSubgroup=server)",
                root.display()
            ),
            _ => format!("write {}: {error}", control.display()),
        })?;
        let folder = root.join(format!("hale-job-{job}"));
        fs::create_dir(&folder).map_err(|error| format!("make {}: {error}", folder.display()))?;
        let mut group = Self { folder, kills_before: None };
        if let Err(why) = group.set(limits) {
            group.remove();
            return Err(why);
        }
        group.kills_before = group.count("memory.events", "oom_kill");
        Ok(group)
    }

    fn set(&self, limits: &Limits) -> Result<(), String> {
        let write = |name: &str, value: String| {
            let file = self.folder.join(name);
            fs::write(&file, value).map_err(|error| format!("write {}: {error}", file.display()))
        };
        write("memory.max", limits.memory_bytes.to_string())?;
        write("pids.max", limits.tasks.to_string())?;
        // Not there without swap, or in an older kernel: the group is as good without them.
        let _ = write("memory.swap.max", "0".to_owned());
        let _ = write("memory.oom.group", "1".to_owned());
        Ok(())
    }

    /// Puts the process and all that it will start into the group.
    ///
    /// # Errors
    /// As the kernel says.
    pub fn add(&self, pid: u32) -> io::Result<()> {
        fs::write(self.folder.join("cgroup.procs"), pid.to_string())
    }

    /// How many of its processes the kernel has killed for lack of memory.
    pub fn oom_kills(&self) -> Option<u64> {
        let now = self.count("memory.events", "oom_kill")?;
        Some(now - self.kills_before.unwrap_or(0).min(now))
    }

    fn count(&self, file: &str, name: &str) -> Option<u64> {
        let text = fs::read_to_string(self.folder.join(file)).ok()?;
        let of = |line: &str| line.strip_prefix(name)?.trim().parse().ok();
        text.lines().find_map(of)
    }

    /// Kills all of it in one step, where the kernel has that (5.14).
    pub fn kill(&self) {
        let _ = fs::write(self.folder.join("cgroup.kill"), "1");
    }

    /// Only an empty group can be removed; one that holds a process hanging in the kernel stays.
    pub fn remove(self) {
        let _ = fs::remove_dir(&self.folder);
    }
}
