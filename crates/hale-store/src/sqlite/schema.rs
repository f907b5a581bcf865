//! The tables, and how an older database becomes the present one.
//!
//! `runs` is narrow but for its snapshot; everything of a run that grows is in `bodies`, keyed by the run's row number
//! and a place in it, so that one run's data lies together and new data is always appended at the end of the tree.
//! Every index has its query beside it. Counters are kept by the writer, so no start scans a table.
//! Read next: `sqlite/write.rs`.

use crate::Error;
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;

/// The schema that this hale writes.
pub const VERSION: i64 = 2;

/// The schema in which the rows of the audit trail became a chain.
const CHAINED: i64 = 2;

/// "hale" in ASCII: tells our files from others (`PRAGMA application_id`).
const APPLICATION: i64 = 0x6861_6C65;

/// From version `index` to `index + 1`, each in one transaction. Never edited once released.
const MIGRATIONS: [&str; VERSION as usize] = [V1, V2];

/// The first version without the WAL-reset defect that can damage a database.
const SQLITE_NEEDED: (i32, &str) = (3_051_003, "3.51.3");

const V1: &str = "
CREATE TABLE runs(
  n INTEGER PRIMARY KEY,
  id BLOB NOT NULL,
  state INTEGER NOT NULL,
  priority INTEGER NOT NULL,
  key TEXT NOT NULL,
  pack TEXT NOT NULL,
  seq INTEGER NOT NULL,
  ended_at INTEGER,
  error_code INTEGER,
  correlation TEXT NOT NULL,
  snapshot TEXT NOT NULL
) STRICT;
-- One run; the list without a filter.
CREATE UNIQUE INDEX runs_id ON runs(id);
-- The list by pack and state; runs in flight at start.
CREATE INDEX runs_pack_state ON runs(pack, state, id);
-- The list by correlation id.
CREATE INDEX runs_correlation ON runs(correlation, id);
-- The list by error.
CREATE INDEX runs_error ON runs(error_code, id) WHERE error_code IS NOT NULL;
-- Counts of ended runs since a moment; pruning, oldest first.
CREATE INDEX runs_ended ON runs(ended_at, state) WHERE ended_at IS NOT NULL;
-- The claim: the oldest pending run of a key and class.
CREATE INDEX runs_ready ON runs(key, priority) WHERE state = 0;

-- at = n << 24 | place. Place 0 is the input, 0xFFFFFF the output, any other a piece of the journal: a JSON array of
-- records whose last one has this sequence number.
CREATE TABLE bodies(at INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;

CREATE TABLE artifacts(
  n INTEGER NOT NULL,
  name TEXT NOT NULL,
  hash BLOB NOT NULL,
  bytes INTEGER NOT NULL,
  media_type TEXT NOT NULL,
  PRIMARY KEY(n, name)
) STRICT, WITHOUT ROWID;
-- Whether a blob is still named.
CREATE INDEX artifacts_hash ON artifacts(hash);

CREATE TABLE promises(
  key TEXT PRIMARY KEY,
  run BLOB NOT NULL,
  digest BLOB NOT NULL,
  expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX promises_expires ON promises(expires);

CREATE TABLE queue_counts(
  key TEXT NOT NULL, priority INTEGER NOT NULL, count INTEGER NOT NULL, PRIMARY KEY(key, priority)
) STRICT, WITHOUT ROWID;
CREATE TABLE state_counts(
  pack TEXT NOT NULL, state INTEGER NOT NULL, count INTEGER NOT NULL, PRIMARY KEY(pack, state)
) STRICT, WITHOUT ROWID;

CREATE TABLE packs(name TEXT PRIMARY KEY, current TEXT, enabled INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE pack_versions(
  n INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  version TEXT NOT NULL,
  source TEXT NOT NULL,
  digest BLOB NOT NULL,
  deployed_at INTEGER NOT NULL,
  by TEXT NOT NULL,
  manifest TEXT NOT NULL,
  UNIQUE(name, version)
) STRICT;
CREATE TABLE settings(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE keys(
  id BLOB PRIMARY KEY,
  name TEXT NOT NULL,
  tenant TEXT NOT NULL,
  hash BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  revoked_at INTEGER,
  last_used_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE workers(
  id BLOB PRIMARY KEY,
  kind INTEGER NOT NULL,
  host TEXT NOT NULL,
  pid INTEGER NOT NULL,
  slots INTEGER NOT NULL,
  started_at INTEGER NOT NULL,
  seen_at INTEGER NOT NULL,
  draining INTEGER NOT NULL,
  ended TEXT
) STRICT, WITHOUT ROWID;
CREATE TABLE audit(
  n INTEGER PRIMARY KEY,
  id BLOB NOT NULL,
  at INTEGER NOT NULL,
  actor TEXT NOT NULL,
  operation TEXT NOT NULL,
  target TEXT NOT NULL,
  phase INTEGER NOT NULL,
  detail TEXT NOT NULL,
  undo TEXT,
  lab INTEGER NOT NULL,
  UNIQUE(id, phase)
) STRICT;

-- For people with an SQL shell, and under the names that the operators' guides use.
CREATE VIEW journal AS
  SELECT json_extract(runs.snapshot, '$.id') AS run,
         json_extract(record.value, '$.seq') AS seq,
         json_extract(record.value, '$.at') AS at,
         json_extract(record.value, '$.event.type') AS type,
         json_extract(record.value, '$.event') AS event
  FROM runs
  JOIN bodies ON bodies.at BETWEEN (runs.n << 24) + 1 AND (runs.n << 24) + 16777214
  JOIN json_each(bodies.body) AS record;
CREATE VIEW tasks AS
  SELECT json_extract(snapshot, '$.id') AS task_id,
         (SELECT body FROM bodies WHERE at = n << 24) AS goal,
         CASE state WHEN 0 THEN 'pending' WHEN 1 THEN 'initializing' WHEN 2 THEN 'running' WHEN 3 THEN 'completing'
                    WHEN 4 THEN 'completed' WHEN 5 THEN 'failed' WHEN 6 THEN 'timeout' ELSE 'cancelled' END AS status,
         pack,
         CASE priority WHEN 0 THEN 'high' WHEN 1 THEN 'normal' ELSE 'low' END AS priority,
         correlation AS correlation_id,
         strftime('%Y-%m-%dT%H:%M:%fZ', json_extract(snapshot, '$.submitted_at') / 1000.0, 'unixepoch') AS created_at,
         strftime('%Y-%m-%dT%H:%M:%fZ', json_extract(snapshot, '$.progress_at') / 1000.0, 'unixepoch') AS updated_at
  FROM runs;
CREATE VIEW action_log AS
  SELECT run AS task_id, seq, strftime('%Y-%m-%dT%H:%M:%fZ', at / 1000.0, 'unixepoch') AS timestamp,
         type AS action_type, event AS detail
  FROM journal;
";

/// Named queues, delayed runs, children, dead letters.
const V2: &str = "
ALTER TABLE runs ADD COLUMN queue TEXT NOT NULL DEFAULT 'default';
-- Set while a pending run waits for its time; the counters hold only what is due.
ALTER TABLE runs ADD COLUMN due INTEGER;
ALTER TABLE runs ADD COLUMN parent BLOB;
DROP INDEX runs_ready;
-- The claim: the oldest pending run of a queue, key and class that is due.
CREATE INDEX runs_ready ON runs(queue, key, priority) WHERE state = 0 AND due IS NULL;
-- What becomes due next.
CREATE INDEX runs_due ON runs(due) WHERE due IS NOT NULL;
-- The children of a run.
CREATE INDEX runs_parent ON runs(parent, id) WHERE parent IS NOT NULL;

ALTER TABLE queue_counts RENAME TO queue_counts_1;
CREATE TABLE queue_counts(
  queue TEXT NOT NULL, key TEXT NOT NULL, priority INTEGER NOT NULL, count INTEGER NOT NULL,
  PRIMARY KEY(queue, key, priority)
) STRICT, WITHOUT ROWID;
INSERT INTO queue_counts SELECT 'default', key, priority, count FROM queue_counts_1;
DROP TABLE queue_counts_1;

-- Runs that ended without success and by nobody's will. Waits while `resolution` is null.
CREATE TABLE dead(
  n INTEGER PRIMARY KEY,
  id BLOB NOT NULL,
  at INTEGER NOT NULL,
  cause TEXT NOT NULL,
  pack TEXT NOT NULL,
  queue TEXT NOT NULL,
  resolution TEXT,
  resolved_at INTEGER,
  resolved_by TEXT
) STRICT;
-- The letters of a cause, and their number.
CREATE INDEX dead_waiting ON dead(cause, n) WHERE resolution IS NULL;
CREATE UNIQUE INDEX dead_id ON dead(id);

-- Set when the content was forgotten, because it is past its retention; the row names it no more.
ALTER TABLE artifacts ADD COLUMN gone INTEGER;

-- Operations over many runs. States: 0 running, 1 paused, 2 done, 3 aborted.
CREATE TABLE bulk(
  id BLOB PRIMARY KEY,
  at INTEGER NOT NULL,
  kind TEXT NOT NULL,
  filter TEXT NOT NULL,
  actor TEXT NOT NULL,
  correlation TEXT NOT NULL,
  reason TEXT,
  state INTEGER NOT NULL,
  gathered INTEGER NOT NULL,
  cursor TEXT,
  excluded TEXT NOT NULL,
  undoes BLOB,
  ended_at INTEGER
) STRICT, WITHOUT ROWID;
-- What goes on after a restart.
CREATE INDEX bulk_open ON bulk(id) WHERE state < 2;
-- An operation is taken back once.
CREATE UNIQUE INDEX bulk_undoes ON bulk(undoes) WHERE undoes IS NOT NULL;
-- States: 0 waiting, 1 done, 2 left, 3 failed.
CREATE TABLE bulk_items(
  bulk BLOB NOT NULL,
  n INTEGER NOT NULL,
  run BLOB NOT NULL,
  state INTEGER NOT NULL,
  detail TEXT NOT NULL,
  PRIMARY KEY(bulk, n)
) STRICT, WITHOUT ROWID;
-- One item of an operation; the operations of a run.
CREATE UNIQUE INDEX bulk_items_run ON bulk_items(run, bulk);
-- The next items to act on; the counts.
CREATE INDEX bulk_items_state ON bulk_items(bulk, state, n);
-- What is known of the end of a worker's process.
ALTER TABLE workers ADD COLUMN exit TEXT;
-- The audit trail is a chain: each row has the hash of the one before it; n is its place.
ALTER TABLE audit ADD COLUMN prev BLOB;
ALTER TABLE audit ADD COLUMN hash BLOB;
-- The last row, apart from the rows: a trail that was cut off at its end is seen.
CREATE TABLE audit_head(
  one INTEGER PRIMARY KEY CHECK(one = 1), seq INTEGER NOT NULL, hash BLOB NOT NULL
) STRICT, WITHOUT ROWID;
-- The goal of a routed task; for other runs their whole input.
DROP VIEW tasks;
CREATE VIEW tasks AS
  SELECT json_extract(snapshot, '$.id') AS task_id,
         (SELECT coalesce(json_extract(body, '$.goal'), body) FROM bodies WHERE at = n << 24) AS goal,
         CASE state WHEN 0 THEN 'pending' WHEN 1 THEN 'initializing' WHEN 2 THEN 'running' WHEN 3 THEN 'completing'
                    WHEN 4 THEN 'completed' WHEN 5 THEN 'failed' WHEN 6 THEN 'timeout' ELSE 'cancelled' END AS status,
         pack,
         CASE priority WHEN 0 THEN 'high' WHEN 1 THEN 'normal' ELSE 'low' END AS priority,
         correlation AS correlation_id,
         strftime('%Y-%m-%dT%H:%M:%fZ', json_extract(snapshot, '$.submitted_at') / 1000.0, 'unixepoch') AS created_at,
         strftime('%Y-%m-%dT%H:%M:%fZ', json_extract(snapshot, '$.progress_at') / 1000.0, 'unixepoch') AS updated_at
  FROM runs;
-- Packs that can be routed to, with the words that count and where a service elsewhere answers.
CREATE VIEW arms AS
  SELECT packs.name AS name,
         json_extract(version.manifest, '$.kind') AS kind,
         json_extract(version.manifest, '$.domains[0]') AS domain,
         json_extract(version.manifest, '$.domains') AS domains,
         json_extract(version.manifest, '$.keywords') AS keywords,
         json_extract(version.manifest, '$.capabilities') AS capabilities,
         json_extract(version.manifest, '$.endpoint') AS url,
         packs.enabled AS enabled,
         version.version AS version,
         strftime('%Y-%m-%dT%H:%M:%fZ', version.deployed_at / 1000.0, 'unixepoch') AS deployed_at,
         strftime('%Y-%m-%dT%H:%M:%fZ', json_extract(kept.value, '$.registered_at') / 1000.0, 'unixepoch') AS registered_at
  FROM packs
  JOIN pack_versions AS version ON version.name = packs.name AND version.version = packs.current
  LEFT JOIN settings AS kept ON kept.key = 'arm.' || packs.name AND json_extract(kept.value, '$.gone') = 0
  WHERE json_extract(version.manifest, '$.kind') = 'arm'
     OR json_extract(version.manifest, '$.capabilities') IS NOT NULL
     OR json_extract(version.manifest, '$.domains') IS NOT NULL
     OR json_extract(version.manifest, '$.keywords') IS NOT NULL;
";

/// Refuses to run on an SQLite that can damage a database.
pub(crate) fn check_sqlite() -> Result<(), Error> {
    let (needed, name) = SQLITE_NEEDED;
    if rusqlite::version_number() >= needed {
        return Ok(());
    }
    Err(Error::SqliteTooOld { found: rusqlite::version(), needed: name })
}

/// The schema version of a file that hale wrote; 0 for an empty one.
pub(crate) fn check_known(conn: &Connection, path: &Path) -> Result<i64, Error> {
    let open = |source| Error::Open { path: path.to_owned(), source: Arc::new(source) };
    let number = |pragma: &str| conn.query_row(pragma, [], |row| row.get::<_, i64>(0)).map_err(open);
    let (application, found) = (number("PRAGMA application_id")?, number("PRAGMA user_version")?);
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    if application != APPLICATION && (application != 0 || found != 0 || tables != 0) {
        return Err(Error::Foreign { path: path.to_owned() });
    }
    if found > VERSION {
        return Err(Error::Newer { path: path.to_owned(), found, known: VERSION });
    }
    Ok(found)
}

/// Brings the file to the present schema.
pub(super) fn migrate(conn: &mut Connection, path: &Path) -> Result<(), Error> {
    let open = |source| Error::Open { path: path.to_owned(), source: Arc::new(source) };
    let found = check_known(conn, path)?;
    for (done, migration) in MIGRATIONS.iter().enumerate().skip(usize::try_from(found).unwrap_or(0)) {
        let step = conn.transaction().map_err(open)?;
        step.execute_batch(migration).map_err(open)?;
        if done as i64 + 1 == CHAINED {
            super::trail::seal(&step).map_err(open)?;
        }
        step.pragma_update(None, "application_id", APPLICATION).map_err(open)?;
        step.pragma_update(None, "user_version", done as i64 + 1).map_err(open)?;
        step.commit().map_err(open)?;
    }
    Ok(())
}
