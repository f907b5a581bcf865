//! Blobs as files: whole or not there, never served damaged, swept when nobody names them.

use crate::world::*;
use hale_core::fault::{Deed, Point};
use hale_core::run::Event;
use hale_core::run::event::Artifact;
use hale_core::time::Timestamp;
use hale_store::{Error, Hash, Options, Sqlite, Store};
use std::path::PathBuf;

fn path(store: &Sqlite, hash: Hash) -> PathBuf {
    let text = hash.to_string();
    store.dir().join("blobs").join(&text[..2]).join(&text[2..])
}

#[test]
fn a_damaged_blob_is_never_served_and_is_mended_by_its_content() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), small());
    let hash = store.blobs().put(b"content").unwrap();
    std::fs::write(path(&store, hash), b"c0ntent").unwrap();
    assert!(matches!(store.blobs().get(hash), Err(Error::BlobDamaged { .. })));
    store.blobs().put(b"content").unwrap();
    assert_eq!(store.blobs().get(hash).unwrap(), b"content");
}

#[test]
fn half_written_blobs_of_a_crash_are_swept_at_start() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), small());
    let hash = store.blobs().put(b"content").unwrap();
    drop(store);
    let temp = dir.path().join("blobs/tmp/0");
    std::fs::write(&temp, b"cont").unwrap();
    let store = open(dir.path(), small());
    assert!(!temp.exists());
    assert_eq!(store.blobs().list().unwrap(), [(hash, 7)]);
}

#[test]
fn a_fault_after_the_blob_leaves_it_whole() {
    let dir = tempfile::tempdir().unwrap();
    let options: Options = small();
    let store = open(dir.path(), options.clone());
    options.faults.arm(Point::AfterBlob, Deed::Fail);
    assert!(matches!(store.blobs().put(b"content"), Err(Error::Injected { .. })));
    assert_eq!(options.faults.hits(Point::AfterBlob), 1);
    assert_eq!(store.blobs().get(Hash::of(b"content")).unwrap(), b"content");
}

#[test]
fn pruning_takes_blobs_that_no_run_names_and_no_others() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), small());
    let (blobs, mut n) = (store.blobs(), 0);
    let artifact = |content: &[u8]| Artifact {
        name: "report".to_owned(),
        hash: blobs.put(content).unwrap().to_string(),
        bytes: content.len() as u64,
        media_type: "text/plain".to_owned(),
    };
    let mut life = |contents: &[&[u8]], ended: bool| {
        n += 1;
        let artifacts = contents.iter().map(|content| artifact(content)).collect();
        let life = wish(n).accepted().leased().then(Event::Completing { artifacts });
        if ended { life.then(Event::Completed { output: serde_json::json!(1) }) } else { life }
    };
    let lives = [life(&[b"mine"], true), life(&[b"shared"], true), life(&[b"shared"], false)];
    apply(&store, lives.iter().map(Life::insert).collect());
    blobs.put(b"of a crash before its commit").unwrap();
    // Fresh blobs stay: their commit may be on its way.
    store.prune(Timestamp(0), 10).unwrap();
    assert_eq!(blobs.list().unwrap().len(), 3);
    drop(store);
    let store = open(dir.path(), small());
    let pruned = store.prune(Timestamp(i64::MAX), 10).unwrap();
    assert_eq!(pruned.runs, 2);
    assert_eq!(store.blobs().list().unwrap(), [(Hash::of(b"shared"), 6)]);
    assert_eq!(store.space().unwrap().blobs_bytes, 6);
    assert!(store.verify().unwrap().is_well());
}
