//! The one test binary of this program.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails at once")]

mod bars;
mod binary;
mod chart;
mod faults;
mod hand;
mod no_look_ahead;
mod reference;
mod sample;
mod world;
