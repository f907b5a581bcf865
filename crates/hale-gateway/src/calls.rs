//! The calls of outside clients: what was asked, who answered, and what was tried before.
//!
//! A call is no run: nothing of it is journaled, and it ends with its client. Guarantees: at most [`CALLS_KEPT`] are
//! kept, the oldest goes first; nothing of what was said is kept.
//! Read next: [`crate::relay`], which records.

use crate::call::Tried;
use crate::provider::Usage;
use hale_core::failure::Failure;
use hale_core::id::CallId;
use hale_core::time::{Millis, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Hours of a quiet gateway, a minute of a busy one, at about half a kilobyte each.
pub const CALLS_KEPT: usize = 2000;

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Answered,
    Failed,
    /// The client left before the answer was whole.
    Left,
}

/// One call, as it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    pub id: CallId,
    pub at: Timestamp,
    /// The path at which it came in: `chat/completions`.
    pub endpoint: String,
    /// The model as the client named it.
    pub asked: String,
    /// As `provider/model`; none if nobody answered.
    pub served_by: Option<String>,
    pub tenant: Option<String>,
    pub correlation_id: String,
    pub streamed: bool,
    pub outcome: Outcome,
    pub failure: Option<Failure>,
    /// Attempts that failed, in their order.
    pub tried: Vec<Tried>,
    pub usage: Option<Usage>,
    pub first_byte: Option<Millis>,
    pub took: Millis,
}

/// The last calls, in the order in which they ended.
#[derive(Debug, Default)]
pub struct Calls {
    kept: Mutex<VecDeque<Call>>,
}

impl Calls {
    fn kept(&self) -> MutexGuard<'_, VecDeque<Call>> {
        // Every change is one insertion or removal: a panic elsewhere leaves nothing half done.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn record(&self, call: Call) {
        let mut kept = self.kept();
        if kept.len() == CALLS_KEPT {
            kept.pop_front();
        }
        kept.push_back(call);
    }

    /// The last calls, newest first, at most so many.
    pub fn last(&self, most: usize) -> Vec<Call> {
        self.kept().iter().rev().take(most).cloned().collect()
    }

    pub fn find(&self, id: CallId) -> Option<Call> {
        self.kept().iter().rev().find(|call| call.id == id).cloned()
    }
}
