//! What people see.
//!
//! Guarantees: answers go to stdout and everything else to stderr; colour never carries meaning alone; ids are never
//! wrapped, cut or followed by a full stop; what a renderer makes is a text, so that a test can look at it.
//! Leaves to others: fetching what is shown.
//! Read next: [`screen`], then [`run`].

pub mod approval;
pub mod bulk;
pub mod compare;
pub mod backtest;
pub mod arm;
pub mod artifact;
pub mod diagnosis;
pub mod dlq;
pub mod error;
pub mod killswitch;
pub mod live;
pub mod pack;
pub mod paint;
pub mod queues;
pub mod run;
pub mod schedules;
pub mod screen;
pub mod states;
pub mod stats;
pub mod status;
pub mod step;
pub mod table;
pub mod when;
pub mod workers;

pub use paint::{Look, Tone};
pub use screen::{Format, Screen};
pub use table::Table;
