//! The store's proofs: one suite against the model and SQLite, then what only a disk can get wrong.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails at once")]

mod backup;
mod blobs;
mod bulk;
mod conformance;
mod depot;
mod disk_full;
mod folder;
mod power_cut;
mod random;
mod sync_failure;
mod trail;
mod upkeep;
mod world;
