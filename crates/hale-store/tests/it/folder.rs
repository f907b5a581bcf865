//! The data folder: one process at a time, files of ours only, no newer schema.

use crate::world::*;
use hale_core::time::Timestamp;
use hale_store::{Error, Folder, ListFilter, Op, OpResult, PackRow, Sqlite, Store};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[test]
fn a_held_folder_names_its_holder() {
    let dir = tempfile::tempdir().unwrap();
    let held = Folder::lock(dir.path()).unwrap();
    let error = Folder::lock(dir.path()).unwrap_err();
    let Error::Locked { pid, .. } = &error else { panic!("{error}") };
    assert_eq!(*pid, std::process::id());
    assert!(error.fix().unwrap().contains(&pid.to_string()));
    assert_eq!(Folder::holder(dir.path()).unwrap().map(|holder| holder.pid), Some(std::process::id()));
    drop(held);
    assert_eq!(Folder::holder(dir.path()).unwrap(), None);
    Folder::lock(dir.path()).unwrap();
}

/// The kernel keeps a lock while any process has the file open: also a child that a killed holder left between its
/// fork and its exec.
#[test]
fn a_lock_that_an_ended_holder_left_behind_is_waited_for() {
    use rustix::fs::{FlockOperation, flock};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lock");
    for look in [
        |dir: &Path| assert_eq!(Folder::holder(dir).unwrap(), None),
        |dir: &Path| drop(Folder::lock(dir).unwrap()),
    ] {
        std::fs::write(&path, format!("{} 1000", i32::MAX)).unwrap();
        let left = std::fs::File::open(&path).unwrap();
        flock(&left, FlockOperation::NonBlockingLockExclusive).unwrap();
        let gone = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(100));
                gone.store(true, Ordering::SeqCst);
                drop(left);
            });
            look(dir.path());
            assert!(gone.load(Ordering::SeqCst), "it was not waited for");
        });
    }
}

#[test]
fn a_folder_and_its_files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::lock(&dir.path().join("a/b")).unwrap();
    let dir = folder.dir().to_owned();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    let store = Sqlite::open(folder, small()).unwrap();
    apply(&store, vec![wish(1).accepted().insert()]);
    for name in ["hale.db", "hale.db-wal", "ballast", "lock"] {
        assert_eq!(mode(&dir.join(name)), 0o600, "{name}");
    }
}

#[test]
fn an_open_store_keeps_its_folder_until_it_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), small());
    assert!(matches!(Folder::lock(dir.path()), Err(Error::Locked { .. })));
    drop(store);
    open(dir.path(), small());
}

fn change(dir: &std::path::Path, sql: &str) {
    rusqlite::Connection::open(dir.join("hale.db")).unwrap().execute_batch(sql).unwrap();
}

fn refused(dir: &std::path::Path) -> Error {
    Sqlite::open(Folder::lock(dir).unwrap(), small()).err().expect("the store must not open")
}

#[test]
fn a_newer_database_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path(), small()));
    change(dir.path(), "PRAGMA user_version = 99");
    let error = refused(dir.path());
    assert!(matches!(error, Error::Newer { found: 99, .. }), "{error}");
    assert!(error.fix().unwrap().contains("newer hale"));
    assert!(matches!(Sqlite::open_readonly_copy(dir.path()), Err(Error::Newer { .. })));
}

/// A folder with the database of schema version 1.
fn version_1() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    change(dir.path(), include_str!("samples/v1.sql"));
    dir
}

fn nine_runs(store: &dyn Store) {
    let waiting = store.queue().unwrap();
    assert_eq!((waiting.len(), waiting[0].count, &*waiting[0].line.queue), (1, 3, "default"));
    assert_eq!(store.list(&ListFilter::default(), None, 100).unwrap().runs.len(), 9);
}

#[test]
fn a_database_of_version_1_goes_on_in_the_present_one() {
    let dir = version_1();
    let store = open(dir.path(), small());
    nine_runs(&store);
    let from = store.queue().unwrap()[0].line.clone();
    let claim = Op::Claim { from, n: 2, worker: WORKER, at: START };
    let OpResult::Claimed(claimed) = one(&store, claim) else { panic!("no claim") };
    assert_eq!(claimed.len(), 2);
    assert_eq!(store.verify().unwrap().problems, Vec::<String>::new());
}

#[test]
fn a_copy_of_a_version_1_database_is_read_and_the_original_left_alone() {
    let dir = version_1();
    let before = std::fs::read(dir.path().join("hale.db")).unwrap();
    nine_runs(&Sqlite::open_readonly_copy(dir.path()).unwrap());
    assert_eq!(std::fs::read(dir.path().join("hale.db")).unwrap(), before);
}

#[test]
fn a_foreign_file_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    change(dir.path(), "CREATE TABLE theirs(x); INSERT INTO theirs VALUES(1)");
    let before = std::fs::read(dir.path().join("hale.db")).unwrap();
    assert!(matches!(refused(dir.path()), Error::Foreign { .. }));
    assert_eq!(std::fs::read(dir.path().join("hale.db")).unwrap(), before);
    std::fs::write(dir.path().join("hale.db"), "not a database, but longer than a header of one ".repeat(99))
        .unwrap();
    assert!(matches!(refused(dir.path()), Error::Open { .. }));
}

#[test]
fn a_store_that_died_opens_with_everything_it_answered() {
    let (dir, dead) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(dir.path(), small());
    let life = wish(1).accepted().leased();
    apply(&store, vec![life.insert()]);
    // What a SIGKILL leaves: the files as they are, and nobody who holds them.
    for name in ["hale.db", "hale.db-wal"] {
        std::fs::copy(dir.path().join(name), dead.path().join(name)).unwrap();
    }
    let before = std::fs::read(dead.path().join("hale.db-wal")).unwrap();
    let copy = Sqlite::open_readonly_copy(dead.path()).unwrap();
    assert_eq!(copy.run(life.run.id).unwrap().unwrap().run, life.run);
    assert!(matches!(wait(copy.apply(vec![life.insert()])), Err(Error::ReadOnly)));
    assert_eq!(std::fs::read(dead.path().join("hale.db-wal")).unwrap(), before, "reading changed the folder");
    assert_eq!(open(dead.path(), small()).run(life.run.id).unwrap().unwrap().run, life.run);
    // And of a server that is alive, or hung.
    let live = Sqlite::open_readonly_copy(dir.path()).unwrap();
    assert_eq!(live.run(life.run.id).unwrap().unwrap().run, life.run);
}

#[test]
fn the_guides_sql_runs_as_printed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), small());
    let life = wish(1).accepted().leased().stepped().failed();
    apply(&store, vec![life.insert(), wish(2).accepted().insert()]);
    drop(store);
    let conn = rusqlite::Connection::open(dir.path().join("hale.db")).unwrap();
    let id = life.run.id.to_string();
    // covers: OL-106
    let (goal, status): (String, String) = conn
        .query_row(
            &format!(
                "SELECT task_id, goal, status, created_at, updated_at FROM tasks WHERE task_id = '{id}'"
            ),
            [],
            |row| Ok((row.get(1)?, row.get(2)?)),
        )
        .unwrap();
    assert_eq!((goal.as_str(), status.as_str()), (r#"{"name":"Ada"}"#, "failed"));
    // covers: OL-107
    let sql = format!("SELECT * FROM action_log WHERE task_id = '{id}' ORDER BY timestamp DESC");
    let mut find = conn.prepare(&sql).unwrap();
    let types: Vec<String> =
        find.query_map([], |row| row.get("action_type")).unwrap().map(Result::unwrap).collect();
    assert_eq!(types, ["failed", "step_ended", "initialized", "leased", "accepted"]);
    let pending: i64 =
        conn.query_row("SELECT count(*) FROM tasks WHERE status = 'pending'", [], |row| row.get(0)).unwrap();
    assert_eq!(pending, 1);
}

#[test]
fn arms_and_goals_can_be_read_by_sql() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), small());
    let deployed = |name: &str, manifest: &str| {
        let row = PackRow {
            name: name.into(),
            version: "1.0.0".into(),
            source: "x".into(),
            digest: [7; 32],
            deployed_at: Timestamp(1_800_000_000_000),
            by: "ada".to_owned(),
            manifest_json: manifest.into(),
        };
        let current = Op::PackCurrent { name: name.into(), version: "1.0.0".into() };
        [Op::PackDeploy(Box::new(row)), current]
    };
    let planner = r#"{"name":"planner","kind":"arm","endpoint":"http://127.0.0.1:8100","domains":["planning"],"keywords":["plan"]}"#;
    let kept = r#"{"registered_at":1800000000000,"gone":false}"#.to_owned();
    let mut ops: Vec<Op> = deployed("planner", planner).into();
    ops.extend(deployed("coder", r#"{"name":"coder","kind":"agent","capabilities":["coding"]}"#));
    ops.extend(deployed("hello", r#"{"name":"hello","kind":"agent"}"#));
    ops.push(Op::Setting { key: "arm.planner".to_owned(), value: Some(kept) });
    let mut task = wish(1).accepted().insert();
    if let Op::Insert(insert) = &mut task {
        insert.input = r#"{"goal":"plan it","constraints":[]}"#.into();
    }
    ops.push(task);
    apply(&store, ops);
    drop(store);
    let conn = rusqlite::Connection::open(dir.path().join("hale.db")).unwrap();
    let mut find = conn.prepare("SELECT * FROM arms ORDER BY name").unwrap();
    type Row = (String, Option<String>, Option<String>, Option<String>);
    let rows: Vec<Row> = find
        .query_map([], |row| {
            Ok((row.get("name")?, row.get("domain")?, row.get("url")?, row.get("registered_at")?))
        })
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let text = |text: &str| Some(text.to_owned());
    let registered = text("2027-01-15T08:00:00.000Z");
    let planner = ("planner".to_owned(), text("planning"), text("http://127.0.0.1:8100"), registered);
    assert_eq!(rows, [("coder".to_owned(), None, None, None), planner]);
    let goal: String = conn.query_row("SELECT goal FROM tasks", [], |row| row.get(0)).unwrap();
    assert_eq!(goal, "plan it");
}
