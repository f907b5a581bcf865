//! The only room that knows everyone: it receives, asks the centre to decide, stores, and then acts.
//!
//! Guarantees: what was decided is durable before anybody is told or anything is done; a run changes only through
//! `hale_core::run::apply`; every task is named and tracked.
//! Leaves to others: HTTP, the command line and the terminal (`hale`), the simulated world (`hale-lab`).
//! Read next: [`input`], everything that can happen; then [`engine`], the loop on one screen.

mod act;
pub mod arms;
mod claims;
pub mod clock;
mod decide;
mod desk;
pub mod engine;
pub mod evidence;
pub mod facade;
mod family;
pub mod health;
pub mod input;
pub mod live;
pub mod recorder;
pub mod registry;
pub mod remedy;
mod resync;
pub mod settings;
pub mod tasks;
mod timers;
pub mod worker;

pub use clock::Clock;
pub use facade::{Engine, Parts};
pub use input::{Bulk, Caller, DryRun, Receipt, Resolve, Submit};
pub use settings::Config;
