//! The kernel's own limits of one process.
//!
//! Read next: [`super::landlocked`].

use crate::job::spec::Limits;
use crate::job::wall::{Standing, Wall};
use crate::process::tree;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs;
use std::os::unix::fs::MetadataExt;

/// Tasks of other programs of the same user that may start after us before they eat into the job's share.
const TASK_SLACK: u64 = 256;

pub(super) fn build(limits: &Limits) -> Vec<Standing> {
    // SIGXCPU at the limit, SIGKILL a second later for who ignores it.
    let cpu = limits.cpu.0.div_ceil(1000).max(1);
    vec![
        Wall::RlimitData.built(set(Resource::Data, limits.data())),
        Wall::RlimitCpu.built(set_both(Resource::Cpu, cpu, cpu + 1)),
        Wall::RlimitFileSize.built(set(Resource::Fsize, limits.file_bytes)),
        Wall::RlimitOpenFiles.built(set(Resource::Nofile, limits.open_files)),
        Wall::RlimitCore.built(set(Resource::Core, 0)),
        tasks(limits),
    ]
}

fn set(resource: Resource, value: u64) -> Result<(), String> {
    set_both(resource, value, value)
}

/// A limit that we were given ourselves stays if it is lower. What was set is read back.
fn set_both(resource: Resource, soft: u64, hard: u64) -> Result<(), String> {
    let ours = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    let (soft, hard) = (soft.min(ours), hard.min(ours));
    let wanted = Rlimit { current: Some(soft), maximum: Some(hard) };
    setrlimit(resource, wanted).map_err(|errno| errno.to_string())?;
    if getrlimit(resource) == wanted { Ok(()) } else { Err("the kernel has set another value".to_owned()) }
}

/// Counts per user, not per job, so that it can only be a backstop: what the user has now, and room for the job.
fn tasks(limits: &Limits) -> Standing {
    let user = rustix::process::geteuid();
    if user.is_root() {
        return Wall::RlimitTasks.missing("the kernel does not count the tasks of root; see task-watch");
    }
    let ours =
        |pid: u32| fs::metadata(format!("/proc/{pid}")).is_ok_and(|found| found.uid() == user.as_raw());
    let now: u64 = tree::all().iter().filter(|stat| ours(stat.pid)).map(|stat| stat.threads).sum();
    Wall::RlimitTasks.built(set(Resource::Nproc, now + limits.tasks + TASK_SLACK))
}
