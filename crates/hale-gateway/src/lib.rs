//! Everything that hale says to the outside: model providers, arms, the webhooks of people, and pages of the web.
//!
//! Guarantees: a call is one attempt with a deadline, it never sleeps between tries, and whatever goes wrong is a
//! typed error that becomes a [`hale_core::failure::Failure`] with its origin and its chain. Keys never reach a
//! message, a log line or a journal.
//! Leaves to others: waiting and retrying (the engine journals its waits), storing what was said, telling the time
//! of day (the caller hands in a clock).
//! Read next: [`provider`], the words; then [`call`], the way of one call.

pub mod arm;
pub mod call;
pub mod calls;
pub mod dialect;
pub mod egress;
pub mod error;
pub mod notice;
pub mod openai;
pub mod provider;
pub mod relay;
pub mod secret;
pub mod site;
pub mod spoken;
pub mod sse;
pub mod stats;
pub mod web;

pub use call::{Failed, Gateway, ProviderConfig, Route, Served, Tried};
pub use error::Error;
pub use provider::{ChatReply, ChatRequest, Chunk, Finish, Message, Provider, ToolCall, ToolSpec, Usage};
pub use stats::CallStats;
