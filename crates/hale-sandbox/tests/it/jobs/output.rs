//! Output: lines as they come, bounded in memory and on disk.

use super::*;
use hale_sandbox::job::limits::LINE_BYTES;

#[test]
fn lines_come_apart_by_stream_and_nothing_is_lost() {
    let place = Place::new();
    let (ended, events) = run(&place.spec(&["lines"]));
    let lines = stdout(&events);
    assert_eq!(lines[0], "first");
    // 12,000 bytes in two pieces, cut between letters.
    assert_eq!(lines[1..3].concat(), "ä".repeat(6000));
    assert!(lines[1].len() <= LINE_BYTES && lines[2].len() <= LINE_BYTES);
    assert_eq!(lines[3..], ["bad \u{fffd} byte", "unended"]);
    let pieces = |event: &&Event| matches!(event, Event::Stdout(line) if line.continues);
    assert_eq!(events.iter().filter(pieces).count(), 1);
    assert!(events.iter().any(|event| matches!(event, Event::Stderr(line) if line.text == "wrong")));
    assert_eq!(ended.output.dropped_bytes, 0);
    assert_eq!(ended.output.stderr_bytes, 6);
}

#[test]
fn a_gigabyte_of_output_is_counted_and_a_megabyte_of_it_kept() {
    let place = Place::new();
    let mut spec = place.spec(&["shout", "1024"]);
    spec.limits.output_bytes = MIB;
    spec.limits.wall = Millis::seconds(120);
    let (ended, events) = run(&spec);
    check_kind(&ended, Kind::Exit { code: 0 });
    assert_eq!(ended.output.stdout_bytes, 1024 * MIB);
    assert_eq!(ended.output.dropped_bytes, 1023 * MIB);
    let kept: usize = stdout(&events).iter().map(String::len).sum();
    assert!(kept as u64 <= MIB && kept > 900_000, "{kept}");
    assert_eq!(warnings(&events), [Warning::Output { limit_bytes: MIB }]);
    assert_eq!(std::fs::read_dir(place.work()).unwrap().count(), 0);
}

#[test]
fn a_reader_who_stands_still_holds_the_job_but_not_its_limits() {
    let place = Place::new();
    let mut spec = place.spec(&["shout", "64"]);
    spec.limits.output_bytes = 64 * MIB;
    spec.limits.wall = Millis(1500);
    let (sink, events) = channel();
    let job = Job::start(&spec, sink).unwrap();
    let supervisor = job.started().supervisor_pid;
    until("the end of the program", || place.orphans().is_empty());
    let status = std::fs::read_to_string(format!("/proc/{supervisor}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak * 1024 < 64 * MIB, "the supervisor took {peak} kB");
    let events: Vec<Event> = events.iter().collect();
    let ended = job.wait();
    check_kind(&ended, limit(Bound::Wall));
    assert!(ended.output.stdout_bytes < 32 * MIB, "{}", ended.output.stdout_bytes);
    assert!(matches!(events.last(), Some(Event::Ended(_))));
}
