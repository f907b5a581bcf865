//! The doors of hale: command line, HTTP, configuration, exit codes.
//!
//! Guarantees: nothing is decided here; every answer is what the engine said, in a shape that is a promise.
//! Leaves to others: running, storing and diagnosing (`hale-engine` and below).
//! Read next: [`cli`], what a person types; [`http`], what a program sends; [`serve`], how it is put together.

/// The hidden subcommand by which hale starts itself for a job.
pub const LAUNCHER: &str = "__job-launcher";

pub mod wire;
pub mod http;
pub mod access;
pub mod keys;
pub mod cli;
pub mod client;
pub mod config;
pub mod exit;
pub mod explain;
pub mod logs;
pub mod render;
pub mod serve;
