//! Facts about the gateway: what goes over the wire against a server that sends exactly the bytes of its script, and the
//! dialects as functions over bytes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails at once")]

mod addresses;
mod arms;
mod calls;
mod dialect_answers;
mod dialect_asks;
mod dialect_refusals;
mod dialect_streams;
mod dialect_trips;
mod errors;
mod keys;
mod relay;
mod relay_dialects;
mod script;
mod spellings;
mod splitting;
mod stats;
mod web;
mod wire;
