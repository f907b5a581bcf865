//! The only room that knows everyone: it receives, asks the centre to decide, stores, and then acts.
//!
//! Guarantees: what was decided is durable before anybody is told or anything is done; a run changes only through
//! `hale_core::run::apply`; every task is named and tracked.
//! Leaves to others: HTTP, the command line and the terminal (`hale`), the simulated world (`hale-lab`).
//! Read next: [`input`], everything that can happen; then [`engine`], the loop on one screen.

mod act;
mod adopt;
pub mod bulk;
pub mod arms;
mod claims;
mod crew;
pub mod clock;
pub mod consent;
mod decide;
mod desk;
pub mod engine;
pub mod evidence;
pub mod facade;
mod family;
mod gates;
pub mod health;
pub mod input;
pub mod killswitch;
mod lines;
pub mod live;
pub mod quarantine;
pub mod recorder;
pub mod registry;
pub mod remedy;
mod resync;
pub mod schedules;
pub mod settings;
pub mod stores;
pub mod stow;
pub mod supervisor;
pub mod tasks;
mod timers;
mod tokens;
pub mod worker;

pub use clock::Clock;
pub use consent::{Decision, Word};
pub use desk::WorkerLook;
pub use facade::{Engine, Parts};
pub use input::{Bulk, Caller, DryRun, Receipt, Resolve, Submit};
pub use settings::Config;
