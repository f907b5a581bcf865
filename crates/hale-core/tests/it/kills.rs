//! The kill verdict: one row a way to die, each rung against its near miss.

use hale_core::kill::{Bound, Caps, End, Facts, Grade, Kind, Stop, classify, meaning};
use hale_core::time::Millis;

const MIB: u64 = 1 << 20;

fn facts(raw: i32) -> Facts {
    Facts {
        end: End::from_raw(raw),
        raw_status: Some(raw),
        stop: None,
        cgroup_oom_kills: None,
        machine_oom_kills: Some(0),
        peak_rss_bytes: 20 * MIB,
        peak_data_bytes: 20 * MIB,
        peak_tasks: 1,
        cpu: Millis(100),
        wall: Millis::seconds(2),
        caps: Caps {
            memory_bytes: 200 * MIB,
            data_bytes: 464 * MIB,
            cpu: Millis::seconds(10),
            wall: Millis::seconds(60),
            file_bytes: 10 * MIB,
            tasks: 32,
            disk_bytes: 100 * MIB,
        },
        stderr_tail: Vec::new(),
    }
}

fn exit(code: i32) -> Facts {
    facts(code << 8)
}

fn with(mut facts: Facts, change: impl FnOnce(&mut Facts)) -> Facts {
    change(&mut facts);
    facts
}

fn stderr(line: &str) -> Vec<String> {
    vec!["Traceback (most recent call last):".to_owned(), line.to_owned()]
}

#[track_caller]
fn check(facts: &Facts, kind: Kind, grade: Grade) {
    let verdict = classify(facts);
    assert_eq!((verdict.kind, verdict.grade), (kind, grade), "{verdict}\n{:#?}", verdict.evidence);
    assert!(!verdict.says.is_empty() && !verdict.says.ends_with('.'), "{verdict}");
}

const fn limit(bound: Bound) -> Kind {
    Kind::Limit { bound }
}

// covers: AX-23, AX-24, AX-25, AX-26, AX-27
#[test]
fn the_exit_codes_of_the_guides_are_interpreted() {
    for (code, word) in
        [(0, "in order"), (1, "error of the program"), (139, "segmentation"), (143, "normal shutdown")]
    {
        check(&exit(code), Kind::Exit { code }, Grade::Proved);
        let verdict = classify(&exit(code));
        assert!(verdict.says.contains(word), "{verdict}");
    }
    check(&exit(137), Kind::Exit137NotASignal, Grade::Proved);
    check(&facts(9), Kind::KilledUnknown, Grade::Unknown);
    check(&facts(11), Kind::Signal { signal: 11 }, Grade::Proved);
    check(&facts(15), Kind::Signal { signal: 15 }, Grade::Proved);
    let start_error = with(exit(1), |facts| facts.stderr_tail = stderr("KeyError: 'DATABASE_URL'"));
    assert!(classify(&start_error).evidence.contains(&"stderr: KeyError: 'DATABASE_URL'".to_owned()));
}

#[test]
fn only_an_end_that_was_meant_is_normal() {
    let cancelled = with(facts(9), |facts| facts.stop = Some(Stop::Cancelled));
    for facts in [exit(0), exit(143), facts(15), cancelled] {
        assert!(classify(&facts).is_normal(), "{:?}", facts.end);
    }
    for facts in [exit(1), exit(137), exit(139), facts(9), facts(11)] {
        assert!(!classify(&facts).is_normal(), "{:?}", facts.end);
    }
}

#[test]
fn a_kill_that_the_own_cgroup_counted_is_proved() {
    let proved = with(facts(9), |facts| {
        facts.cgroup_oom_kills = Some(1);
        facts.stop = Some(Stop::Memory { used_bytes: 201 * MIB });
    });
    check(&proved, Kind::OomProved, Grade::Proved);
    check(&with(facts(9), |facts| facts.cgroup_oom_kills = Some(0)), Kind::KilledUnknown, Grade::Unknown);
    // A child died of it, but the program coped.
    check(&with(exit(0), |facts| facts.cgroup_oom_kills = Some(1)), Kind::Exit { code: 0 }, Grade::Proved);
}

#[test]
fn what_hale_did_is_known_with_certainty() {
    let stop = |stop| with(facts(9), |facts| facts.stop = Some(stop));
    check(&stop(Stop::Memory { used_bytes: 201 * MIB }), Kind::OomByUs, Grade::Proved);
    check(&stop(Stop::WallTime), limit(Bound::Wall), Grade::Proved);
    check(&stop(Stop::CpuTime { used: Millis::seconds(11) }), limit(Bound::Cpu), Grade::Proved);
    check(&stop(Stop::Tasks { count: 33 }), limit(Bound::Tasks), Grade::Proved);
    check(&stop(Stop::Disk { used_bytes: 101 * MIB }), limit(Bound::Disk), Grade::Proved);
    check(&stop(Stop::Cancelled), Kind::Stopped, Grade::Proved);
    check(&stop(Stop::ServerGone), Kind::Stopped, Grade::Proved);
    // A cancelled program that was also large is cancelled, whatever the machine was doing.
    let large = with(stop(Stop::Cancelled), |facts| {
        facts.machine_oom_kills = Some(1);
        facts.peak_rss_bytes = 199 * MIB;
    });
    check(&large, Kind::Stopped, Grade::Proved);
}

#[test]
fn limits_of_the_kernel_are_named() {
    check(&facts(24), limit(Bound::Cpu), Grade::Proved);
    check(&facts(25), limit(Bound::FileSize), Grade::Proved);
    let ignored = with(facts(9), |facts| facts.cpu = Millis::seconds(11));
    check(&ignored, limit(Bound::Cpu), Grade::Proved);
    let cancelled = with(ignored, |facts| facts.stop = Some(Stop::Cancelled));
    check(&cancelled, Kind::Stopped, Grade::Proved);
    check(&with(facts(9), |facts| facts.cpu = Millis(9_999)), Kind::KilledUnknown, Grade::Unknown);
}

#[test]
fn a_program_that_names_a_limit_is_believed_only_near_that_limit() {
    let near = with(exit(1), |facts| {
        facts.stderr_tail = stderr("MemoryError");
        facts.peak_rss_bytes = 190 * MIB;
    });
    check(&near, limit(Bound::Memory), Grade::Likely);
    let aborted = with(facts(6), |facts| {
        facts.stderr_tail = stderr("memory allocation of 1048576 bytes failed");
        facts.peak_data_bytes = 460 * MIB;
    });
    check(&aborted, limit(Bound::Memory), Grade::Likely);
    let far = with(exit(1), |facts| facts.stderr_tail = stderr("MemoryError"));
    check(&far, Kind::Exit { code: 1 }, Grade::Proved);
    assert!(classify(&far).evidence.iter().any(|item| item.contains("far from every limit")));
    // It printed the word and ended well.
    check(&with(near, |facts| facts.end = End::Exited { code: 0 }), Kind::Exit { code: 0 }, Grade::Proved);

    let file = with(exit(1), |facts| facts.stderr_tail = stderr("OSError: [Errno 27] File too large"));
    check(&file, limit(Bound::FileSize), Grade::Likely);
    let fork = with(exit(1), |facts| {
        facts.stderr_tail = stderr("BlockingIOError: [Errno 11] Resource temporarily unavailable");
    });
    check(&fork, Kind::Exit { code: 1 }, Grade::Proved);
    check(&with(fork, |facts| facts.peak_tasks = 31), limit(Bound::Tasks), Grade::Likely);
}

#[test]
fn a_likely_lack_of_memory_needs_all_three_signs() {
    let likely = with(facts(9), |facts| {
        facts.machine_oom_kills = Some(1);
        facts.peak_rss_bytes = 180 * MIB;
    });
    check(&likely, Kind::OomLikely, Grade::Likely);
    let small = with(likely.clone(), |facts| facts.peak_rss_bytes = 179 * MIB);
    check(&small, Kind::KilledUnknown, Grade::Unknown);
    let calm = with(likely.clone(), |facts| facts.machine_oom_kills = Some(0));
    check(&calm, Kind::KilledUnknown, Grade::Unknown);
    let unread = with(likely.clone(), |facts| facts.machine_oom_kills = None);
    check(&unread, Kind::KilledUnknown, Grade::Unknown);
    let faked = with(likely, |facts| facts.end = End::Exited { code: 137 });
    check(&faked, Kind::Exit137NotASignal, Grade::Proved);
}

#[test]
fn an_end_that_nobody_saw_is_not_made_up() {
    let unseen = with(exit(0), |facts| {
        facts.end = End::Unseen;
        facts.raw_status = None;
    });
    check(&unseen, Kind::KilledUnknown, Grade::Unknown);
}

#[test]
fn wait_statuses_are_read_as_linux_writes_them() {
    assert_eq!(End::from_raw(0), End::Exited { code: 0 });
    assert_eq!(End::from_raw(137 << 8), End::Exited { code: 137 });
    assert_eq!(End::from_raw(9), End::Signalled { signal: 9, core: false });
    assert_eq!(End::from_raw(11 | 0x80), End::Signalled { signal: 11, core: true });
    assert_eq!(meaning::signal_name(25), "SIGXFSZ");
    assert_eq!(meaning::signal_name(31), "SIGSYS");
    assert_eq!(meaning::signal_name(40), "a real-time signal");
}

#[test]
fn a_verdict_reads_back_from_its_record() {
    for facts in [exit(137), facts(25), facts(9), exit(3)] {
        let verdict = classify(&facts);
        let json = serde_json::to_value(&verdict).unwrap();
        assert_eq!(json["kind"], verdict.kind.name());
        assert_eq!(serde_json::from_value::<hale_core::kill::Verdict>(json).unwrap(), verdict);
        let json = serde_json::to_string(&facts).unwrap();
        assert_eq!(serde_json::from_str::<Facts>(&json).unwrap(), facts);
    }
}
