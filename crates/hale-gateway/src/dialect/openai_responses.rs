//! The OpenAI responses dialect, `/v1/responses`: what clients send and what they get.
//!
//! Nothing is kept for a client between two requests: whatever would need that is refused with the way round it.
//! Read next: [`asked`], what clients send; [`writing`], what they get; [`reading`], the way back of it.

pub(super) mod asked;
pub(super) mod reading;
pub(super) mod writing;
mod items;
