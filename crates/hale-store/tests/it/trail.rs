//! What is done to the audit trail behind the store's back is found, and the first row is named.

use crate::world::{apply, open, small};
use hale_core::id::OperationId;
use hale_core::time::Timestamp;
use hale_store::audit::check;
use hale_store::{AuditRow, Op, Phase, Sqlite};
use std::path::Path;

fn row(id: u128) -> AuditRow {
    AuditRow {
        id: OperationId(id),
        at: Timestamp(id as i64),
        actor: "ada".to_owned(),
        operation: "packs.deploy".to_owned(),
        target: format!("pack-{id}"),
        phase: Phase::Outcome,
        detail: "{}".to_owned(),
        undo: None,
        lab: false,
    }
}

fn change(dir: &Path, sql: &str) {
    let conn = rusqlite::Connection::open(dir.join("hale.db")).unwrap();
    conn.execute_batch(sql).unwrap();
}

/// A trail of nine rows, changed by `sql` while nobody has it; what a walk finds, with the store up and with it down.
fn after(sql: &str) -> Option<(u64, String)> {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), small());
    apply(&store, (1..=9).map(|id| Op::Audit(Box::new(row(id)))).collect());
    drop(store);
    change(dir.path(), sql);
    let found = check(&Sqlite::open_readonly_copy(dir.path()).unwrap()).unwrap().broken;
    let store = open(dir.path(), small());
    assert_eq!(check(&store).unwrap().broken, found);
    let told = store.verify().unwrap().problems;
    let found = found.map(|broken| (broken.seq, broken.why));
    assert_eq!(
        told,
        found.iter().map(|(seq, why)| format!("audit trail, row {seq}: {why}")).collect::<Vec<_>>()
    );
    found
}

/// The columns of a row that are no place in the chain.
const FIELDS: &str = "id, at, actor, operation, target, phase, detail, undo, lab";

// covers: AO-117
#[test]
fn a_row_that_was_changed_removed_moved_or_added_is_named() {
    let swap = format!(
        "CREATE TABLE kept AS SELECT n, {FIELDS} FROM audit WHERE n IN (4, 6);
         UPDATE audit SET id = randomblob(16) WHERE n IN (4, 6);
         UPDATE audit SET ({FIELDS}) = (SELECT {FIELDS} FROM kept WHERE kept.n = 10 - audit.n) WHERE n IN (4, 6);
         DROP TABLE kept"
    );
    let changed = |seq: u64| Some((seq, "it was changed".to_owned()));
    let missing = |seq: u64| Some((seq, "it is missing".to_owned()));
    assert_eq!(after("SELECT 1"), None);
    for column in
        ["actor = 'eve'", "at = at + 1", "target = ''", "detail = '{ }'", "undo = ''", "lab = 1", "phase = 0"]
    {
        assert_eq!(after(&format!("UPDATE audit SET {column} WHERE n = 5")), changed(5), "{column}");
    }
    assert_eq!(after("DELETE FROM audit WHERE n = 5"), missing(5));
    assert_eq!(after("DELETE FROM audit WHERE n = 9"), missing(9));
    assert_eq!(after("DELETE FROM audit WHERE n >= 7"), missing(7));
    assert_eq!(after(&swap), changed(4));
    assert_eq!(after("UPDATE audit SET hash = zeroblob(32) WHERE n = 3"), changed(3));
    assert_eq!(after("UPDATE audit SET prev = NULL WHERE n = 3").unwrap().0, 3);
    assert_eq!(after("UPDATE audit_head SET seq = 8").unwrap().0, 9);
    assert_eq!(after("DELETE FROM audit_head").unwrap().0, 9);
    let (first, why) = after("DELETE FROM audit WHERE n <= 3").unwrap();
    assert_eq!(first, 3);
    assert!(why.contains("no cut vouches"), "{why}");
    // Who makes the row's own hash anew is found by the row behind it.
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), small());
    apply(&store, (1..=9).map(|id| Op::Audit(Box::new(row(id)))).collect());
    let rows = hale_store::Store::audit_oldest(&store, 0, 9).unwrap();
    drop(store);
    let forged = AuditRow { actor: "eve".to_owned(), ..row(5) };
    let hash = hale_store::audit::hex(&hale_store::audit::hash(5, &rows[4].prev, &forged));
    change(dir.path(), &format!("UPDATE audit SET actor = 'eve', hash = x'{hash}' WHERE n = 5"));
    let broken = check(&open(dir.path(), small())).unwrap().broken.unwrap();
    assert_eq!(
        (broken.seq, broken.why.as_str()),
        (6, "it does not follow row 5: one of the two was changed")
    );
}

#[test]
fn the_rows_of_a_version_1_database_get_their_chain() {
    let dir = tempfile::tempdir().unwrap();
    change(dir.path(), include_str!("samples/v1.sql"));
    change(
        dir.path(),
        "INSERT INTO audit(n, id, at, actor, operation, target, phase, detail, undo, lab)
         VALUES(101, randomblob(16), 1, 'ada', 'a.b', 't', 0, '{}', NULL, 0),
               (105, randomblob(16), 2, 'ada', 'a.b', 't', 1, '{}', 'x', 1)",
    );
    let store = open(dir.path(), small());
    let walked = check(&store).unwrap();
    assert_eq!(walked.broken, None);
    assert!(walked.rows >= 2 && walked.last.map(|last| last.seq) == Some(walked.rows));
    apply(&store, vec![Op::Audit(Box::new(row(7)))]);
    assert_eq!(check(&store).unwrap().rows, walked.rows + 1);
}
