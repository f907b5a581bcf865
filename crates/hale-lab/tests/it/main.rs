//! Facts about the lab.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails at once")]

mod chaos;
mod diagnosis;
mod diagnosis_packs;
mod history;
mod sim;
