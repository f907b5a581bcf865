//! Two artifact stores and a spool: what was answered is kept, whatever a store does; what is read comes from anywhere.

use crate::world::*;
use hale_core::fault::{Deed, Point};
use hale_core::run::Event;
use hale_core::run::event::Artifact;
use hale_core::time::Timestamp;
use hale_store::blobs::{BACKUP, PRIMARY};
use hale_store::{Error, Hash, Op, OpResult, Options, Sqlite, Store};
use std::path::Path;

const CONTENT: &[u8] = b"an output";

fn with_second(dir: &Path) -> Options {
    Options { secondary: Some(dir.to_owned()), ..small() }
}

fn files(dir: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries.flatten().map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 }).sum()
}

// covers: AO-160
#[test]
fn what_the_store_does_not_take_is_spooled_and_stored_later_also_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let options = small();
    let store = open(dir.path(), options.clone());
    options.faults.arm(Point::BlobWrite, Deed::Fail);
    let hash = store.blobs().put(CONTENT).unwrap();
    assert_eq!(options.faults.hits(Point::BlobWrite), 1);
    assert_eq!(store.blobs().get(hash).unwrap(), CONTENT);
    let spooled = store.blobs().spooled();
    assert_eq!((spooled.contents, spooled.bytes), (1, CONTENT.len() as u64));
    assert!(spooled.oldest.is_some() && spooled.error.unwrap().contains("made to fail"));
    let pushed = store.blobs().push(None).unwrap();
    assert!(pushed.stored == 0 && pushed.left == 1 && pushed.error.is_some(), "{pushed:?}");
    drop(store);
    // The next process finds it, and a pruning in between does not take it.
    let store = open(dir.path(), small());
    assert_eq!(store.blobs().spooled().contents, 1);
    assert_eq!(store.blobs().get(hash).unwrap(), CONTENT);
    assert_eq!(store.blobs().push(Some(Timestamp(i64::MAX))).unwrap().stored, 0);
    let pushed = store.blobs().push(None).unwrap();
    assert_eq!((pushed.stored, pushed.bytes, pushed.left), (1, CONTENT.len() as u64, 0));
    assert_eq!((store.blobs().spooled().contents, files(&dir.path().join("spool"))), (0, 0));
    assert_eq!(store.blobs().list().unwrap(), [(hash, CONTENT.len() as u64)]);
}

#[test]
fn what_nothing_takes_is_refused_with_the_stores_own_error() {
    let dir = tempfile::tempdir().unwrap();
    let options = small();
    let store = open(dir.path(), options.clone());
    options.faults.arm(Point::BlobWrite, Deed::Fail);
    options.faults.arm(Point::SpoolWrite, Deed::Fail);
    let error = store.blobs().put(CONTENT).unwrap_err();
    assert_eq!(options.faults.hits(Point::SpoolWrite), 1);
    assert!(matches!(&error, Error::File { path, .. } if path.ends_with("blobs")), "{error}");
    assert_eq!(store.blobs().spooled().contents, 0);
}

// covers: AO-156
#[test]
fn a_probe_writes_reads_and_leaves_nothing() {
    let (dir, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let options = with_second(second.path());
    let store = open(dir.path(), options.clone());
    for name in [PRIMARY, BACKUP] {
        store.blobs().probe(name).unwrap();
    }
    assert_eq!(store.blobs().list().unwrap(), []);
    assert_eq!(files(&dir.path().join("blobs")), 0);
    options.faults.arm(Point::BlobWrite, Deed::Fail);
    assert!(matches!(store.blobs().probe(PRIMARY), Err(Error::File { .. })));
    assert_eq!(options.faults.hits(Point::BlobWrite), 1);
    store.blobs().probe(BACKUP).unwrap();
    assert!(matches!(store.blobs().probe("elsewhere"), Err(Error::NoStore { .. })));
    std::fs::remove_dir_all(second.path().join("blobs")).unwrap();
    assert!(store.blobs().probe(BACKUP).is_err());
}

// covers: AO-159
#[test]
fn writes_go_to_the_active_store_and_reads_fall_through() {
    let (dir, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(dir.path(), with_second(second.path()));
    let blobs = store.blobs();
    let first = blobs.put(b"first").unwrap();
    blobs.turn_to(BACKUP).unwrap();
    let then = blobs.put(b"then").unwrap();
    assert_eq!((files(&dir.path().join("blobs")), files(&second.path().join("blobs"))), (1, 1));
    assert_eq!((blobs.get(first).unwrap(), blobs.get(then).unwrap()), (b"first".to_vec(), b"then".to_vec()));
    let active: Vec<_> = blobs.places().iter().map(|place| (place.name, place.active)).collect();
    assert_eq!(active, [(PRIMARY, false), (BACKUP, true)]);
    // Who reads the folder without its server finds the second store as well.
    assert_eq!(Sqlite::open_readonly_copy(dir.path()).unwrap().blobs().get(then).unwrap(), b"then");
    blobs.turn_to(PRIMARY).unwrap();
    assert_eq!(blobs.get(then).unwrap(), b"then");
    assert!(matches!(blobs.turn_to("elsewhere"), Err(Error::NoStore { .. })));
}

#[test]
fn a_second_folder_belongs_to_one_server() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let second = tempfile::tempdir().unwrap();
    let _store = open(dir.path(), with_second(second.path()));
    let folder = hale_store::Folder::lock(other.path()).unwrap();
    let refused = Sqlite::open(folder, with_second(second.path()));
    assert!(matches!(refused.err(), Some(Error::Locked { .. })));
}

#[test]
fn a_second_folder_that_is_away_keeps_no_server_from_starting() {
    let (dir, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let lost = second.path().join("file");
    std::fs::write(&lost, b"no folder").unwrap();
    let store = open(dir.path(), with_second(&lost));
    assert!(store.blobs().probe(BACKUP).is_err());
    let hash = store.blobs().put(CONTENT).unwrap();
    assert_eq!(store.blobs().get(hash).unwrap(), CONTENT);
    store.blobs().turn_to(BACKUP).unwrap();
    // What it does not take is not lost.
    let late = store.blobs().put(b"late").unwrap();
    assert_eq!((store.blobs().spooled().contents, store.blobs().get(late).unwrap()), (1, b"late".to_vec()));
}

#[test]
fn a_backup_holds_what_lies_elsewhere_and_what_was_put() {
    let (dir, second, dest) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let options = with_second(second.path());
    let store = open(dir.path(), options.clone());
    store.blobs().turn_to(BACKUP).unwrap();
    let there = store.blobs().put(b"there").unwrap();
    store.blobs().turn_to(PRIMARY).unwrap();
    options.faults.arm(Point::BlobWrite, Deed::Fail);
    let put = store.blobs().put(b"put").unwrap();
    assert_eq!(store.blobs().spooled().contents, 1);
    let artifact = Artifact {
        name: "report".to_owned(),
        hash: there.to_string(),
        bytes: 5,
        media_type: "text/plain".to_owned(),
    };
    let life = wish(1).accepted().leased().then(Event::Completing { artifacts: vec![artifact] });
    let input = Op::Setting { key: format!("artifact.input.{put}"), value: Some("{}".to_owned()) };
    assert_eq!(apply(&store, vec![life.insert(), input]), [OpResult::Done, OpResult::Done]);
    let manifest = store.backup(dest.path()).unwrap();
    assert_eq!(manifest.blobs.len(), 2);
    assert!(hale_store::verify::verify(dest.path()).unwrap().is_well());
    // An input that an operator put is named, however old it is.
    options.faults.arm(Point::BlobWrite, Deed::Nothing);
    drop(store);
    let store = open(dir.path(), with_second(second.path()));
    store.blobs().push(None).unwrap();
    store.prune(Timestamp(i64::MAX), 10).unwrap();
    assert_eq!(store.blobs().get(put).unwrap(), b"put");
    apply(&store, vec![Op::Setting { key: format!("artifact.input.{put}"), value: None }]);
    drop(store);
    let store = open(dir.path(), with_second(second.path()));
    store.prune(Timestamp(i64::MAX), 10).unwrap();
    assert!(matches!(store.blobs().get(put), Err(Error::BlobMissing { .. })));
    assert_eq!(store.blobs().get(Hash::of(b"there")).unwrap(), b"there");
}
