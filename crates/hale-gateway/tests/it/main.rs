//! Facts about the gateway, each against a server that sends exactly the bytes of its script.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails at once")]

mod addresses;
mod arms;
mod calls;
mod errors;
mod keys;
mod script;
mod spellings;
mod splitting;
mod stats;
mod web;
mod wire;
