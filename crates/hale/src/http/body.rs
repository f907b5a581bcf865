//! Bodies under watch: a request body that stalls is refused, and the end of an answer is noticed.
//!
//! [`Watched`] fails with [`Stalled`] when no byte comes for too long or the average is too low; the extractor makes
//! a 408 of it. Size is bounded by whoever reads the body, since it depends on the route.
//! Read next: [`super::extract`].

use super::limits::Limits;
use super::stream::Phase;
use bytes::Bytes;
use hale_core::meter::Meters;
use http_body::{Body, Frame, SizeHint};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::time::{Instant, Sleep, sleep_until};

/// The body came too slowly.
#[derive(Debug, thiserror::Error)]
#[error("read the request body: {bytes} bytes after {seconds} s, and the rest did not come")]
pub struct Stalled {
    pub bytes: u64,
    pub seconds: u64,
}

/// A request body with a deadline on its progress.
#[derive(Debug)]
pub(super) struct Watched<B> {
    inner: B,
    limits: Limits,
    meters: Arc<Meters>,
    bytes: u64,
    /// Set when the body is first asked for: time before that is ours, not the peer's.
    begun: Option<Instant>,
    gap: Option<Pin<Box<Sleep>>>,
}

impl<B> Watched<B> {
    pub(super) fn new(inner: B, limits: Limits, meters: Arc<Meters>) -> Self {
        Self { inner, limits, meters, bytes: 0, begun: None, gap: None }
    }

    fn stalled(&self, begun: Instant) -> BoxError {
        self.meters.http_deadline_closed.add(1);
        Box::new(Stalled { bytes: self.bytes, seconds: begun.elapsed().as_secs() })
    }

    fn is_too_slow(&self, begun: Instant) -> bool {
        let spent = begun.elapsed();
        spent > self.limits.body_grace
            && (self.bytes as f64) < self.limits.body_rate as f64 * spent.as_secs_f64()
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl<B> Body for Watched<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        let begun = *this.begun.get_or_insert_with(Instant::now);
        match Pin::new(&mut this.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                this.gap = None;
                if this.is_too_slow(begun) {
                    return Poll::Ready(Some(Err(this.stalled(begun))));
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(other) => Poll::Ready(other.map(|end| end.map_err(Into::into))),
            Poll::Pending => {
                let limit = this.limits.body_gap;
                let gap = this.gap.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + limit)));
                if gap.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Some(Err(this.stalled(begun))));
                }
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// An answer's body that marks its connection idle once hyper is done with it.
#[derive(Debug)]
pub(super) struct Answer<B> {
    inner: B,
    phase: Phase,
}

impl<B> Answer<B> {
    pub(super) fn new(inner: B, phase: Phase) -> Self {
        Self { inner, phase }
    }
}

impl<B> Drop for Answer<B> {
    fn drop(&mut self) {
        self.phase.turn();
    }
}

impl<B: Body + Unpin> Body for Answer<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.get_mut().inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
