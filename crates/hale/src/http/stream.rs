//! A connection's bytes under deadlines: a head that does not end and a reader that does not read are cut.
//!
//! hyper times the whole wait for a head, idle time included; this wrapper tells the two apart, and it is the only
//! place that sees a peer that stops reading. A cut is counted here and shows as `TimedOut`.
//! Read next: [`super::listen`].

use super::limits::Limits;
use hale_core::meter::Meters;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// Whether a request is under way: a count of beginnings and ends, odd while busy. Shared by the stream and the
/// service of one connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Phase(Arc<AtomicU64>);

impl Phase {
    pub(super) fn turn(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn is_busy(&self) -> bool {
        self.count() % 2 == 1
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// One deadline whose timer exists only while something waits for it.
#[derive(Debug, Default)]
struct Deadline {
    at: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    fn set(&mut self, after: Duration) {
        if self.at.is_none() {
            self.at = Some(Instant::now() + after);
        }
    }

    fn clear(&mut self) {
        self.at = None;
    }

    fn is_past(&self) -> bool {
        self.at.is_some_and(|at| Instant::now() >= at)
    }

    /// Ready when the deadline is past; otherwise the task is woken then.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = self.at else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if timer.deadline() != at {
            timer.as_mut().reset(at);
        }
        timer.as_mut().poll(cx)
    }
}

/// A stream that fails with `TimedOut` where its peer stalls.
#[derive(Debug)]
pub(super) struct Guarded<S> {
    inner: S,
    phase: Phase,
    /// The phase to which `head` belongs.
    seen: u64,
    head: Deadline,
    write: Deadline,
    limits: Limits,
    meters: Arc<Meters>,
}

impl<S> Guarded<S> {
    /// The first head must end within its limit from now on.
    pub(super) fn new(inner: S, phase: Phase, limits: Limits, meters: Arc<Meters>) -> Self {
        let mut head = Deadline::default();
        head.set(limits.head);
        Self { inner, seen: phase.count(), phase, head, write: Deadline::default(), limits, meters }
    }

    fn written<T>(&mut self, cx: &mut Context<'_>, progress: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if progress.is_ready() {
            self.write.clear();
            return progress;
        }
        self.write.set(self.limits.write_gap);
        ready!(self.write.poll(cx));
        Poll::Ready(Err(self.stalled("the reader took nothing")))
    }

    fn stalled(&self, why: &'static str) -> io::Error {
        self.meters.http_deadline_closed.add(1);
        io::Error::new(io::ErrorKind::TimedOut, why)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let phase = this.phase.count();
        if phase != this.seen {
            // The head that was timed has ended long ago.
            this.seen = phase;
            this.head.clear();
        }
        if this.phase.is_busy() {
            return Pin::new(&mut this.inner).poll_read(cx, buf);
        }
        let before = buf.filled().len();
        match Pin::new(&mut this.inner).poll_read(cx, buf) {
            Poll::Ready(Ok(())) if buf.filled().len() > before => {
                if this.head.is_past() {
                    return Poll::Ready(Err(this.stalled("the request head did not end")));
                }
                this.head.set(this.limits.head);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(other) => Poll::Ready(other),
            Poll::Pending => {
                ready!(this.head.poll(cx));
                Poll::Ready(Err(this.stalled("the request head did not end")))
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let progress = Pin::new(&mut this.inner).poll_write(cx, buf);
        this.written(cx, progress)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let progress = Pin::new(&mut this.inner).poll_write_vectored(cx, bufs);
        this.written(cx, progress)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let progress = Pin::new(&mut this.inner).poll_flush(cx);
        this.written(cx, progress)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let progress = Pin::new(&mut this.inner).poll_shutdown(cx);
        this.written(cx, progress)
    }
}
