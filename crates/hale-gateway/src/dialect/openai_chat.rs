//! The OpenAI chat dialect, `/v1/chat/completions`, from both sides.
//!
//! Leaves to others: the provider that hale's own agents call ([`crate::openai`]), which speaks a small part of it.
//! Read next: [`asked`], what clients send; [`asking`], what providers get; [`reading`] and [`writing`], the answers.

pub(super) mod asked;
pub(super) mod asking;
pub(super) mod reading;
pub(super) mod writing;
