//! A failed sync ends all writing, and the process's hook is told once.

use crate::power_cut::platter::{Mount, Platter};
use crate::power_cut::vfs;
use crate::world::*;
use hale_store::{Error, Options, Store};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

fn failing(mount: &Mount) -> (Options, Receiver<String>) {
    let (told, hears) = channel();
    let sync_failed = Arc::new(move |error: &Error| told.send(error.to_string()).unwrap());
    let disk = mount.platter.clone();
    (Options { vfs: Some(vfs::register()), disk, sync_failed, ..small() }, hears)
}

fn mounted(dir: &tempfile::TempDir) -> Mount {
    Mount::new(dir.path(), Platter::default())
}

#[test]
fn a_commit_that_cannot_be_synced_is_told_once_and_nothing_is_written_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let mount = mounted(&dir);
    let (options, hears) = failing(&mount);
    let store = open(&mount.dir, options);
    let kept = wish(1).accepted();
    apply(&store, vec![kept.insert()]);
    mount.platter.state().syncs_fail = true;
    let error = wait(store.apply(vec![wish(2).accepted().insert()])).unwrap_err();
    assert!(matches!(error, Error::Commit { .. }), "{error}");
    assert!(mount.platter.state().syncs_failed > 0, "the fault did not take effect");
    mount.platter.state().syncs_fail = false;
    // The disk works again, but what it holds is unknown until a new start.
    for _ in 0..3 {
        let error = wait(store.apply(vec![wish(3).accepted().insert()])).unwrap_err();
        assert!(matches!(error, Error::SyncFailed), "{error}");
    }
    assert_eq!(store.run(kept.run.id).unwrap().unwrap().run, kept.run);
    drop(store);
    assert_eq!(hears.try_iter().count(), 1);
    let again = open(&mount.dir, failing(&mount).0);
    assert_eq!(again.run(kept.run.id).unwrap().unwrap().run, kept.run);
    assert!(again.verify().unwrap().is_well());
}

#[test]
fn a_checkpoint_that_cannot_be_synced_is_told_too() {
    let dir = tempfile::tempdir().unwrap();
    let mount = mounted(&dir);
    let (options, hears) = failing(&mount);
    let store = open(&mount.dir, options);
    apply(&store, vec![wish(1).accepted().insert()]);
    mount.platter.state().syncs_fail = true;
    let told = hears.recv_timeout(Duration::from_secs(10)).expect("the idle checkpoint syncs");
    assert!(told.contains("checkpoint"), "{told}");
    assert!(matches!(wait(store.apply(vec![wish(2).accepted().insert()])), Err(Error::SyncFailed)));
}

#[test]
fn a_blob_that_cannot_be_synced_is_not_answered() {
    let dir = tempfile::tempdir().unwrap();
    let mount = mounted(&dir);
    let store = open(&mount.dir, failing(&mount).0);
    mount.platter.state().syncs_fail = true;
    assert!(matches!(store.blobs().put(b"content"), Err(Error::File { .. })));
    mount.platter.state().syncs_fail = false;
    assert_eq!(store.blobs().list().unwrap(), []);
}
