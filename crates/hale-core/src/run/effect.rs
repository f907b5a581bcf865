//! What a transition orders: stored with it, carried out afterwards, harmless when carried out twice.
//!
//! Read next: [`super::apply`].

use super::{Priority, StateName};
use crate::id::{RunId, WorkerId};
use crate::time::Timestamp;
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The run waits in the queue.
    Enqueue { queue: Arc<str>, key: Arc<str>, priority: Priority },
    /// The worker must drop the run at once.
    StopWork { worker: WorkerId, epoch: u64 },
    /// Look at the run again at this moment.
    WakeAt(Timestamp),
    /// The run has ended: tell who waits.
    Ended(StateName),
    /// The run that this one was a step of hears of the end.
    TellParent { parent: RunId, index: u32 },
    /// Nobody waits for this child run any more.
    CancelChild(RunId),
    /// A line for the log.
    Log(Line),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Info,
    Warn,
    Error,
}

/// A log line in the operators' form; `event` is its stable code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub level: Level,
    pub event: &'static str,
    pub text: String,
}

impl Effect {
    pub fn info(event: &'static str, text: String) -> Self {
        Effect::Log(Line { level: Level::Info, event, text })
    }
    pub fn warn(event: &'static str, text: String) -> Self {
        Effect::Log(Line { level: Level::Warn, event, text })
    }
    pub fn error(event: &'static str, text: String) -> Self {
        Effect::Log(Line { level: Level::Error, event, text })
    }
}
