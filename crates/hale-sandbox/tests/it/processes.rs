//! Detached processes: started apart, known by pid and start time.

use hale_sandbox::process::{Error, Tell, is_alive, kill, spawn_detached, start_time};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn args(args: &[&str]) -> Vec<OsString> {
    args.iter().map(OsString::from).collect()
}

/// Asks until it holds; a child's end has no channel of its own.
fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let give_up = Instant::now() + Duration::from_secs(20);
    while Instant::now() < give_up {
        if let Some(answer) = ask() {
            return answer;
        }
        std::thread::yield_now();
    }
    panic!("{what} did not happen");
}

#[test]
fn a_detached_process_has_its_own_session_its_environment_and_its_log() {
    let dir = TempDir::new().unwrap();
    let log = dir.path().join("log");
    let script = "echo out $TOLD; echo err >&2; cut -d' ' -f6 /proc/$$/stat; echo $$; cat";
    let told = [(OsString::from("TOLD"), OsString::from("this"))];
    let mut child = spawn_detached(Path::new("/bin/sh"), &args(&["-c", script]), &told, &log).unwrap();
    let status = until("the end", || child.ended().unwrap());
    assert!(status.success());
    let pid = child.pid();
    assert_eq!(fs::read_to_string(&log).unwrap(), format!("out this\nerr\n{pid}\n{pid}\n"));
    assert_eq!(fs::metadata(&log).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!is_alive(pid, child.start_time()));
}

#[test]
fn signals_reach_the_process_and_a_zombie_is_not_alive() {
    let dir = TempDir::new().unwrap();
    let mut child =
        spawn_detached(Path::new("/bin/sleep"), &args(&["600"]), &[], &dir.path().join("log")).unwrap();
    let (pid, since) = (child.pid(), child.start_time());
    assert_eq!(start_time(pid), Some(since));
    assert!(is_alive(pid, since));
    kill(pid, since, Tell::Stop).unwrap();
    assert!(is_alive(pid, since));
    kill(pid, since, Tell::Continue).unwrap();
    kill(pid, since, Tell::Terminate).unwrap();
    until("the end", || (!is_alive(pid, since)).then_some(()));
    assert_eq!(child.ended().unwrap().unwrap().signal(), Some(15));
    assert!(matches!(kill(pid, since, Tell::Kill), Err(Error::Gone { .. })));
}

#[test]
fn a_pid_that_belongs_to_another_now_is_noticed_and_spared() {
    let dir = TempDir::new().unwrap();
    let mut child =
        spawn_detached(Path::new("/bin/sleep"), &args(&["600"]), &[], &dir.path().join("log")).unwrap();
    let (pid, since) = (child.pid(), child.start_time());
    // The same pid, remembered from an earlier process.
    assert!(!is_alive(pid, since - 1));
    assert!(matches!(kill(pid, since - 1, Tell::Kill), Err(Error::Gone { .. })));
    assert!(is_alive(pid, since) && child.ended().unwrap().is_none());
    kill(pid, since, Tell::Kill).unwrap();
    until("the end", || child.ended().unwrap());
    for nobody in [0, u32::MAX, i32::MAX as u32] {
        assert!(!is_alive(nobody, since) && kill(nobody, since, Tell::Kill).is_err());
    }
}

#[test]
fn a_program_that_cannot_be_started_and_a_log_that_cannot_be_opened_are_named() {
    let dir = TempDir::new().unwrap();
    let missing =
        spawn_detached(Path::new("/no/such/program"), &[], &[], &dir.path().join("log")).unwrap_err();
    assert!(matches!(missing, Error::Start { .. }) && missing.to_string().contains("/no/such/program"));
    let log = spawn_detached(Path::new("/bin/true"), &[], &[], &dir.path().join("no/log")).unwrap_err();
    assert!(matches!(log, Error::Log { .. }), "{log}");
}
