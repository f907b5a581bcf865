//! The writer's manners: groups, faults, isolation of a bad batch, room given back.

use crate::world::*;
use hale_core::fault::{Deed, Point};
use hale_core::run::{DEFAULT_QUEUE, Priority};
use hale_core::time::Timestamp;
use hale_store::{Error, Line, Op, OpResult, Options, Store};

#[test]
fn waiting_batches_share_commits() {
    let dir = tempfile::tempdir().unwrap();
    let options: Options = small();
    let store = open(dir.path(), options.clone());
    let answers: Vec<_> = (0..400).map(|n| store.apply(vec![wish(n).accepted().insert()])).collect();
    for answer in answers {
        assert_eq!(wait(answer).unwrap(), [OpResult::Done]);
    }
    let (commits, ops) = (options.meters.store_commits.get(), options.meters.store_ops.get());
    assert!(ops == 400 && commits < 200, "{ops} ops in {commits} commits");
}

#[test]
fn a_dropped_answer_does_not_withdraw_its_batch() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), small());
    let life = wish(1).accepted();
    drop(store.apply(vec![life.insert()]));
    drop(store);
    assert_eq!(open(dir.path(), small()).run(life.run.id).unwrap().unwrap().run, life.run);
}

#[test]
fn faults_before_and_after_the_commit_do_what_they_say() {
    let dir = tempfile::tempdir().unwrap();
    let options: Options = small();
    let store = open(dir.path(), options.clone());
    let lives: Vec<Life> = (1..4).map(|n| wish(n).accepted()).collect();
    let stored = |life: &Life| store.run(life.run.id).unwrap().is_some();
    options.faults.arm(Point::BeforeCommit, Deed::Fail);
    assert!(matches!(wait(store.apply(vec![lives[0].insert()])), Err(Error::Injected { .. })));
    assert!(options.faults.hits(Point::BeforeCommit) == 1 && !stored(&lives[0]));
    // The planted bug: an answer without a commit.
    options.faults.arm(Point::BeforeCommit, Deed::Skip);
    assert_eq!(one(&store, lives[1].insert()), OpResult::Done);
    assert!(options.faults.hits(Point::BeforeCommit) == 1 && !stored(&lives[1]));
    options.faults.arm(Point::BeforeCommit, Deed::Nothing);
    options.faults.arm(Point::AfterCommit, Deed::Fail);
    assert!(matches!(wait(store.apply(vec![lives[2].insert()])), Err(Error::Injected { .. })));
    assert!(options.faults.hits(Point::AfterCommit) == 1 && stored(&lives[2]));
}

#[test]
fn a_batch_that_fails_does_not_take_others_with_it() {
    let dir = tempfile::tempdir().unwrap();
    drop({
        let store = open(dir.path(), small());
        apply(&store, vec![wish(1).accepted().insert()]);
        store
    });
    let conn = rusqlite::Connection::open(dir.path().join("hale.db")).unwrap();
    conn.execute("UPDATE runs SET snapshot = '{'", []).unwrap();
    drop(conn);
    let store = open(dir.path(), small());
    let claim = Op::Claim { from: hello(), n: 1, worker: WORKER, at: START };
    let (before, after) = (wish(2).accepted(), wish(3).accepted());
    let answers = [vec![before.insert()], vec![claim], vec![after.insert()]].map(|batch| store.apply(batch));
    let [first, second, third] = answers.map(wait);
    assert_eq!((first.unwrap(), third.unwrap()), (vec![OpResult::Done], vec![OpResult::Done]));
    let error = second.unwrap_err();
    assert!(matches!(error, Error::Decode { .. }), "{error}");
    assert_eq!(error.failure().cause, "store.damaged");
}

#[test]
fn pruning_gives_room_back_to_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), small());
    for n in 0..20 {
        let lives =
            (n * 100..n * 100 + 100).map(|n| wish(n).accepted().leased().stepped().completed().insert());
        apply(&store, lives.collect());
    }
    let bytes = |store: &hale_store::Sqlite| {
        let space = store.space().unwrap();
        space.db_bytes + space.wal_bytes
    };
    let before = bytes(&store);
    let could = store.freeable(Timestamp(i64::MAX)).unwrap();
    let pruned = store.prune(Timestamp(i64::MAX), u64::MAX).unwrap();
    assert_eq!((could.runs, pruned.runs), (2000, 2000));
    let off = could.bytes.abs_diff(pruned.bytes);
    assert!(off < pruned.bytes / 10, "estimated {}, freed {}", could.bytes, pruned.bytes);
    assert!(bytes(&store) < before / 10, "{before} bytes became {}", bytes(&store));
}

#[test]
fn an_idle_store_checkpoints_and_a_clean_end_leaves_no_wal() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), small());
    let db = store.space().unwrap().db_bytes;
    apply(&store, (0..200).map(|n| wish(n).accepted().insert()).collect());
    let begun = std::time::Instant::now();
    while store.space().unwrap().db_bytes == db {
        assert!(begun.elapsed().as_secs() < 10, "no checkpoint came");
        std::thread::yield_now();
    }
    drop(store);
    assert!(!dir.path().join("hale.db-wal").exists());
}

/// The line of the runs of these tests.
fn hello() -> Line {
    Line { queue: DEFAULT_QUEUE.into(), key: "hello".into(), priority: Priority::Normal }
}
