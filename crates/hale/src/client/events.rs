//! Server-sent events: the stream of one run, with resume.
//!
//! Guarantees: an event is delivered whole or not at all; after a break, the stream goes on behind the last durable
//! line that was seen, so nothing of the journal is missed or shown twice.
//! Leaves to others: what an event means ([`crate::render::live`]).

use super::connection::Answer;
use super::{Ask, Client};
use crate::exit::{Error, Exit};
use crate::wire::LiveEvent;
use std::time::Duration;

/// One event; a journal line is bounded far below this.
const EVENT_BYTES: usize = 8 << 20;
/// The server sends a comment every few seconds; silence of this length is a dead connection.
const SILENCE: Duration = Duration::from_secs(45);
/// How long a watcher looks for a server that went away: longer than a restart takes.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(200);

/// Takes bytes, gives events: the line format of `text/event-stream`.
#[derive(Debug, Default)]
pub struct Splitter {
    buffer: Vec<u8>,
    id: Option<String>,
    data: String,
}

/// One message of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub id: Option<String>,
    pub data: String,
}

impl Splitter {
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next message that is complete.
    pub fn message(&mut self) -> Option<Message> {
        while let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.buffer.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\n', '\r']);
            if line.is_empty() {
                let data = std::mem::take(&mut self.data);
                let id = self.id.take();
                if !data.is_empty() {
                    return Some(Message { id, data });
                }
                continue;
            }
            match line.split_once(':').map(|(field, value)| (field, value.strip_prefix(' ').unwrap_or(value)))
            {
                Some(("id", value)) => self.id = Some(value.to_owned()),
                Some(("data", value)) => {
                    if !self.data.is_empty() {
                        self.data.push('\n');
                    }
                    self.data.push_str(value);
                }
                // Comments keep the connection warm; other fields are not ours.
                _ => {}
            }
        }
        None
    }

    fn held(&self) -> usize {
        self.buffer.len() + self.data.len()
    }
}

/// The events of one run, across breaks of the connection.
#[derive(Debug)]
pub struct Events<'a> {
    client: &'a Client,
    path: String,
    answer: Option<Answer>,
    splitter: Splitter,
    /// The last durable line seen.
    last: Option<String>,
    over: bool,
}

impl<'a> Events<'a> {
    /// Follows the run `id` from its first line.
    pub fn of_run(client: &'a Client, id: &str) -> Self {
        let path = format!("/api/v1/runs/{id}/events");
        Self { client, path, answer: None, splitter: Splitter::default(), last: None, over: false }
    }

    /// The next event; none after the end of the run.
    ///
    /// # Errors
    /// When the run is not known, or the server stays away.
    pub async fn next(&mut self) -> Result<Option<LiveEvent>, Error> {
        let started = tokio::time::Instant::now();
        while !self.over {
            if let Some(message) = self.splitter.message() {
                return self.take(message).map(Some);
            }
            match self.more().await {
                Ok(()) => {}
                // Refusals are answers: only a missing server is worth another try.
                Err(error) if error.exit != Exit::Unreachable || started.elapsed() > PATIENCE => {
                    return Err(error);
                }
                Err(_) => {
                    self.answer = None;
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        Ok(None)
    }

    fn take(&mut self, message: Message) -> Result<LiveEvent, Error> {
        let event: LiveEvent = serde_json::from_str(&message.data)
            .map_err(|error| Error::new(Exit::Failed, "read an event of the run").caused_by(&error))?;
        match &event {
            LiveEvent::Record { record } => self.last = Some(record.seq.to_string()),
            LiveEvent::End { .. } => self.over = true,
            LiveEvent::StepStarted { .. }
            | LiveEvent::Chunk { .. }
            | LiveEvent::Line { .. }
            | LiveEvent::Note { .. }
            | LiveEvent::Gap => {}
        }
        Ok(event)
    }

    async fn more(&mut self) -> Result<(), Error> {
        let answer = match &mut self.answer {
            Some(answer) => answer,
            None => {
                let mut ask = Ask::get(self.path.clone()).header("accept", "text/event-stream");
                if let Some(last) = &self.last {
                    ask = ask.header("last-event-id", last.clone());
                }
                self.splitter = Splitter::default();
                self.answer.insert(self.client.open(ask).await?)
            }
        };
        let lost = |what: &str| Error::new(Exit::Unreachable, format!("follow the run: {what}"));
        let chunk = tokio::time::timeout(SILENCE, answer.chunk())
            .await
            .map_err(|_| lost("the server fell silent"))?;
        let chunk = chunk.map_err(|error| lost("the connection broke").caused_by(&error))?;
        let chunk = chunk.ok_or_else(|| lost("the server closed the stream"))?;
        self.splitter.feed(&chunk);
        if self.splitter.held() > EVENT_BYTES {
            return Err(Error::new(Exit::Failed, "follow the run: an event is too long"));
        }
        Ok(())
    }
}
