//! API keys without a server: the first key must exist before a network listener may start.
//!
//! Opens the store under the folder's lock, so it works only while no server has the folder; then the server's own
//! `/api/v1/keys` is the way.
//! Read next: [`super`], which makes keys.

use super::{Order, Secret, ServerKey, make, random};
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::OperationId;
use hale_core::time::{Millis, Timestamp};
use hale_store::{AuditRow, Folder, KeyRow, Op, OpResult, Options, Phase, Sqlite, Store};
use std::path::Path;

/// Makes a key in the data folder.
///
/// # Errors
/// The folder is held or cannot be opened, the name does not fit, or the store refused.
pub async fn create(
    data: &Path,
    name: &str,
    (expires_in, tenant): (Option<Millis>, Option<&str>),
    now: Timestamp,
) -> Result<(KeyRow, Secret), Failure> {
    let store = open(data)?;
    let server = ServerKey::load(data).map_err(|error| error.failure())?;
    let known = store.keys().map_err(|error| error.failure())?;
    let order = Order { name, expires_in, tenant, known: &known };
    let (row, secret) = make(&order, &server, now).map_err(|error| error.failure())?;
    put(&store, "keys.create", &row, now).await?;
    Ok((row, secret))
}

/// Revokes a key by id or name.
///
/// # Errors
/// As [`create`], and E010 when there is no such key.
pub async fn revoke(data: &Path, wanted: &str, now: Timestamp) -> Result<KeyRow, Failure> {
    let store = open(data)?;
    let known = store.keys().map_err(|error| error.failure())?;
    let row = find(&known, wanted)?;
    if row.revoked_at.is_some() {
        return Ok(row.clone());
    }
    let row = KeyRow { revoked_at: Some(now), ..row.clone() };
    put(&store, "keys.revoke", &row, now).await?;
    Ok(row)
}

/// The keys of a folder, whether a server has it or not.
///
/// # Errors
/// No store there, or one that cannot be read.
pub fn list(data: &Path) -> Result<Vec<KeyRow>, Failure> {
    let store = Sqlite::open_readonly_copy(data).map_err(|error| error.failure())?;
    store.keys().map_err(|error| error.failure())
}

/// A key by its id, or by the name of one that is in use.
///
/// # Errors
/// E010 when there is none.
pub fn find<'k>(known: &'k [KeyRow], wanted: &str) -> Result<&'k KeyRow, Failure> {
    let by_id = known.iter().find(|row| row.id.to_string() == wanted);
    let by_name = || known.iter().find(|row| row.name == wanted && row.revoked_at.is_none());
    by_id
        .or_else(by_name)
        .ok_or_else(|| Failure::new(Code::E010, "keys.not_found", "keys", format!("find API key {wanted:?}")))
}

fn open(data: &Path) -> Result<Sqlite, Failure> {
    let folder = Folder::lock(data).map_err(|error| error.failure())?;
    Sqlite::open(folder, Options::default()).map_err(|error| error.failure())
}

/// The key with both halves of its audit line, in one commit.
async fn put(store: &Sqlite, operation: &str, row: &KeyRow, now: Timestamp) -> Result<(), Failure> {
    let chance = random().map_err(|error| error.failure())?;
    let id = OperationId::mint(now, u128::from_ne_bytes(chance));
    let audit = |phase| {
        Op::Audit(Box::new(AuditRow {
            id,
            at: now,
            actor: "local".to_owned(),
            operation: operation.to_owned(),
            target: row.id.to_string(),
            phase,
            detail: serde_json::json!({ "detail": row.name, "offline": true }).to_string(),
            undo: (operation == "keys.create").then(|| format!("hale keys revoke {}", row.id)),
            lab: false,
        }))
    };
    let batch = vec![audit(Phase::Intent), Op::KeyPut(Box::new(row.clone())), audit(Phase::Outcome)];
    let results = store.apply(batch).await.map_err(|error| error.failure())?;
    if results.iter().all(|result| *result == OpResult::Done) {
        return Ok(());
    }
    let message = format!("store API key {}: the store answered {results:?}", row.name);
    Err(Failure::new(Code::E008, "keys.not_stored", "store", message))
}
