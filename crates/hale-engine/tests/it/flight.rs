//! The flight recorder: what was written is there after a death, and it never grows.

use crate::world::World;
use hale_core::time::Timestamp;
use hale_engine::recorder::{Recorder, path, read};
use std::os::unix::fs::FileExt;
use std::time::Duration;

const SLOT: u64 = 512;
const SLOTS: u64 = 2048;

#[test]
fn what_was_noted_is_there_after_the_process_is_gone_and_the_next_one_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = Recorder::open(dir.path()).unwrap();
    recorder.note(Timestamp(7), "health", "health check passed");
    recorder.note(Timestamp(8), "log", "ERROR first\nsecond\tline");
    // As SIGKILL leaves it: no destructor, no flush.
    std::mem::forget(recorder);
    let entries = read(&path(dir.path())).unwrap();
    let told: Vec<_> = entries
        .iter()
        .map(|entry| (entry.seq, entry.at.0, entry.kind.as_str(), entry.text.as_str()))
        .collect();
    assert_eq!(told, [(1, 7, "health", "health check passed"), (2, 8, "log", "ERROR first second\tline")]);
    Recorder::open(dir.path()).unwrap().note(Timestamp(9), "start", "again");
    let last = read(&path(dir.path())).unwrap().pop().unwrap();
    assert_eq!((last.seq, last.kind.as_str()), (3, "start"));
}

#[test]
fn the_ring_keeps_its_size_and_the_newest_lines_and_cuts_long_ones() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = Recorder::open(dir.path()).unwrap();
    let notes = 3 * SLOTS + 5;
    for n in 1..=notes {
        recorder.note(Timestamp(i64::try_from(n).unwrap()), "log", &format!("{n} {}", "ä".repeat(600)));
    }
    assert_eq!(std::fs::metadata(path(dir.path())).unwrap().len(), SLOTS * SLOT);
    let entries = read(&path(dir.path())).unwrap();
    let seqs: Vec<u64> = entries.iter().map(|entry| entry.seq).collect();
    assert_eq!(seqs, (notes - SLOTS + 1..=notes).collect::<Vec<_>>());
    assert!(entries.iter().all(|entry| entry.text.len() < SLOT as usize && entry.text.ends_with('ä')));
}

#[test]
fn a_torn_line_is_left_out_and_the_others_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = Recorder::open(dir.path()).unwrap();
    (1..=3).for_each(|n| recorder.note(Timestamp(n), "log", &format!("line {n}")));
    let file = std::fs::File::options().write(true).open(path(dir.path())).unwrap();
    file.write_all_at(&[0xff; 32], 2 * SLOT + 16).unwrap();
    let seqs: Vec<u64> = read(&path(dir.path())).unwrap().iter().map(|entry| entry.seq).collect();
    assert_eq!(seqs, [1, 3]);
}

#[tokio::test(start_paused = true)]
async fn an_engine_notes_its_start_its_health_and_its_orderly_end() {
    let world = World::new().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let kinds = |world: &World| -> Vec<String> {
        let entries = read(&path(&world.engine.config().data)).unwrap();
        entries.into_iter().map(|entry| entry.kind).collect()
    };
    let before = kinds(&world);
    assert_eq!(before[..3], ["start", "health", "health"]);
    assert!(!before.contains(&"end".to_owned()), "{before:?}");
    world.engine.drain().await;
    assert_eq!(kinds(&world).last().unwrap(), "end");
}
