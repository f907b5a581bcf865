//! The model of the simulation: it takes its time, now and then wants a tool, and knows when it is asked for what was
//! answered durably before.

use super::chance::Chance;
use crate::world::Kept;
use hale_core::id::RunId;
use hale_core::port::Boxed;
use hale_core::time::Millis;
use hale_gateway::Error;
use hale_gateway::provider::{ChatReply, ChatRequest, Finish, OnChunk, Provider, ToolCall, Usage};
use hale_store::Store;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub struct Mind {
    store: Arc<Kept>,
    chance: Mutex<Chance>,
    /// Calls by idempotency key.
    pub calls: Mutex<BTreeMap<String, u64>>,
    /// Calls for a step whose result was in the store already.
    pub repeated: Mutex<Vec<String>>,
}

impl Mind {
    pub fn new(store: Arc<Kept>, seed: u64) -> Self {
        let chance = Mutex::new(Chance::of(seed, 7));
        Self { store, chance, calls: Mutex::default(), repeated: Mutex::default() }
    }

    /// Notes the call; a step whose result is stored must never come here again.
    fn note(&self, key: &str) {
        *self.calls.lock().unwrap().entry(key.to_owned()).or_default() += 1;
        let Some((run, index)) = key.rsplit_once('-') else { return };
        let (Ok(run), Ok(index)) = (run.parse::<RunId>(), index.parse::<u32>()) else { return };
        let stored = self.store.run(run).unwrap();
        if stored.is_some_and(|stored| stored.run.steps > index || stored.run.is_terminal()) {
            self.repeated.lock().unwrap().push(key.to_owned());
        }
    }
}

impl Provider for Mind {
    fn name(&self) -> &str {
        "sim"
    }

    fn chat<'a>(&'a self, request: &'a ChatRequest, _: OnChunk<'a>) -> Boxed<'a, Result<ChatReply, Error>> {
        self.note(&request.idempotency_key);
        let (wait, tool) = {
            let mut chance = self.chance.lock().unwrap();
            (chance.below(9_000), chance.one_in(3))
        };
        let model = request.model.clone();
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(wait)).await;
            let call = ToolCall { id: "c".to_owned(), name: "nothing".to_owned(), arguments: json!({}) };
            let (text, finish, tool_calls) = match tool {
                true => ("", Finish::ToolCalls, vec![call]),
                false => ("done", Finish::Stop, Vec::new()),
            };
            Ok(ChatReply {
                text: text.to_owned(),
                finish,
                tool_calls,
                usage: Usage { input_tokens: 1, output_tokens: 1, ..Usage::default() },
                model,
                provider: "sim".to_owned(),
                latency: Millis(wait),
                time_to_first_chunk: None,
            })
        })
    }

    fn models(&self, _: tokio::time::Instant) -> Boxed<'_, Result<Vec<String>, Error>> {
        Box::pin(std::future::ready(Ok(vec!["small".to_owned()])))
    }
}
