//! The end of a call: recorded once, whoever ended it.
//!
//! Read next: [`crate::calls`].

use crate::call::{Clock, Tried};
use crate::calls::{Call, Calls, Outcome};
use hale_core::failure::Failure;
use hale_core::time::Millis;
use std::sync::Arc;
use tokio::time::Instant;

/// Records its call when it is told the end, or when it is dropped: then the client left.
pub(crate) struct Settle {
    pub call: Option<Call>,
    pub begun: Instant,
    calls: Arc<Calls>,
}

impl Settle {
    pub(crate) fn new(call: Call, begun: Instant, calls: Arc<Calls>) -> Self {
        Self { call: Some(call), begun, calls }
    }

    pub(crate) fn tried(&mut self, tried: &[Tried]) {
        if let Some(call) = &mut self.call {
            call.tried = tried.to_vec();
        }
    }

    /// The call goes on with this model's answer; nothing is recorded here any more.
    pub(crate) fn served_by(&mut self, model: &str) -> Self {
        let mut call = self.call.take();
        if let Some(call) = &mut call {
            call.served_by = Some(model.to_owned());
        }
        Self { call, begun: self.begun, calls: Arc::clone(&self.calls) }
    }

    /// When the answer's first byte was let out.
    pub(crate) fn first_byte(&mut self) {
        let took = Millis::from(self.begun.elapsed());
        if let Some(call) = &mut self.call {
            call.first_byte.get_or_insert(took);
        }
    }

    pub(crate) fn answered(&mut self) {
        self.end(Outcome::Answered, None);
    }

    pub(crate) fn failed(&mut self, failure: Failure) {
        self.end(Outcome::Failed, Some(failure));
    }

    fn end(&mut self, outcome: Outcome, failure: Option<Failure>) {
        let Some(call) = self.call.take() else { return };
        self.calls.record(Call { outcome, failure, took: Millis::from(self.begun.elapsed()), ..call });
    }
}

impl Drop for Settle {
    fn drop(&mut self) {
        self.end(Outcome::Left, None);
    }
}

/// What a new call is recorded with.
pub(crate) fn id(clock: &Clock) -> hale_core::id::CallId {
    let mut chance = [0u8; 16];
    // Without random bytes two calls of one millisecond share an id, which harms nobody.
    let _ = getrandom::fill(&mut chance);
    hale_core::id::CallId::mint(clock(), u128::from_ne_bytes(chance))
}
