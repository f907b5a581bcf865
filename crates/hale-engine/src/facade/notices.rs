//! Telling people: a message to a channel, tried a few times, with its line in the audit trail.

use super::{Engine, chance};
use crate::facade::operate::Deed;
use crate::input::Caller;
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::OperationId;
use hale_core::limits::{NOTICE_CHARS, NOTICE_TRIES, NOTICE_WITHIN};
use hale_core::retry::RetryClass;
use hale_core::time::Millis;
use hale_gateway::notice::Notice;
use serde_json::json;
use tokio::time::Instant;

/// A message that was taken.
#[derive(Clone, Debug)]
pub struct Notified {
    pub operation: OperationId,
    /// The webhook's answer.
    pub status: u16,
    pub tries: u32,
}

impl Engine {
    /// The channels that are stored.
    ///
    /// # Errors
    /// A secrets folder that cannot be read.
    pub fn channels(&self) -> Result<Vec<String>, Failure> {
        self.gateway().notices().channels().map_err(|error| {
            Failure::new(Code::E008, "notify.unreadable", "notify", "list the channels").caused_by(&error)
        })
    }

    /// Sends the message to the channel: at most three tries, within 20 s in all.
    ///
    /// # Errors
    /// E002 for an empty or too long message, E010 for an unknown channel, E006 when the webhook does not take it.
    pub async fn notify(&self, channel: &str, message: &str, caller: &Caller) -> Result<Notified, Failure> {
        let message = message.trim();
        let length = message.chars().count();
        if length == 0 || length > NOTICE_CHARS {
            let told = format!("send a message of {length} characters: 1 to {NOTICE_CHARS} are sent");
            return Err(Failure::new(Code::E002, "notify.bad_message", "notify", told));
        }
        let deed = Deed {
            operation: "notify.send",
            target: channel.to_owned(),
            detail: message.to_owned(),
            undo: None,
        };
        let operation = self.intend(&deed, caller).await?;
        // `text` is what the common chat services read; the rest is for programs.
        let body = json!({
            "schema": "hale.notice/1", "text": message, "channel": channel, "id": operation.to_string(),
            "at": self.now().rfc3339(), "from": caller.actor.to_string(), "correlation_id": caller.correlation,
        });
        let key = operation.to_string();
        let deadline = Instant::now() + NOTICE_WITHIN.duration();
        let notice = Notice { channel, body: &body, idempotency_key: &key, deadline };
        let (sent, tries) = self.tried(notice).await;
        let detail = match &sent {
            Ok(status) => format!("{message} (answered {status}, try {tries})"),
            Err(failure) => format!("{message} (not sent in {tries} tries: {failure})"),
        };
        self.outcome(operation, &Deed { detail, ..deed }, caller).await?;
        sent.map(|status| Notified { operation, status, tries })
    }

    /// The answer of the last try, and how many there were; a wait beyond the deadline is not begun.
    async fn tried(&self, notice: Notice<'_>) -> (Result<u16, Failure>, u32) {
        let notices = self.gateway().notices();
        let mut tries = 0;
        loop {
            tries += 1;
            let failure = match notices.send(notice).await {
                Ok(status) => return (Ok(status), tries),
                Err(error) => error.failure(),
            };
            let wait = failure.retry_after.unwrap_or(Millis(500 << tries) + Millis(chance() as u64 % 250));
            let in_time = Instant::now() + wait.duration() < notice.deadline;
            if failure.retry == RetryClass::Never || tries >= NOTICE_TRIES || !in_time {
                return (Err(failure), tries);
            }
            tokio::time::sleep(wait.duration()).await;
        }
    }
}
