//! The simulated world: what hale is tried against, in the demo, in `hale chaos` and in the tests.
//!
//! Guarantees: speaks over real sockets, is deterministic by seed, and counts every fault that took effect.
//! Leaves to others: the engine works without it; nothing here is needed by a run unless the configuration names the
//! simulated provider.
//! Read next: [`sim`], the model server; [`arm`], a service that takes tasks; [`chaos`], the faults by name; [`history`], the judge of what happened.

pub mod arm;
pub mod chaos;
pub mod history;
pub mod sim;
