//! The event stream of one run: its journal from any place on, then what happens, as it happens.
//!
//! Guarantees: journal lines come in order, none twice and none left out, also after `Last-Event-ID`; a reader that
//! falls behind gets a gap and the journal, never a copy that grows in memory; the stream ends with the run.
//! Leaves to others: a reader that takes nothing at all ([`super::stream`] cuts it).
//! Read next: `hale-engine/src/live.rs`.

use super::App;
use super::extract::{Segment, id};
use super::limits::{EVENTS_BUFFERED, EVENTS_KEEP_ALIVE, EVENTS_PAGE};
use super::problem::Refusal;
use super::view;
use crate::wire::LiveEvent;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use hale_core::id::RunId;
use hale_core::run::Record;
use hale_engine::live::Live;
use hale_engine::tasks;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use http_body::Frame;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval_at};

/// `GET /api/v1/runs/{id}/events`.
pub async fn stream(
    State(app): State<Arc<App>>,
    Segment(run): Segment,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let run: RunId = id(&run)?;
    let seen = last_seen(&headers)?;
    let stored = app.engine.run(run).await.map_err(|failure| Refusal::from(failure).run(run.to_string()))?;
    // Nothing happens any more in a run that has ended, so there is nothing to listen to.
    let live = (!stored.run.is_terminal()).then(|| app.engine.live(run));
    let (out, events) = mpsc::channel(EVENTS_BUFFERED);
    tasks::spawn("http-events", async move {
        Teller { app, run, seen, out }.tell(live).await;
    });
    let mut response = Response::new(Body::new(Events(events)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that buffer would turn a live stream into a late one.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// The journal line after which the stream goes on: `7`, or `7.120` for a live part behind it.
fn last_seen(headers: &HeaderMap) -> Result<u64, Refusal> {
    let Some(value) = headers.get("last-event-id") else { return Ok(0) };
    let seq = value.to_str().ok().and_then(|text| text.split('.').next()?.trim().parse().ok());
    seq.ok_or_else(|| {
        Refusal::invalid(
            "Last-Event-ID",
            "read Last-Event-ID: send the id of the last event that you saw, such as 7",
        )
    })
}

/// The frames of a response.
struct Events(mpsc::Receiver<Bytes>);

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.get_mut().0.poll_recv(cx).map(|event| event.map(|event| Ok(Frame::data(event))))
    }
}

/// Whether the stream goes on.
enum Next {
    Listen,
    Over,
}

/// Tells one reader.
struct Teller {
    app: Arc<App>,
    run: RunId,
    /// Sequence number of the last journal line that was told.
    seen: u64,
    out: mpsc::Sender<Bytes>,
}

impl Teller {
    async fn tell(mut self, live: Option<Receiver<Live>>) {
        let Some(Next::Listen) = self.catch_up().await else { return };
        let Some(mut live) = live else { return };
        let mut pulse = interval_at(Instant::now() + EVENTS_KEEP_ALIVE, EVENTS_KEEP_ALIVE);
        let shutdown = self.app.shutdown.clone();
        loop {
            let told = tokio::select! {
                event = live.recv() => self.hear(event).await,
                _ = pulse.tick() => self.send(Bytes::from_static(b": keep-alive\n\n")).await.map(|()| Next::Listen),
                () = shutdown.cancelled() => None,
                () = self.out.closed() => None,
            };
            let Some(Next::Listen) = told else { return };
        }
    }

    /// None when the reader is gone or the stream is over.
    async fn hear(&mut self, event: Result<Live, RecvError>) -> Option<Next> {
        match event {
            Ok(Live::Records(records)) => {
                for record in records.iter() {
                    if record.seq > self.seen + 1 {
                        return self.catch_up().await;
                    }
                    self.record(record).await?;
                }
                Some(Next::Listen)
            }
            Ok(Live::StepStarted { index, attempt, kind, name }) => {
                let (kind, name) = (kind.name().to_owned(), name.to_string());
                self.live(0, &LiveEvent::StepStarted { index, attempt, kind, name }).await
            }
            Ok(Live::Chunk { index, attempt, offset, text }) => {
                self.live(offset, &LiveEvent::Chunk { index, attempt, offset, text: text.to_string() }).await
            }
            Ok(Live::Line { index, attempt, stream, text }) => {
                let (stream, text) = (stream.to_owned(), text.to_string());
                self.live(0, &LiveEvent::Line { index, attempt, stream, text }).await
            }
            Ok(Live::Note { index, attempt, text }) => {
                self.live(0, &LiveEvent::Note { index, attempt, text: text.to_string() }).await
            }
            Err(RecvError::Lagged(_)) => {
                self.live(0, &LiveEvent::Gap).await?;
                self.catch_up().await
            }
            Ok(Live::Ended) | Err(RecvError::Closed) => {
                self.catch_up().await;
                None
            }
        }
    }

    /// Tells the journal from the last told line on; a run that has ended ends the stream.
    async fn catch_up(&mut self) -> Option<Next> {
        loop {
            let before = self.seen;
            self.journal().await?;
            let stored = self.app.engine.run(self.run).await.ok()?;
            if !stored.run.is_terminal() {
                return Some(Next::Listen);
            }
            // It may have ended between the two reads; without progress there is nothing more to come.
            if stored.run.seq <= self.seen || self.seen == before {
                let run = Box::new(view::stored(&stored, self.app.engine.now()));
                self.send(frame(&self.seen.to_string(), &LiveEvent::End { run })).await?;
                return Some(Next::Over);
            }
        }
    }

    async fn journal(&mut self) -> Option<()> {
        loop {
            let records = self.app.engine.history(self.run, self.seen + 1, EVENTS_PAGE).await.ok()?;
            for record in &records {
                self.record(record).await?;
            }
            if records.len() < EVENTS_PAGE as usize {
                return Some(());
            }
        }
    }

    async fn record(&mut self, record: &Record) -> Option<()> {
        if record.seq <= self.seen {
            return Some(());
        }
        self.seen = record.seq;
        self.send(frame(&record.seq.to_string(), &LiveEvent::Record { record: Box::new(record.clone()) }))
            .await
    }

    async fn live(&mut self, offset: u64, event: &LiveEvent) -> Option<Next> {
        self.send(frame(&format!("{}.{offset}", self.seen), event)).await.map(|()| Next::Listen)
    }

    async fn send(&self, frame: Bytes) -> Option<()> {
        self.out.send(frame).await.ok()
    }
}

/// One event in the line format of `text/event-stream`; JSON has no raw line ends.
fn frame(id: &str, event: &LiveEvent) -> Bytes {
    let name = match event {
        LiveEvent::Record { .. } => "record",
        LiveEvent::StepStarted { .. } => "step_started",
        LiveEvent::Chunk { .. } => "chunk",
        LiveEvent::Line { .. } => "line",
        LiveEvent::Note { .. } => "note",
        LiveEvent::Gap => "gap",
        LiveEvent::End { .. } => "end",
    };
    let data = serde_json::to_string(event).expect("the wire types have text keys and finite numbers");
    Bytes::from(format!("id: {id}\nevent: {name}\ndata: {data}\n\n"))
}
