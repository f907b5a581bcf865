//! What the simulated server is told to do wrong, and what it remembers of its calls.
//!
//! Guarantees: a fault counts a hit only when it took effect on the wire, so a test can fail if it never did; a spent
//! fault stays listed with its hits; both lists are bounded.
//! Leaves to others: carrying the faults out ([`super::stream`], [`super::http`]).
//! Read next: [`super::http`], which offers the same to other processes.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// More faults at once than any test sets; a leak of faults shows as a refusal.
const FAULTS_MAX: usize = 256;
/// Calls remembered; a long test that needs more counts them itself.
const CALLS_KEPT: usize = 10_000;

/// One way to misbehave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// 429, with `Retry-After` in seconds or without.
    RateLimit {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<u64>,
    },
    /// 401.
    KeyRefused,
    /// 500.
    ServerError,
    /// A right answer, late: this long before the first token and before each further chunk.
    Slow { first_token_ms: u64, per_chunk_ms: u64 },
    /// One chunk, then nothing more, with the connection open.
    Stall,
    /// 200 with an HTML page.
    Garbage,
    /// The connection closes in the middle of the answer.
    CutStream,
    /// Asks for the same tool call with the same arguments, for ever. Takes effect only where tools are offered.
    LoopTools,
    /// A right answer in single bytes.
    Drip,
    /// Announces more bytes than it sends.
    WrongContentLength,
}

impl Fault {
    /// The word for it in lists and in the log of calls.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::RateLimit { .. } => "rate_limit",
            Self::KeyRefused => "key_refused",
            Self::ServerError => "server_error",
            Self::Slow { .. } => "slow",
            Self::Stall => "stall",
            Self::Garbage => "garbage",
            Self::CutStream => "cut_stream",
            Self::LoopTools => "loop_tools",
            Self::Drip => "drip",
            Self::WrongContentLength => "wrong_content_length",
        }
    }
}

/// A fault and where and how long it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultSpec {
    pub fault: Fault,
    /// Only for this model (`small`); None for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// For this many calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// For this long from now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<u64>,
}

impl From<Fault> for FaultSpec {
    fn from(fault: Fault) -> Self {
        Self { fault, model: None, count: None, for_ms: None }
    }
}

impl FaultSpec {
    pub fn on(mut self, model: &str) -> Self {
        self.model = Some(model.to_owned());
        self
    }

    pub fn times(mut self, count: u32) -> Self {
        self.count = Some(count);
        self
    }

    pub fn lasting(mut self, span: Duration) -> Self {
        self.for_ms = Some(u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
        self
    }
}

/// A fault as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultView {
    pub id: u64,
    pub fault: Fault,
    pub model: Option<String>,
    pub count_left: Option<u32>,
    pub ms_left: Option<u64>,
    /// How often it took effect on the wire.
    pub hits: u64,
    /// False when its count or its time is spent.
    pub active: bool,
}

/// One call that reached the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallLog {
    /// Milliseconds since the server started.
    pub at_ms: u64,
    pub model: String,
    pub idempotency_key: Option<String>,
    pub correlation_id: Option<String>,
    pub traceparent: Option<String>,
    /// How many messages it carried.
    pub messages: usize,
    /// `answered`, the kind of the fault, or `refused` with the status.
    pub outcome: String,
}

#[derive(Debug, thiserror::Error)]
#[error("set a fault: {FAULTS_MAX} are active already; clear some")]
pub struct Full;

/// The switchboard of one server; clones share it.
#[derive(Clone, Debug)]
pub struct Control {
    inner: Arc<Mutex<Inner>>,
    started: Instant,
}

#[derive(Debug, Default)]
struct Inner {
    faults: Vec<Set>,
    last_id: u64,
    calls: VecDeque<CallLog>,
    calls_total: u64,
}

#[derive(Debug)]
struct Set {
    id: u64,
    spec: FaultSpec,
    until: Option<Instant>,
    hits: u64,
}

impl Set {
    fn active(&self, now: Instant) -> bool {
        self.spec.count != Some(0) && self.until.is_none_or(|until| now < until)
    }

    fn view(&self, now: Instant) -> FaultView {
        let left = |until: Instant| {
            u64::try_from(until.saturating_duration_since(now).as_millis()).unwrap_or(u64::MAX)
        };
        FaultView {
            id: self.id,
            fault: self.spec.fault.clone(),
            model: self.spec.model.clone(),
            count_left: self.spec.count,
            ms_left: self.until.map(left),
            hits: self.hits,
            active: self.active(now),
        }
    }
}

/// A fault that was chosen for a call.
#[derive(Clone, Debug)]
pub(super) struct Chosen {
    pub id: u64,
    pub fault: Fault,
}

impl Default for Control {
    fn default() -> Self {
        Self { inner: Arc::default(), started: Instant::now() }
    }
}

impl Control {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets a fault; among several that fit a call, the oldest active one takes effect.
    ///
    /// # Errors
    /// [`Full`].
    pub fn set(&self, spec: impl Into<FaultSpec>) -> Result<u64, Full> {
        let (spec, now) = (spec.into(), Instant::now());
        // A time too far ahead for the clock is as good as none.
        let until = spec.for_ms.and_then(|ms| now.checked_add(Duration::from_millis(ms)));
        let mut inner = self.inner();
        if inner.faults.len() == FAULTS_MAX {
            let spent = inner.faults.iter().position(|set| !set.active(now)).ok_or(Full)?;
            inner.faults.remove(spent);
        }
        inner.last_id += 1;
        let id = inner.last_id;
        inner.faults.push(Set { id, spec, until, hits: 0 });
        Ok(id)
    }

    /// Takes a fault away; false if there is none of this id.
    pub fn clear(&self, id: u64) -> bool {
        let mut inner = self.inner();
        let before = inner.faults.len();
        inner.faults.retain(|set| set.id != id);
        inner.faults.len() < before
    }

    pub fn clear_all(&self) {
        self.inner().faults.clear();
    }

    /// All faults that were not cleared, spent ones too.
    pub fn faults(&self) -> Vec<FaultView> {
        let now = Instant::now();
        self.inner().faults.iter().map(|set| set.view(now)).collect()
    }

    /// How often a fault took effect; 0 also when it was cleared.
    pub fn hits(&self, id: u64) -> u64 {
        self.inner().faults.iter().find(|set| set.id == id).map_or(0, |set| set.hits)
    }

    /// The last calls, oldest first.
    pub fn calls(&self) -> Vec<CallLog> {
        self.inner().calls.iter().cloned().collect()
    }

    /// How many chat calls came since the start, also those that are no longer remembered.
    pub fn calls_total(&self) -> u64 {
        self.inner().calls_total
    }

    /// Chooses the fault for a call and uses up one of its count.
    pub(super) fn choose(&self, model: &str, tools_offered: usize) -> Option<Chosen> {
        let now = Instant::now();
        let mut inner = self.inner();
        let fits = |set: &&mut Set| {
            let here = set.spec.model.as_deref().is_none_or(|only| only == model);
            set.active(now) && here && (set.spec.fault != Fault::LoopTools || tools_offered > 0)
        };
        let set = inner.faults.iter_mut().find(fits)?;
        set.spec.count = set.spec.count.map(|left| left - 1);
        Some(Chosen { id: set.id, fault: set.spec.fault.clone() })
    }

    pub(super) fn hit(&self, id: u64) {
        if let Some(set) = self.inner().faults.iter_mut().find(|set| set.id == id) {
            set.hits += 1;
        }
    }

    pub(super) fn at_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn log(&self, call: CallLog) {
        let mut inner = self.inner();
        inner.calls_total += 1;
        if inner.calls.len() == CALLS_KEPT {
            inner.calls.pop_front();
        }
        inner.calls.push_back(call);
    }
}
