//! The silent centre of hale: the words as types, and the rules that decide.
//!
//! Guarantees: no IO, no `async`, no clock, no random numbers, no logging, no environment (held by this crate's
//! `clippy.toml`). Time comes in as `now`, ids as arguments; one history replays to one state.
//! Leaves to others: storing what was decided (`hale-store`), carrying it out (`hale-engine`).
//! Read next: [`run::apply`], the whole life of a run in one table.

pub mod ago;
pub mod arm;
pub mod code;
pub mod cron;
pub mod failure;
pub mod fault;
pub mod filter;
pub mod guard;
pub mod id;
pub mod kill;
pub mod killswitch;
pub mod limiter;
pub mod limits;
pub mod meter;
pub mod nearest;
pub mod operation;
pub mod pack;
pub mod port;
pub mod queue;
pub mod retry;
pub mod routing;
pub mod run;
pub mod supervise;
pub mod time;
pub mod web;
