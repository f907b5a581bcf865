//! The agent loop: model turn, tool calls, results, until an answer; every call one journaled step.
//!
//! Bounded by turns, tokens, budget of time and steps. The conversation is rebuilt from the results of steps, so a
//! replay comes to the same point without calling anybody.
//! Read next: [`super::toolbox`].

use super::guarded::Guarded;
use super::host::{Done, Halt, Host};
use super::toolbox::{Means, Toolbox};
use super::waits::Left;
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::guard::Place;
use hale_core::run::{Dispatch, StepKind, StepSpec, Usage};
use hale_gateway::{ChatReply, ChatRequest, Chunk, Message, Served};
use serde_json::{Value, json};
use tokio::time::Instant;

struct Agent<'a> {
    host: &'a Host<'a>,
    guard: &'a Guarded<'a>,
    toolbox: Toolbox,
    messages: Vec<Message>,
    turns: u32,
}

/// Runs the agent to its answer: `{"answer": text}`, with `"steps"` by name when the pack names steps.
///
/// # Errors
/// [`Halt`], as every step may end the run.
pub async fn run(host: &Host<'_>) -> Result<Value, Halt> {
    let guard = Guarded::new(host);
    let answer = turns(host, &guard).await;
    guard.tell();
    answer
}

async fn turns(host: &Host<'_>, guard: &Guarded<'_>) -> Result<Value, Halt> {
    let toolbox =
        Toolbox::open(&host.manifest, &host.delegates, (&host.worker.files_allow, &host.worker.hidden))
            .map_err(Halt::failed)?;
    let input = guard.value(&Place::Input, host.input()?).map_err(Halt::failed)?;
    let system = Message::system(host.manifest.system_prompt.clone());
    let asked = serde_json::to_string_pretty(&input).unwrap_or_else(|_| input.to_string());
    let messages = vec![system, Message::user(asked)];
    let mut agent = Agent { host, guard, toolbox, messages, turns: 0 };
    let steps = &host.manifest.steps;
    if steps.is_empty() {
        let answer = agent.answer().await?;
        return Ok(json!({ "answer": answer }));
    }
    let of = steps.len() as u32;
    let mut answers = serde_json::Map::new();
    for (n, name) in (1u32..).zip(steps) {
        agent.messages.push(Message::user(format!("Step {n}/{of}: {name}")));
        let answer = agent.answer().await?;
        host.stage_completed(n, of, name);
        answers.insert(name.clone(), Value::String(answer));
    }
    let last = steps.last().and_then(|name| answers.get(name)).cloned().unwrap_or(Value::Null);
    Ok(json!({ "answer": last, "steps": answers }))
}

impl Agent<'_> {
    /// Turns until the model answers without asking for a tool.
    async fn answer(&mut self) -> Result<String, Halt> {
        loop {
            self.turn_allowed()?;
            let reply = self.model().await?;
            self.messages.push(reply.message());
            if reply.tool_calls.is_empty() {
                return Ok(reply.text);
            }
            for call in reply.tool_calls {
                let result = self.tool(&call.name, &call.arguments).await?;
                self.messages.push(Message::tool(call.id, result.to_string()));
            }
        }
    }

    fn turn_allowed(&mut self) -> Result<(), Halt> {
        let Bounds { turns, tokens, by } = self.bounds();
        let used = self.host.tokens();
        if self.turns >= turns {
            let message = format!("begin turn {}: {by} {turns} turns", self.turns + 1);
            return Err(Halt::failed(Failure::new(Code::E004, "run.turn_limit", "worker", message)));
        }
        if used >= tokens {
            let message = format!("begin turn {}: {used} of {tokens} tokens are used", self.turns + 1);
            return Err(Halt::failed(Failure::new(Code::E004, "run.token_limit", "worker", message)));
        }
        self.turns += 1;
        Ok(())
    }

    /// The pack's own bounds, or what the parent had left if that is less.
    fn bounds(&self) -> Bounds {
        let own = &self.host.manifest.limits;
        let parent = self.host.run.parent;
        let left = parent.and_then(|parent| parent.turns).filter(|left| *left < own.max_turns);
        Bounds {
            turns: left.unwrap_or(own.max_turns),
            tokens: parent.and_then(|parent| parent.tokens).unwrap_or(u64::MAX).min(own.max_tokens),
            by: if left.is_some() { "the parent left" } else { "the pack allows" },
        }
    }

    async fn model(&mut self) -> Result<ChatReply, Halt> {
        let (host, index) = (self.host, self.host.next_index()?);
        let route = host.route.clone();
        let spec = StepSpec {
            index,
            kind: StepKind::Model,
            name: route.primary.clone(),
            dispatch: Dispatch::Idempotent,
            request: json!({
                "turn": self.turns, "messages": self.messages.len(), "fallback": route.fallback,
                "tools": self.toolbox.names(),
            }),
        };
        let request = self.request(index);
        let guard = self.guard;
        let value = host
            .step(spec, |attempt| async move {
                let stream = guard.stream(index, attempt);
                let hear = |chunk: Chunk<'_>| stream.hear(chunk);
                let mut served = host
                    .worker
                    .gateway
                    .chat_while(&route, request, (&hear, &|| !host.worker.switches.is_over(&host.run)))
                    .await
                    .map_err(|failed| failed.failure)?;
                stream.end();
                guard.reply(&mut served.reply)?;
                said_by_fallback(host, &served);
                done(&served)
            })
            .await?;
        let served: Served = serde_json::from_value(value).map_err(|error| {
            let failure =
                Failure::new(Code::E015, "run.journal_mismatch", "worker", "read a stored model answer");
            Halt::failed(failure.caused_by(&error))
        })?;
        Ok(served.reply)
    }

    fn request(&self, index: u32) -> ChatRequest {
        let (host, manifest) = (self.host, &self.host.manifest);
        let longest = Instant::now() + host.worker.model_timeout.duration();
        ChatRequest {
            model: String::new(),
            messages: self.messages.clone(),
            tools: self.toolbox.specs(),
            max_tokens: None,
            temperature: manifest.temperature.map(|temperature| temperature as f32),
            seed: manifest.seed,
            deadline: host.deadline.min(longest),
            correlation_id: host.run.correlation.to_string(),
            traceparent: host.run.traceparent.as_deref().map(str::to_owned),
            idempotency_key: format!("{}-{index}", host.run.id),
        }
    }

    /// One call, after a person's consent where the pack wants it.
    async fn tool(&self, wire_name: &str, arguments: &Value) -> Result<Value, Halt> {
        let (host, toolbox) = (self.host, &self.toolbox);
        let name = toolbox.name_of(wire_name);
        let means = toolbox.means(&name);
        if !matches!(means, Means::Unknown)
            && host.manifest.asks(&name)
            && let Some(refused) = host.consent(&name, arguments).await?
        {
            return Ok(refused);
        }
        match means {
            Means::Sleep => return host.sleep(name, arguments).await,
            Means::Child(child) => {
                let answer = host.delegate(child, arguments, self.left()).await?;
                return self.guard.value(&Place::Tool(name), answer).map_err(Halt::failed);
            }
            Means::Sandbox | Means::Web(_) | Means::Unknown => {}
        }
        let spec = StepSpec {
            index: host.next_index()?,
            kind: StepKind::Tool,
            name: name.clone(),
            dispatch: toolbox.dispatch(&name),
            request: arguments.clone(),
        };
        let guard = self.guard;
        host.step(spec, |_| async move {
            let switches = &host.worker.switches;
            switches.admit(&name)?;
            let _place = host.place(&name).await;
            // While it waited for its place, the run or the tool may have been switched off.
            switches.lifted(&host.run).await;
            switches.admit(&name)?;
            let call = async {
                match means {
                    Means::Web(fetcher) => fetcher.call(host, arguments).await,
                    _ => {
                        toolbox.call(name.clone(), arguments.clone(), host.deadline, host.stop.clone()).await
                    }
                }
            };
            let mut done = tokio::select! {
                failure = switches.cut(&name) => Err(failure),
                done = call => done,
            }?;
            done.value = guard.value(&Place::Tool(name), done.value)?;
            Ok(done)
        })
        .await
    }

    /// What a child may use at most.
    fn left(&self) -> Left {
        let Bounds { turns, tokens, .. } = self.bounds();
        Left { turns: turns.saturating_sub(self.turns), tokens: tokens.saturating_sub(self.host.tokens()) }
    }
}

/// Turns and tokens of this run, and whose bound the turns are.
struct Bounds {
    turns: u32,
    tokens: u64,
    by: &'static str,
}

fn said_by_fallback(host: &Host<'_>, served: &Served) {
    for tried in &served.tried {
        tracing::warn!(
            run_id = %host.run.id, correlation_id = %host.run.correlation, event = "model_fallback",
            code = %tried.failure.code, error = %tried.failure, "{} failed, {} answered", tried.model, served.served_by
        );
    }
}

fn done(served: &Served) -> Result<Done, Failure> {
    let value = serde_json::to_value(served).map_err(|error| {
        Failure::new(Code::E015, "run.journal_mismatch", "worker", "write a model answer").caused_by(&error)
    })?;
    let usage = served.reply.usage;
    Ok(Done {
        value,
        waiting_on: format!("provider:{}", served.reply.provider),
        usage: Some(Usage { input_tokens: usage.input_tokens, output_tokens: usage.output_tokens }),
        is_error: false,
    })
}
