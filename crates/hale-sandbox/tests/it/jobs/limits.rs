//! Each limit, met by a program that does nothing else.

use super::*;
use hale_core::kill::Grade;

fn limited(args: &[&str], change: impl FnOnce(&mut Limits)) -> (Ended, Vec<Event>) {
    let place = Place::new();
    let mut spec = place.spec(args);
    change(&mut spec.limits);
    let began = Instant::now();
    let (ended, events) = run(&spec);
    assert!(began.elapsed() < Duration::from_secs(25), "it took {:?}", began.elapsed());
    place.check_clean();
    (ended, events)
}

#[test]
fn a_memory_hog_is_warned_twice_and_killed_by_us_just_above_its_limit() {
    let (ended, events) = limited(&["hog", "2000"], |_| {});
    check_kind(&ended, Kind::OomByUs);
    assert_eq!(ended.facts.raw_status, Some(9));
    let peak = ended.facts.peak_rss_bytes;
    assert!((200 * MIB..400 * MIB).contains(&peak), "peak {peak}");
    let percents: Vec<u64> = warnings(&events)
        .iter()
        .filter_map(
            |warning| if let Warning::Memory { percent, .. } = warning { Some(*percent) } else { None },
        )
        .collect();
    assert_eq!(percents, [85, 92]);
}

#[test]
fn a_hog_below_its_limit_is_left_alone() {
    let (ended, events) = limited(&["hog", "100"], |limits| limits.wall = Millis::seconds(2));
    check_kind(&ended, limit(Bound::Wall));
    assert!(stdout(&events).contains(&"holds 100 MiB".to_owned()));
    assert!(!warnings(&events).iter().any(|warning| matches!(warning, Warning::Memory { .. })));
}

#[test]
fn an_allocation_that_the_kernel_refuses_is_a_limit_and_no_kill() {
    let (ended, _) = limited(&["hog", "2000"], |limits| {
        limits.memory_bytes = 1 << 30;
        limits.data_bytes = Some(64 * MIB);
    });
    check_kind(&ended, limit(Bound::Memory));
    assert_eq!(ended.verdict.grade, Grade::Likely);
    assert!(ended.facts.stderr_tail.iter().any(|line| line.contains("memory allocation of")));
}

#[test]
fn pages_that_processes_share_are_counted_once() {
    let (ended, events) = limited(&["share", "90", "3"], |_| {});
    check_kind(&ended, Kind::Exit { code: 0 });
    assert_eq!(stdout(&events).len(), 1);
}

#[test]
fn a_crowd_of_children_is_ended_as_a_whole() {
    let (ended, _) = limited(&["crowd", "300", "MARK"], |limits| limits.tasks = 20);
    check_kind(&ended, limit(Bound::Tasks));
    assert!(ended.facts.peak_tasks > 20 && ended.facts.peak_tasks < 200, "{}", ended.facts.peak_tasks);
}

#[test]
fn a_fork_bomb_in_ever_new_sessions_is_ended_as_a_whole() {
    let (ended, _) = limited(&["bomb", "7", "MARK"], |limits| limits.tasks = 20);
    check_kind(&ended, limit(Bound::Tasks));
}

#[test]
fn threads_count_as_tasks() {
    let (ended, _) = limited(&["threads", "100"], |limits| limits.tasks = 20);
    check_kind(&ended, limit(Bound::Tasks));
}

#[test]
fn zombies_hold_their_places() {
    let (ended, _) = limited(&["zombies", "100", "MARK"], |limits| limits.tasks = 20);
    check_kind(&ended, limit(Bound::Tasks));
}

#[test]
fn a_file_that_grows_too_large_is_stopped_by_the_kernel() {
    let (ended, _) = limited(&["file", "100"], |limits| limits.file_bytes = 8 * MIB);
    check_kind(&ended, limit(Bound::FileSize));
    assert_eq!(ended.facts.raw_status.map(|raw| raw & 0x7f), Some(25));
}

#[test]
fn many_files_fill_the_disk_no_further_than_their_limit() {
    let place = Place::new();
    let mut spec = place.spec(&["files", "500"]);
    spec.limits.disk_bytes = 20 * MIB;
    let (ended, _) = run(&spec);
    check_kind(&ended, limit(Bound::Disk));
    let written = std::fs::read_dir(place.work()).unwrap().count();
    assert!((20..400).contains(&written), "{written} files");
}

#[test]
fn a_spinner_is_ended_by_its_cpu_time_even_if_it_ignores_the_signal() {
    let (ended, _) = limited(&["spin"], |limits| limits.cpu = Millis::seconds(1));
    check_kind(&ended, limit(Bound::Cpu));
    assert_eq!(ended.facts.raw_status.map(|raw| raw & 0x7f), Some(24));
    let (ended, _) = limited(&["spin-deaf"], |limits| limits.cpu = Millis::seconds(1));
    check_kind(&ended, limit(Bound::Cpu));
    assert_eq!(ended.facts.raw_status, Some(9));
    assert!(
        ended.facts.cpu >= Millis::seconds(1) && ended.facts.cpu < Millis::seconds(6),
        "{}",
        ended.facts.cpu
    );
}

#[test]
fn the_time_limit_is_announced_and_then_kept_even_against_the_stubborn() {
    let (ended, events) = limited(&["stubborn"], |limits| limits.wall = Millis(1200));
    check_kind(&ended, limit(Bound::Wall));
    // SIGTERM was ignored, SIGKILL came after the grace.
    assert_eq!(ended.facts.raw_status, Some(9));
    let told: Vec<Millis> = warnings(&events)
        .iter()
        .filter_map(|warning| if let Warning::Wall { passed, .. } = warning { Some(*passed) } else { None })
        .collect();
    assert_eq!(told.len(), 2);
    assert!(told[0] >= Millis(1000) && told[1] >= Millis(1100) && told[1] < Millis(1200), "{told:?}");
    assert!(ended.facts.wall >= Millis(1400), "{}", ended.facts.wall);
}

#[test]
fn a_polite_program_ends_at_its_time_limit_without_being_killed() {
    let (ended, _) = limited(&["polite"], |limits| limits.wall = Millis(300));
    check_kind(&ended, limit(Bound::Wall));
    assert_eq!(ended.facts.raw_status, Some(15));
}
