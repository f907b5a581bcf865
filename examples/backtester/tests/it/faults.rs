//! The ways of going wrong on purpose do go wrong.

use crate::world::{Place, synthetic};
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

#[test]
fn no_result_does_all_the_work_and_leaves_nothing() {
    let place = Place::new();
    let ended = place.run(&synthetic(), &["--misbehave", "no-result"]);
    assert_eq!(ended.code, Some(0));
    assert!(ended.stderr.ends_with("STAGE analysis\nSTAGE writing\n"));
    assert_eq!(place.results(), Vec::<String>::new());
}

#[test]
fn crash_ends_by_a_signal_in_the_middle() {
    let place = Place::new();
    let ended = place.run(&synthetic(), &["--misbehave", "crash"]);
    assert_eq!(ended.code, None);
    assert!(ended.stderr.ends_with("STAGE simulation 342/750\n"), "{}", ended.stderr);
    assert_eq!(place.results(), Vec::<String>::new());
}

#[test]
fn oom_takes_memory_until_there_is_no_more() {
    let place = Place::new();
    let out = place.out();
    let program = env!("CARGO_BIN_EXE_hale-backtester");
    // 300 MB of address space, so that the test ends soon and nobody else notices.
    let script = "ulimit -c 0; ulimit -v 300000; exec \"$0\" \"$@\"";
    let mut command = place.command("sh");
    command.args(["-c", script, program, "run", "--data", synthetic().to_str().unwrap()]);
    command.args(["--out", out.to_str().unwrap(), "--misbehave", "oom"]);
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), None, "{stderr}");
    assert!(stderr.contains("memory allocation of"), "{stderr}");
    assert!(stderr.contains("STAGE simulation 342/750"), "{stderr}");
    assert_eq!(place.results(), Vec::<String>::new());
}

#[test]
fn hang_stops_in_the_middle_and_stays() {
    let place = Place::new();
    let out = place.out();
    let mut command = place.command(env!("CARGO_BIN_EXE_hale-backtester"));
    command.args(["run", "--data", synthetic().to_str().unwrap(), "--out", out.to_str().unwrap()]);
    let mut child = command.args(["--misbehave", "hang"]).stderr(Stdio::piped()).spawn().unwrap();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let (tx, rx) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        stderr.lines().for_each(|line| tx.send(line.unwrap()).unwrap_or_default())
    });
    let patience = Duration::from_secs(30);
    while rx.recv_timeout(patience).expect("it gets to the middle") != "STAGE simulation 342/750" {}
    // Neither another line nor the end of them.
    assert_eq!(rx.recv_timeout(Duration::from_millis(300)), Err(mpsc::RecvTimeoutError::Timeout));
    assert_eq!(child.try_wait().unwrap(), None);
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap();
}
