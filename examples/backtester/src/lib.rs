//! A back-tester over OHLCV files: what a trading rule would have earned, and how it would have felt.
//!
//! Guarantees: a rule sees a bar only after it has closed, and what it wants is filled at the next bar's open; the same
//! file and parameters give the same result, byte for byte; a file that is not in order is refused with its line.
//! Leaves to others: being started, limited and watched. It is an example of a program that hale runs as a job, uses
//! none of hale's crates, and tells its platform all it needs by exit code, stages on stderr and files in one folder.
//! Read next: [`job`], which is the whole walk; then [`simulate`].

pub mod analysis;
pub mod bars;
pub mod chart;
pub mod cli;
pub mod failure;
pub mod job;
pub mod layout;
pub mod misbehave;
pub mod params;
pub mod progress;
pub mod result;
pub mod sample;
pub mod simulate;
pub mod strategy;
