//! Tasks by name: spawned here, tracked, joined at shutdown.
//!
//! The one place that may call `tokio::spawn`, so that no task is without a name and none outlives the engine unseen.

use std::future::Future;
use std::sync::LazyLock;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

static TRACKER: LazyLock<TaskTracker> = LazyLock::new(TaskTracker::new);

/// Spawns `future` under `name` on the present runtime.
#[expect(clippy::disallowed_methods, reason = "the one place where tasks begin")]
pub fn spawn<F>(name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let span = tracing::trace_span!("task", task = name);
    tokio::spawn(TRACKER.track_future(future.instrument(span)))
}

/// Tasks that have not ended.
pub fn alive() -> usize {
    TRACKER.len()
}

/// Waits until all tasks have ended, at most `at_most`; says whether they did.
pub async fn join(at_most: Duration) -> bool {
    TRACKER.close();
    let ended = tokio::time::timeout(at_most, TRACKER.wait()).await.is_ok();
    TRACKER.reopen();
    ended
}
