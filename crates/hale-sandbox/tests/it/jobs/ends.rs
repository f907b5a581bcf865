//! Ways to end, and what is said of each.

use super::*;
use hale_core::kill::Grade;
use hale_sandbox::job::reaper::Reaper;

fn ended(args: &[&str]) -> Ended {
    let place = Place::new();
    let (ended, _) = run(&place.spec(args));
    place.check_clean();
    ended
}

// covers: AX-25
#[test]
fn an_exit_with_137_is_told_from_a_kill() {
    check_kind(&ended(&["exit", "137"]), Kind::Exit137NotASignal);
    let killed = ended(&["kill-self", "9"]);
    check_kind(&killed, Kind::KilledUnknown);
    assert_eq!(killed.facts.raw_status, Some(9));
}

#[test]
fn plain_ends_are_what_they_are() {
    check_kind(&ended(&["exit", "0"]), Kind::Exit { code: 0 });
    check_kind(&ended(&["kill-self", "15"]), Kind::Signal { signal: 15 });
    let crashed = ended(&["crash"]);
    check_kind(&crashed, Kind::Signal { signal: 11 });
    assert!(crashed.facts.peak_rss_bytes > 0);
    let complained = ended(&["complain", "1", "KeyError: 'DATABASE_URL'"]);
    check_kind(&complained, Kind::Exit { code: 1 });
    assert_eq!(complained.facts.stderr_tail, ["KeyError: 'DATABASE_URL'"]);
    // It says the word, but nothing shows that it met a limit.
    check_kind(&ended(&["complain", "1", "MemoryError"]), Kind::Exit { code: 1 });
}

#[test]
fn input_is_closed_so_that_a_reader_ends() {
    let place = Place::new();
    let (ended, events) = run(&place.spec(&["listen"]));
    check_kind(&ended, Kind::Exit { code: 0 });
    assert_eq!(stdout(&events), ["read 0"]);
}

#[test]
fn a_kill_counted_by_the_own_cgroup_is_proved() {
    let place = Place::new();
    let root = place.root().join("cgroup");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(root.join("cgroup.controllers"), "cpu memory pids\n").unwrap();
    let group = root.join(format!("hale-job-{}", place.spec(&[]).id));
    let events = group.join("memory.events");
    let mut spec = place.spec(&["counted-kill", events.to_str().unwrap()]);
    spec.cgroup_root = Some(root.clone());
    // In a real one the kernel writes this file; here the program itself does, and may.
    spec.read_write = vec![root.clone()];
    let (ended, _) = run(&spec);
    check_kind(&ended, Kind::OomProved);
    assert_eq!(ended.facts.cgroup_oom_kills, Some(1));
    assert_eq!(std::fs::read_to_string(group.join("memory.max")).unwrap(), (200 * MIB).to_string());
    assert_eq!(std::fs::read_to_string(group.join("pids.max")).unwrap(), spec.limits.tasks.to_string());
    assert_eq!(std::fs::read_to_string(root.join("cgroup.subtree_control")).unwrap(), "+memory +pids");
    let pid: u32 = std::fs::read_to_string(group.join("cgroup.procs")).unwrap().parse().unwrap();
    assert!(pid > 1);
}

#[test]
fn a_cancelled_job_ends_politely_or_by_force() {
    let place = Place::new();
    let (job, _events) = start_until(&place.spec(&["stubborn"]), "deaf");
    job.canceller().cancel();
    let ended = job.wait();
    check_kind(&ended, Kind::Stopped);
    assert_eq!(ended.facts.raw_status, Some(9));
    assert!(ended.verdict.is_normal() && ended.verdict.grade == Grade::Proved);
    place.check_clean();

    let place = Place::new();
    let (sink, _events) = channel();
    let job = Job::start(&place.spec(&["polite"]), sink).unwrap();
    let canceller = job.canceller();
    canceller.cancel();
    let ended = job.wait();
    check_kind(&ended, Kind::Stopped);
    assert_eq!(ended.facts.raw_status, Some(15));
    // Nothing to cancel any more.
    canceller.cancel();
    place.check_clean();
}

#[test]
fn a_job_whose_owner_forgets_it_is_killed() {
    let place = Place::new();
    let (job, events) = start_until(&place.spec(&["stubborn"]), "deaf");
    drop(job);
    let Some(Event::Ended(ended)) = events.iter().last() else { panic!("it has no end") };
    check_kind(&ended, Kind::Stopped);
    place.check_clean();
}

#[test]
fn a_killed_supervisor_takes_the_program_along_and_its_end_is_not_made_up() {
    let place = Place::new();
    let (job, _events) = start_until(&place.spec(&["stubborn"]), "deaf");
    kill(job.started().supervisor_pid);
    let ended = job.wait();
    check_kind(&ended, Kind::KilledUnknown);
    assert_eq!(ended.verdict.grade, Grade::Unknown);
    place.check_clean();
    assert_eq!(Reaper::sweep(&place.table()).unwrap().len(), 0);
}

pub fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}
