//! The bounds of the HTTP door, each with its reason.
//!
//! [`Limits`] are those of a connection; tests make them tiny, the server takes the default.
//! Read next: [`super::listen`], which holds connections to them.

use std::time::Duration;

/// A JSON body; the same bound as a run's input, which is by far the largest thing in it.
pub const BODY_BYTES: usize = 1 << 20;
/// A body with a pack in it: one pack file of 1 MiB whose JSON escapes may double it.
pub const PACK_BODY_BYTES: usize = 2 << 20;
/// A call to a model: images and documents come as text within it. The largest that a provider takes today.
pub const MODEL_BODY_BYTES: usize = 32 << 20;
/// The longest call to a model, and what a client that says nothing waits: the default of the providers' own libraries.
pub const MODEL_CALL_MAX: Duration = Duration::from_secs(600);
/// A worker's batch: some hundred step results of up to 64 KiB each.
pub const WORKER_BODY_BYTES: usize = 16 << 20;
/// One result of a job that a worker process sends: it lies in memory at both ends; larger ones need the embedded worker.
pub const WORKER_BLOB_BYTES: usize = 64 << 20;
/// The longest wait that one request may ask for, below the idle limits of common proxies' defaults.
pub const WAIT_MAX: Duration = Duration::from_secs(60);
/// Letters of an idempotency key; keys are stored for a day, so they must stay small.
pub const IDEMPOTENCY_KEY_LETTERS: usize = 255;
/// A comment on a quiet event stream, so that proxies and clients can tell quiet from dead.
pub const EVENTS_KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Events between the journal and one reader; a reader further behind waits for the journal, not in memory.
pub const EVENTS_BUFFERED: usize = 64;
/// Records read from the store at a time while a stream catches up.
pub const EVENTS_PAGE: u32 = 256;
/// A key's last use is written at most this often: it is for people, not for counting.
pub const KEY_TOUCH_EVERY: Duration = Duration::from_secs(60);

/// How one listener treats its connections.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Open connections; half of what a raised descriptor limit of 8,192 leaves after store and tools.
    pub connections: usize,
    /// Connections beyond the cap that are told so at one time; more are closed without a word.
    pub refusals: usize,
    /// From the first byte of a request (or from the connect) to the end of its head.
    pub head: Duration,
    /// Bytes of a request head: four times what browsers send with full cookies.
    pub head_bytes: usize,
    /// Header fields of a request.
    pub head_fields: usize,
    /// A kept-alive connection without a request; also the outer net under `head`.
    pub idle: Duration,
    /// The longest silence within a request body.
    pub body_gap: Duration,
    /// From here on the average rate of a body counts.
    pub body_grace: Duration,
    /// Bytes a second that a body must bring on average.
    pub body_rate: u64,
    /// The longest time in which a reader takes no byte of what we answer.
    pub write_gap: Duration,
    /// Requests under way get this long at shutdown.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            refusals: 64,
            head: Duration::from_secs(10),
            head_bytes: 32 << 10,
            head_fields: 100,
            idle: Duration::from_secs(60),
            body_gap: Duration::from_secs(10),
            body_grace: Duration::from_secs(10),
            body_rate: 1024,
            write_gap: Duration::from_secs(30),
            drain: hale_core::limits::DRAIN.duration(),
        }
    }
}
