//! Nothing is left behind, whoever is killed.
//!
//! Orphans are looked for in `/proc` by a marker in the environment and by a mark among the arguments, so that a
//! process that threw its environment away is seen too.

use super::ends::kill;
use super::*;
use hale_sandbox::job::reaper::Reaper;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

const DAEMON: [&str; 2] = ["daemon", "MARK"];

#[test]
fn a_daemon_that_left_session_and_environment_is_ended_with_its_job() {
    let place = Place::new();
    let (ended, _) = run(&place.spec(&DAEMON));
    check_kind(&ended, Kind::Exit { code: 0 });
    assert_eq!(ended.leftovers, 1);
    place.check_clean();
}

fn kills() -> u32 {
    std::env::var("HALE_PROVE_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(100)
}

/// Every way to end a job, at a moment that differs from turn to turn.
#[test]
fn proof_job_kills_leave_no_orphan() {
    for turn in 0..kills() {
        let place = Place::new();
        let mut spec = place.spec(&["bomb", "2", "MARK"]);
        spec.limits.grace = Millis(0);
        let (sink, _events) = channel();
        let job = Job::start(&spec, sink).unwrap();
        let pause = Duration::from_micros(u64::from(turn.wrapping_mul(7919)) % 20_000);
        std::thread::sleep(pause);
        let (program, supervisor) = (job.started().pid, job.started().supervisor_pid);
        match turn % 4 {
            0 => job.cancel(),
            1 => kill(program),
            2 => kill(supervisor),
            _ => {}
        }
        if turn % 4 == 3 {
            drop(job);
            until("the end of a forgotten job", || place.orphans().is_empty());
            until("its line is gone", || std::fs::read_dir(place.table()).unwrap().count() == 0);
        } else {
            let ended = job.wait();
            assert_eq!(ended.survivors, 0, "turn {turn}");
        }
        place.check_clean();
    }
}

/// What the child process of the next test does; it is a server that will be killed.
#[test]
fn a_server_of_one_job() {
    let (Ok(table), Ok(mark)) = (std::env::var("JOB_TABLE"), std::env::var("JOB_MARK")) else { return };
    let place = Place::new();
    let mut spec = place.spec(&["bomb", "2", &mark]);
    spec.id.clone_from(&mark);
    spec.table = table.into();
    let (sink, _events) = channel();
    let job = Job::start(&spec, sink).unwrap();
    println!("\nstarted {} {}", job.started().supervisor_pid, job.started().pid);
    std::thread::sleep(Duration::from_secs(60));
}

#[expect(clippy::disallowed_methods, reason = "a second server is needed that can be killed")]
fn server(place: &Place) -> (std::process::Child, u32, u32) {
    let mut server = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "jobs::orphans::a_server_of_one_job", "--nocapture"])
        .env("JOB_TABLE", place.table())
        .env("JOB_MARK", &place.id)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let said = |line: String| {
        let (supervisor, program) = line.strip_prefix("started ")?.split_once(' ')?;
        Some((supervisor.parse().unwrap(), program.parse().unwrap()))
    };
    let (supervisor, program) = lines.map_while(Result::ok).find_map(said).expect("the job started");
    (server, supervisor, program)
}

#[test]
fn a_killed_server_takes_its_jobs_along() {
    let place = Place::new();
    let (mut server, _, _) = server(&place);
    assert!(!place.orphans().is_empty(), "the fault did not take effect");
    kill(server.id());
    server.wait().unwrap();
    until("the end of the job", || place.orphans().is_empty());
    until("its line is gone", || std::fs::read_dir(place.table()).unwrap().count() == 0);
}

#[test]
fn what_a_killed_server_and_a_killed_supervisor_left_is_swept_at_the_next_start() {
    let place = Place::new();
    let (mut server, supervisor, program) = server(&place);
    until("the bomb", || place.orphans().len() > 3);
    // The server first, standing still, so that it cannot sweep by itself.
    let pid = rustix::process::Pid::from_raw(server.id() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    kill(supervisor);
    // Nobody is there who could kill it: it dies with its parent.
    until("the program's own end", || !place.orphans().contains(&program));
    kill(server.id());
    server.wait().unwrap();
    assert!(!place.orphans().is_empty(), "the fault did not take effect");
    let swept = Reaper::sweep(&place.table()).unwrap();
    let [Ok(reaped)] = &swept[..] else { panic!("{swept:?}") };
    assert_eq!((reaped.job.as_str(), reaped.survivors), (place.id.as_str(), 0));
    assert!(reaped.killed > 0, "the fault did not take effect");
    place.check_clean();
}

#[test]
fn a_stranger_who_got_the_pid_is_spared_and_a_line_that_cannot_be_read_stays() {
    let place = Place::new();
    let ours = std::process::id();
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let line = |boot: &str| {
        format!(
            r#"{{"job":"old","boot":"{boot}","supervisor":{ours},"supervisor_start":1,"pid":{ours},"pgid":{ours},"start":1,"marker":"HALE_JOB=old.1.1"}}"#
        )
    };
    std::fs::write(place.table().join("old.job"), line(boot.trim())).unwrap();
    std::fs::write(place.table().join("older.job"), line("an earlier start")).unwrap();
    std::fs::write(place.table().join("torn.job"), "{\"job\":").unwrap();
    let swept = Reaper::sweep(&place.table()).unwrap();
    let killed: Vec<u32> = swept.iter().flatten().map(|reaped| reaped.killed).collect();
    assert_eq!(killed, [0, 0]);
    let error = swept.iter().find_map(|swept| swept.as_ref().err()).unwrap().to_string();
    assert!(error.contains("torn.job") && error.contains("remove the file"), "{error}");
    assert!(place.table().join("torn.job").exists() && !place.table().join("old.job").exists());
}
