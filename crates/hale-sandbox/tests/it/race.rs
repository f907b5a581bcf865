//! Links and folders swapped while tools read: never a byte from outside.

use crate::place::{Place, RESOLVERS, SECRET, plenty};
use hale_sandbox::{Resolver, call};
use rustix::fs::{CWD, RenameFlags};
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Swaps that must have happened under the eyes of the reader.
const SWAPS: u64 = 20_000;
/// Answers of either kind that the reader must have seen: fewer, and the swap did not meet it.
const MET: u64 = 20;

#[test]
fn a_swapped_link_or_folder_never_shows_a_byte_from_outside() {
    for resolver in RESOLVERS {
        race(resolver);
    }
}

fn race(resolver: Resolver) {
    let place = Place::new();
    for dir in [place.inside("folder"), place.inside("other")] {
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("secret.txt"), "inside\n").unwrap();
    }
    // The folder changes places with a link to the outside, the file with another.
    symlink("../outside", place.inside("folder-link")).unwrap();
    place.write("file", "inside\n");
    symlink("../outside/secret.txt", place.inside("file-link")).unwrap();

    let swaps = [AtomicU64::new(0), AtomicU64::new(0)];
    let (given, refused) = (AtomicU64::new(0), AtomicU64::new(0));
    let enough = || {
        let swapped = swaps.iter().all(|count| count.load(Relaxed) >= SWAPS / 2);
        swapped && given.load(Relaxed) >= MET && refused.load(Relaxed) >= MET
    };
    // Without this the test would go on for ever where the swap never meets the reader; it fails there instead.
    let over = || enough() || swaps.iter().any(|count| count.load(Relaxed) > SWAPS * 100);
    std::thread::scope(|scope| {
        for (count, name) in swaps.iter().zip(["folder", "file"]) {
            let (one, other) = (place.inside(name), place.inside(&format!("{name}-link")));
            scope.spawn(move || {
                while !over() {
                    rustix::fs::renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).unwrap();
                    count.fetch_add(1, Relaxed);
                }
            });
        }
        let folders = [place.folder(resolver)];
        while !over() {
            for (tool, args) in [
                ("files.read", json!({"path": "folder/secret.txt"})),
                ("files.read", json!({"path": "file"})),
                ("files.search", json!({"path": "folder", "pattern": "."})),
                ("files.search", json!({"pattern": "S3CRET"})),
                ("files.list", json!({"path": "folder"})),
            ] {
                match call(tool, &args, &folders, &plenty()) {
                    Ok(answer) => {
                        given.fetch_add(u64::from(tool == "files.read"), Relaxed);
                        assert!(
                            !answer["matches"].to_string().contains(SECRET),
                            "{tool} by {resolver:?}: {answer}"
                        );
                        assert!(
                            !answer["text"].to_string().contains(SECRET),
                            "{tool} by {resolver:?}: {answer}"
                        );
                    }
                    Err(error) => {
                        let cause = error.failure(tool).cause;
                        refused.fetch_add(u64::from(cause == "tool.refused"), Relaxed);
                    }
                }
            }
        }
    });
    assert!(enough(), "the swap did not meet the reader: {swaps:?}, {given:?} given, {refused:?} refused");
}
