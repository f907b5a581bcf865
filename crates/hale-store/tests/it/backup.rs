//! Backup, verify and restore: what is copied is true, what is damaged is named, what is there is never overwritten.

use crate::world::*;
use hale_core::run::Event;
use hale_core::run::event::Artifact;
use hale_store::backup::{self, Existing};
use hale_store::verify::verify;
use hale_store::{Error, Hash, ListFilter, Sqlite, Store};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

fn with_artifact(store: &Sqlite, n: u64) -> Life {
    let content = format!("report {n}");
    let artifact = Artifact {
        name: "report".to_owned(),
        hash: store.blobs().put(content.as_bytes()).unwrap().to_string(),
        bytes: content.len() as u64,
        media_type: "text/plain".to_owned(),
    };
    let life = wish(n)
        .accepted()
        .leased()
        .stepped()
        .then(Event::Completing { artifacts: vec![artifact] })
        .then(Event::Completed { output: serde_json::json!(n) });
    apply(store, vec![life.insert()]);
    life
}

fn count(store: &Sqlite) -> usize {
    store.list(&ListFilter::default(), None, 1_000_000).unwrap().runs.len()
}

#[test]
fn a_backup_under_load_is_whole_and_restores() {
    let (dir, dest, fresh) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(dir.path(), small());
    (0..20).for_each(|n| drop(with_artifact(&store, n)));
    let done = AtomicBool::new(false);
    let manifest = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = 100;
            while !done.load(Ordering::Relaxed) && n < 10_000 {
                with_artifact(&store, n);
                n += 1;
            }
        });
        let manifest = store.backup(dest.path());
        done.store(true, Ordering::Relaxed);
        manifest.unwrap()
    });
    assert!(manifest.runs >= 20 && manifest.blobs.len() as u64 == manifest.runs, "{manifest:?}");
    let verified = verify(dest.path()).unwrap();
    assert_eq!((verified.problems, verified.runs), (vec![], manifest.runs));
    let restored = backup::restore(dest.path(), &fresh.path().join("data"), Existing::Refuse).unwrap();
    assert_eq!((restored.runs, restored.aside), (manifest.runs, None));
    let store = open(&fresh.path().join("data"), small());
    assert_eq!(count(&store) as u64, manifest.runs);
    assert!(store.verify().unwrap().is_well());
    assert_eq!(store.blobs().get(Hash::of(b"report 7")).unwrap(), b"report 7");
}

#[test]
fn a_restore_never_overwrites() {
    let (dir, backups) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let dest = backups.path().join("monday");
    let store = open(dir.path(), small());
    with_artifact(&store, 1);
    store.backup(&dest).unwrap();
    assert!(matches!(store.backup(&dest), Err(Error::NotEmpty { .. })));
    with_artifact(&store, 2);
    assert!(matches!(backup::restore(&dest, dir.path(), Existing::SetAside), Err(Error::Locked { .. })));
    drop(store);
    assert!(matches!(backup::restore(&dest, dir.path(), Existing::Refuse), Err(Error::NotEmpty { .. })));
    let aside = backup::restore(&dest, dir.path(), Existing::SetAside).unwrap().aside.unwrap();
    assert_eq!(count(&open(dir.path(), small())), 1);
    assert_eq!(count(&Sqlite::open_readonly_copy(&aside).unwrap()), 2);
    assert!(verify(&aside).unwrap().is_well());
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_damaged_backup_is_not_restored() {
    let (dir, backups) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(dir.path(), small());
    with_artifact(&store, 1);
    let refused = |name: &str, damage: &dyn Fn(&Path)| {
        let dest = backups.path().join(name);
        store.backup(&dest).unwrap();
        damage(&dest);
        let target = backups.path().join(format!("{name}-restored"));
        let error = backup::restore(&dest, &target, Existing::Refuse).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. } | Error::NoBackup { .. }), "{name}: {error}");
        assert!(!target.join("hale.db").exists());
    };
    // The change counter: no check of the pages sees it.
    refused("page", &|dest| flip(&dest.join("hale.db"), 27));
    refused("blob", &|dest| {
        let hash = Hash::of(b"report 1").to_string();
        flip(&dest.join("blobs").join(&hash[..2]).join(&hash[2..]), 0);
    });
    refused("manifest", &|dest| std::fs::remove_file(dest.join("manifest.json")).unwrap());
}

#[test]
fn verify_names_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), small());
    let life = with_artifact(&store, 1);
    apply(&store, vec![wish(2).accepted().insert()]);
    drop(store);
    assert_eq!(verify(dir.path()).unwrap().problems, Vec::<String>::new());
    let db = dir.path().join("hale.db");
    let whole = std::fs::read(&db).unwrap();
    let id = life.run.id;
    let damages = [
        (
            "DELETE FROM bodies WHERE at BETWEEN (1 << 24) + 1 AND (1 << 24) + 16777214",
            format!("run {id}: its journal has gaps"),
        ),
        (
            "UPDATE runs SET snapshot = replace(snapshot, '\"steps\":1', '\"steps\":9') WHERE n = 1",
            format!("run {id}: its journal ends"),
        ),
        ("UPDATE runs SET state = 5 WHERE n = 1", format!("run {id}: its row and its snapshot differ")),
        ("DELETE FROM bodies WHERE at = 1 << 24", format!("trust the store: run {id} has no input")),
        ("UPDATE queue_counts SET count = 7", "counters: ".to_owned()),
        ("DELETE FROM artifacts", format!("run {id}: artifact report is in the journal only")),
        ("UPDATE runs SET snapshot = '{' WHERE n = 1", "decode a run".to_owned()),
    ];
    for (damage, says) in damages {
        std::fs::write(&db, &whole).unwrap();
        let conn = rusqlite::Connection::open(&db).unwrap();
        assert!(conn.execute(damage, []).unwrap() > 0, "{damage} changed nothing");
        drop(conn);
        let problems = verify(dir.path()).unwrap().problems;
        assert!(problems.iter().any(|problem| problem.starts_with(&says)), "{damage}: {problems:?}");
    }
    std::fs::write(&db, &whole).unwrap();
    let hash = Hash::of(b"report 1").to_string();
    std::fs::remove_file(dir.path().join("blobs").join(&hash[..2]).join(&hash[2..])).unwrap();
    let problems = verify(dir.path()).unwrap().problems;
    assert!(problems.iter().any(|problem| problem.contains(&hash)), "{problems:?}");
}
