//! The Ollama dialect, `/api/chat` and `/api/generate`, from both sides.
//!
//! Older clients and servers know no ids of tool calls. Ids are made from positions then, and results find their call
//! by the name of the tool.
//! Read next: [`asked`], what clients send; [`asking`], what providers get; [`reading`] and [`writing`], the answers.

pub(super) mod asked;
pub(super) mod asking;
pub(super) mod reading;
pub(super) mod writing;
