//! Links and folders swapped while tools read: never a byte from outside.

use crate::place::{Place, RESOLVERS, SECRET, plenty};
use hale_sandbox::{Folder, Resolver, call};
use rustix::fs::{CWD, FileType, Mode, RenameFlags};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc;
use std::time::Duration;

/// Swaps that must have happened under the eyes of the reader.
const SWAPS: u64 = 20_000;
/// Answers of either kind that the reader must have seen: fewer, and the swap did not meet it.
const MET: u64 = 20;

/// What swappers and reader have done so far.
#[derive(Debug, Default)]
struct Race {
    swaps: AtomicU64,
    given: AtomicU64,
    refused: AtomicU64,
    stopped: AtomicBool,
}

impl Race {
    fn enough(&self) -> bool {
        let met = self.given.load(Relaxed) >= MET && self.refused.load(Relaxed) >= MET;
        met && self.swaps.load(Relaxed) >= SWAPS
    }

    /// Also when the swap never meets the reader: the test fails then instead of going on for ever.
    fn over(&self) -> bool {
        self.enough() || self.stopped.load(Relaxed) || self.swaps.load(Relaxed) > SWAPS * 100
    }

    fn swap(&self, one: &Path, other: &Path) {
        while !self.over() {
            rustix::fs::renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap();
            self.swaps.fetch_add(1, Relaxed);
        }
    }

    fn read(&self, folders: &[Folder], calls: &[(&str, Value)]) {
        let _stop = Stop(&self.stopped);
        while !self.over() {
            for (tool, args) in calls {
                match call(tool, args, folders, &plenty()) {
                    Ok(answer) => {
                        self.given.fetch_add(u64::from(*tool == "files.read"), Relaxed);
                        assert!(!answer["matches"].to_string().contains(SECRET), "{tool} escaped: {answer}");
                        assert!(!answer["text"].to_string().contains(SECRET), "{tool} escaped: {answer}");
                        assert!(
                            !answer["entries"].to_string().contains(NAME_OUTSIDE),
                            "{tool} escaped: {answer}"
                        );
                    }
                    Err(error) => {
                        let cause = error.failure(tool).cause;
                        self.refused.fetch_add(u64::from(cause == "tool.refused"), Relaxed);
                    }
                }
            }
        }
    }
}

/// Stops the swappers when the reader ends, be it by a failed assertion.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

const NAME_OUTSIDE: &str = "only-outside";

#[test]
fn a_swapped_link_or_folder_never_shows_a_byte_from_outside() {
    for resolver in RESOLVERS {
        let place = Place::new();
        fs::create_dir(place.inside("folder")).unwrap();
        place.write("folder/secret.txt", "inside\n");
        place.write("file", "inside\n");
        fs::write(place.outside(NAME_OUTSIDE), SECRET).unwrap();
        // The folder changes places with a link to the outside, the file with another.
        symlink("../outside", place.inside("folder-link")).unwrap();
        symlink("../outside/secret.txt", place.inside("file-link")).unwrap();
        let calls = [
            ("files.read", json!({"path": "folder/secret.txt"})),
            ("files.read", json!({"path": "file"})),
            ("files.search", json!({"path": "folder", "pattern": "."})),
            ("files.search", json!({"pattern": "S3CRET"})),
            ("files.list", json!({"path": "folder"})),
        ];
        let race = Race::default();
        std::thread::scope(|scope| {
            scope.spawn(|| race.swap(&place.inside("folder"), &place.inside("folder-link")));
            scope.spawn(|| race.swap(&place.inside("file"), &place.inside("file-link")));
            race.read(&[place.folder(resolver)], &calls);
        });
        assert!(race.enough(), "by {resolver:?} the swap did not meet the reader: {race:?}");
    }
}

#[test]
fn a_fifo_swapped_in_is_never_waited_for() {
    let (done, ended) = mpsc::channel();
    // Not scoped: a reader that hangs must not keep the test from failing.
    std::thread::spawn(move || {
        let place = Place::new();
        place.write("file", "inside\n");
        rustix::fs::mknodat(CWD, place.inside("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let race = Race::default();
        std::thread::scope(|scope| {
            scope.spawn(|| race.swap(&place.inside("file"), &place.inside("fifo")));
            race.read(&[place.folder(Resolver::Kernel)], &[("files.read", json!({"path": "file"}))]);
        });
        done.send(race.enough()).unwrap();
    });
    let met = ended
        .recv_timeout(Duration::from_secs(60))
        .expect("the tool should not wait for the FIFO's other end");
    assert!(met, "the swap did not meet the reader");
}
