//! The body of an answer: bytes and time.
//!
//! Guarantees: every wait for bytes is bounded, and so are the bytes; an answer that is whole stays whole even if the
//! connection breaks before the usage came.
//! Leaves to others: the overall deadline ([`super`]), what the pieces mean ([`super::assembly`]).
//! Read next: [`super::assembly`].

use super::assembly::{Assembled, Assembly, Flaw};
use super::refusal;
use crate::call::Timeouts;
use crate::error::{Error, Source};
use crate::provider::OnChunk;
use crate::site::Call;
use crate::sse::Splitter;
use bytes::Bytes;
use hale_core::time::Millis;
use reqwest::Response;
use reqwest::header::CONTENT_TYPE;
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, timeout, timeout_at};

/// A stream beyond this is no answer: at four bytes a token it is several times the longest context in use.
const STREAM_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Whole tool calls may come in one event; a megabyte holds the largest that we take.
const LINE_BYTES_MAX: usize = 1024 * 1024;
/// Reasons for a refusal fit easily; the rest is not read.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;
/// A refusal whose text does not come in this time stands without it.
const REFUSAL_WAIT: Duration = Duration::from_secs(5);
/// Usage comes right after the reason to stop, or never.
const USAGE_WAIT: Duration = Duration::from_secs(2);
/// After the last event the end of the body is usually there already; waiting for it lets the connection be reused.
const END_WAIT: Duration = Duration::from_millis(20);

/// What is wrong with an answer as a whole.
#[derive(Debug, thiserror::Error)]
enum Shape {
    #[error("take the answer: it is longer than {STREAM_BYTES_MAX} bytes")]
    TooLong,
    #[error("find an event in the answer: it begins with {0:?}")]
    NoEvents(String),
}

/// An answer that is being read.
pub(crate) struct Reading<'a> {
    pub call: &'a Call<'a>,
    pub on_chunk: OnChunk<'a>,
    pub timeouts: Timeouts,
    /// How long the first bytes took to come.
    pub first_chunk: Option<Millis>,
}

impl Reading<'_> {
    /// Most servers stream as asked; some answer whole all the same, and say so.
    pub(crate) async fn answer(&mut self, response: Response) -> Result<Assembled, Error> {
        let kind =
            response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if kind.trim_start().starts_with("application/json") {
            self.whole(response).await
        } else {
            self.stream(response).await
        }
    }

    async fn whole(&mut self, response: Response) -> Result<Assembled, Error> {
        let call = self.call;
        let body = read_bounded(response, STREAM_BYTES_MAX).await.map_err(|error| call.cut(Some(error)))?;
        self.first_chunk = Some(Millis::from(call.begun.elapsed()));
        let mut assembly = Assembly::default();
        assembly.take(&body, self.on_chunk).map_err(|flaw| call.flaw(flaw))?;
        assembly.finish().map_err(|flaw| call.flaw(flaw))
    }

    async fn stream(&mut self, mut response: Response) -> Result<Assembled, Error> {
        let call = self.call;
        let mut splitter = Splitter::new(LINE_BYTES_MAX);
        let mut assembly = Assembly::default();
        let (mut beginning, mut bytes_read, mut events) = (Bytes::new(), 0, 0u64);
        while let Some(bytes) = self.next(&mut response, &assembly).await? {
            bytes_read += bytes.len();
            if bytes_read > STREAM_BYTES_MAX {
                return Err(call.garbled(Shape::TooLong));
            }
            if beginning.is_empty() {
                beginning = bytes.clone();
            }
            let mut flaw = None;
            splitter
                .push(&bytes, |event| {
                    events += 1;
                    flaw = flaw.take().or_else(|| assembly.take(&event.data, self.on_chunk).err());
                })
                .map_err(|error| call.garbled(error))?;
            if let Some(flaw) = flaw {
                return Err(call.flaw(flaw));
            }
            if assembly.is_done() {
                let _ = timeout(END_WAIT, response.chunk()).await;
                return assembly.finish().map_err(|flaw| call.flaw(flaw));
            }
        }
        // The last event may lack its blank line. If it is no whole event either, the stream was cut there.
        if let Some(event) = splitter.finish() {
            events += u64::from(assembly.take(&event.data, self.on_chunk).is_ok());
        }
        if events == 0 && !beginning.is_empty() {
            return Err(call.garbled(Shape::NoEvents(refusal::excerpt(&beginning))));
        }
        assembly.finish().map_err(|flaw| call.flaw(flaw))
    }

    /// The next bytes; None at the end, and also when nothing that is needed can come any more.
    async fn next(&mut self, response: &mut Response, assembly: &Assembly) -> Result<Option<Bytes>, Error> {
        let call = self.call;
        let limit = match self.first_chunk {
            None => call.begun + self.timeouts.first_chunk,
            Some(_) if assembly.is_whole() => Instant::now() + USAGE_WAIT,
            Some(_) => Instant::now() + self.timeouts.stall,
        };
        match timeout_at(limit, response.chunk()).await {
            Ok(Ok(Some(bytes))) => {
                self.first_chunk.get_or_insert_with(|| Millis::from(call.begun.elapsed()));
                Ok(Some(bytes))
            }
            Ok(Ok(None)) => Ok(None),
            Ok(Err(_)) | Err(_) if assembly.is_whole() => Ok(None),
            Ok(Err(error)) => Err(call.cut(Some(Box::new(error.without_url())))),
            Err(_) if self.first_chunk.is_none() => Err(call.timeout()),
            Err(_) => Err(call.stalled(self.timeouts.stall)),
        }
    }
}

/// The error that a status other than 200 stands for, with what its body says if that comes in time.
pub(crate) async fn refused(response: Response, call: &Call<'_>) -> Error {
    refused_with_body(response, call).await.0
}

/// The same, with the body as it came.
pub(crate) async fn refused_with_body(response: Response, call: &Call<'_>) -> (Error, Vec<u8>) {
    let status = response.status().as_u16();
    let retry_after = refusal::retry_after(response.headers(), SystemTime::now());
    let body = timeout(REFUSAL_WAIT, read_bounded(response, REFUSAL_BYTES_MAX)).await;
    let body = body.ok().and_then(Result::ok).unwrap_or_default();
    (call.refused(status, retry_after, &body), body)
}

/// A whole body.
pub(crate) async fn read_bounded(mut response: Response, bytes_max: usize) -> Result<Vec<u8>, Source> {
    let mut body = Vec::new();
    while let Some(bytes) = response.chunk().await.map_err(reqwest::Error::without_url)? {
        if body.len() + bytes.len() > bytes_max {
            return Err(Box::new(Shape::TooLong));
        }
        body.extend_from_slice(&bytes);
    }
    Ok(body)
}

/// A list of models.
pub(crate) async fn model_list(response: Response, call: &Call<'_>) -> Result<Vec<String>, Error> {
    let body = read_bounded(response, LINE_BYTES_MAX).await.map_err(|error| call.cut(Some(error)))?;
    let list: super::wire::ModelList = serde_json::from_slice(&body)
        .map_err(|source| call.flaw(Flaw::Json { part: refusal::excerpt(&body), source }))?;
    Ok(list.data.into_iter().map(|entry| entry.id).collect())
}
