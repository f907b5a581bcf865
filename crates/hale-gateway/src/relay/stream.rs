//! An answer piece by piece, watched: whole events until its end, or one event that says what went wrong.
//!
//! Guarantees: no wait for a byte is longer than the provider's patience or the call's deadline; bytes are bounded;
//! an answer that is whole stays whole even if the connection breaks after it.
//! Leaves to others: what an event is ([`super::flow`]).
//! Read next: [`super::settle`].

use super::Incoming;
use super::flow::Flow;
use super::settle::Settle;
use crate::call::Timeouts;
use crate::dialect::Dialect;
use crate::dialect::trouble::Trouble;
use crate::error::Error;
use crate::provider::Usage;
use crate::secret::Secret;
use crate::site::Call;
use bytes::Bytes;
use reqwest::Response;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// At four bytes a token several times the longest answer of any model.
const STREAM_BYTES_MAX: usize = 64 << 20;
/// Usage and the last event come right after the reason to stop, or never.
const END_WAIT: Duration = Duration::from_secs(2);

/// The rest of an answer.
pub struct Stream {
    response: Response,
    flow: Flow,
    /// Let out before anything else.
    first: Bytes,
    timeouts: Timeouts,
    deadline: Instant,
    dialect: Dialect,
    correlation_id: Arc<str>,
    provider: String,
    model: String,
    begun: Instant,
    key: Option<Secret>,
    bytes_read: usize,
    flaw: Option<Error>,
    is_over: bool,
    pub(crate) settle: Option<Settle>,
}

impl Stream {
    pub(super) fn new(
        response: Response,
        flow: Flow,
        (incoming, full): (&Incoming, &str),
        timeouts: Timeouts,
        call: Call<'_>,
    ) -> Self {
        let model = full.split_once('/').map_or(full, |(_, model)| model);
        Self {
            response,
            flow,
            first: Bytes::new(),
            timeouts,
            deadline: incoming.deadline,
            dialect: incoming.dialect,
            correlation_id: Arc::clone(&incoming.correlation_id),
            provider: call.provider.to_owned(),
            model: model.to_owned(),
            begun: call.begun,
            key: call.key,
            bytes_read: 0,
            flaw: None,
            is_over: false,
            settle: None,
        }
    }

    /// Waits until something may be let out.
    ///
    /// # Errors
    /// What went wrong before that.
    pub(super) async fn begin(&mut self, first: Instant) -> Result<(), Error> {
        while !self.flow.began() {
            let Some(bytes) = self.bytes(first).await? else {
                self.first = self.end()?;
                break;
            };
            let (out, flaw) = self.take(&bytes);
            self.first = [self.first.as_ref(), out.as_ref()].concat().into();
            match flaw {
                // Nothing has been let out yet.
                Some(error) if !self.flow.began() || self.first.is_empty() => return Err(error),
                flaw => self.flaw = flaw,
            }
        }
        Ok(())
    }

    /// Reads all of it, for a client that wants the answer whole.
    ///
    /// # Errors
    /// What went wrong; nothing has been let out.
    pub(super) async fn whole(mut self) -> Result<(Bytes, Option<Usage>), Error> {
        if let Some(error) = self.flaw.take() {
            return Err(error);
        }
        while !self.is_over {
            self.piece().await?;
            if let Some(error) = self.flaw.take() {
                return Err(error);
            }
        }
        let Flow::Other(translated) = &self.flow else { return Err(self.call().cut(None)) };
        let told = translated.told().map_err(|flaw| self.call().flaw(flaw))?;
        Ok((told, self.flow.usage()))
    }

    /// The next bytes for the client, whole events only; none at the end.
    pub async fn next(&mut self) -> Option<Bytes> {
        if !self.first.is_empty() {
            if let Some(settle) = &mut self.settle {
                settle.first_byte();
            }
            return Some(std::mem::take(&mut self.first));
        }
        if let Some(error) = self.flaw.take() {
            return Some(self.fail(&error));
        }
        while !self.is_over {
            match self.piece().await {
                Ok(out) if out.is_empty() => {}
                Ok(out) => return Some(out),
                Err(error) => return Some(self.fail(&error)),
            }
        }
        if let Some(settle) = &mut self.settle {
            if let Some(record) = &mut settle.call {
                record.usage = self.flow.usage();
            }
            settle.answered();
        }
        None
    }

    async fn piece(&mut self) -> Result<Bytes, Error> {
        let limit = if self.flow.is_whole() { END_WAIT } else { self.timeouts.stall };
        match self.bytes(self.deadline.min(Instant::now() + limit)).await {
            Ok(Some(bytes)) => {
                let (out, flaw) = self.take(&bytes);
                match flaw {
                    None if self.flow.is_done() => Ok([out, self.end()?].concat().into()),
                    // What stood before it is good.
                    Some(error) if out.is_empty() => Err(error),
                    flaw => {
                        self.flaw = flaw;
                        Ok(out)
                    }
                }
            }
            Ok(None) => self.end(),
            Err(_) if self.flow.is_whole() => self.end(),
            Err(error) => Err(error),
        }
    }

    /// The stream has no more bytes.
    fn end(&mut self) -> Result<Bytes, Error> {
        self.is_over = true;
        self.flow.finish().map_err(|flaw| self.call().flaw(flaw))
    }

    fn take(&mut self, bytes: &Bytes) -> (Bytes, Option<Error>) {
        let (out, flaw) = self.flow.push(bytes);
        (out, flaw.map(|flaw| self.call().flaw(flaw)))
    }

    async fn bytes(&mut self, limit: Instant) -> Result<Option<Bytes>, Error> {
        let read = timeout_at(limit, self.response.chunk()).await;
        match read {
            Ok(Ok(bytes)) => {
                self.bytes_read += bytes.as_ref().map_or(0, Bytes::len);
                if self.bytes_read > STREAM_BYTES_MAX {
                    return Err(self.call().cut(None));
                }
                Ok(bytes)
            }
            Ok(Err(error)) => Err(self.call().cut(Some(Box::new(error.without_url())))),
            Err(_) if !self.flow.began() || Instant::now() >= self.deadline => Err(self.call().timeout()),
            Err(_) => Err(self.call().stalled(self.timeouts.stall)),
        }
    }

    fn call(&self) -> Call<'_> {
        Call { provider: &self.provider, model: &self.model, begun: self.begun, key: self.key.clone() }
    }

    /// The last event: what went wrong.
    fn fail(&mut self, error: &Error) -> Bytes {
        self.is_over = true;
        let failure = error.failure();
        let trouble = Trouble {
            status: failure.code.meaning().http_status,
            code: &failure.code.to_string(),
            cause: &failure.cause,
            message: &failure.message,
            correlation_id: &self.correlation_id,
            field: None,
        };
        let event = self.flow.fail(self.dialect, &trouble);
        if let Some(mut settle) = self.settle.take() {
            settle.failed(failure);
        }
        event
    }
}
