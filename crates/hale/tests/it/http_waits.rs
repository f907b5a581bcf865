//! Waits over HTTP: approvals listed and decided, children shown with their parents.

use crate::http_house::House;
use hale::wire::waits::ApprovalView;
use hale::wire::{Diagnosis, OperationView, Page, RunView, Status};
use hale_core::port::Boxed;
use hale_engine::{Caller, DryRun};
use hale_gateway::Error;
use hale_gateway::provider::{ChatReply, ChatRequest, Finish, OnChunk, Provider, ToolCall, Usage};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Calls its first tool once, then says `done`.
struct Caller1;

impl Provider for Caller1 {
    fn name(&self) -> &str {
        "sim"
    }

    fn chat<'a>(&'a self, request: &'a ChatRequest, _: OnChunk<'a>) -> Boxed<'a, Result<ChatReply, Error>> {
        // System prompt and input: nothing was called yet.
        let first = request.messages.len() == 2;
        let call = request.tools.first().filter(|_| first).map(|tool| ToolCall {
            id: "c1".to_owned(),
            name: tool.name.clone(),
            arguments: json!({"page": "news"}),
        });
        let reply = ChatReply {
            text: if call.is_some() { String::new() } else { "done".to_owned() },
            finish: if call.is_some() { Finish::ToolCalls } else { Finish::Stop },
            tool_calls: call.into_iter().collect(),
            usage: Usage::default(),
            model: request.model.clone(),
            provider: "sim".to_owned(),
            latency: hale_core::time::Millis(1),
            time_to_first_chunk: None,
        };
        Box::pin(async move { Ok(reply) })
    }

    fn models(&self, _: tokio::time::Instant) -> Boxed<'_, Result<Vec<String>, Error>> {
        Box::pin(async { Ok(vec!["small".to_owned()]) })
    }
}

/// A house whose agent `editor` asks before it lets `echo` run.
async fn asking() -> (House, String) {
    let house = House::open().await;
    house.app.engine.gateway().replace(vec![Arc::new(Caller1)]);
    let pack = "---\nname: editor\nversion: 1.0.0\ntools: [pack:echo]\napprove: all\n---\nPublish.\n";
    house.app.engine.deploy("editor.md", pack.as_bytes(), DryRun::No, &Caller::engine()).await.unwrap();
    let run: RunView = house.post("/api/v1/runs", json!({"pack": "editor"})).gives(202).await.json();
    let id = run.id;
    for _ in 0..500 {
        if !asked(&house).await.is_empty() {
            return (house, id);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{id} does not ask");
}

async fn asked(house: &House) -> Vec<ApprovalView> {
    house.get("/api/v1/approvals").gives(200).await.json::<Page<ApprovalView>>().items
}

fn word(id: &str, word: &str) -> String {
    format!("/api/v1/runs/{id}/{word}")
}

#[tokio::test]
async fn what_is_asked_is_shown_exactly_and_a_yes_lets_it_happen() {
    let (house, id) = asking().await;
    let asks = asked(&house).await.remove(0);
    assert_eq!(
        (asks.run.as_str(), asks.kind.as_str(), asks.index, asks.stalled),
        (id.as_str(), "approval", 1, false)
    );
    assert_eq!(asks.question, r#"pack:echo {"page":"news"}"#);
    assert_eq!(asks.effect, Some(json!({"tool": "pack:echo", "arguments": {"page": "news"}})));
    let status: Status = house.get("/api/v1/status").gives(200).await.json();
    assert_eq!((status.approvals, status.approvals_stalled), (1, 0));
    let waiting: RunView = house.get(&format!("/api/v1/runs/{id}")).gives(200).await.json();
    let awaits = waiting.awaits.unwrap();
    assert_eq!(
        (awaits.kind.as_str(), awaits.question.as_deref()),
        ("approval", Some(asks.question.as_str()))
    );
    assert_eq!((waiting.state.as_str(), waiting.worker), ("RUNNING", None));
    let why: Diagnosis = house.get(&format!("/api/v1/runs/{id}/why")).gives(200).await.json();
    assert!(why.says.contains(&format!("hale approvals approve {id}")), "{}", why.says);
    // Another step than the one that was seen.
    let problem = house.post(&word(&id, "approve"), json!({"index": 4})).gives(409).await.problem();
    assert_eq!((problem.code.as_str(), problem.run_id.as_deref()), ("E011", Some(id.as_str())));
    let order = json!({"index": 1, "reason": "checked"});
    house.post(&word(&id, "approve"), order).gives(200).await;
    let ended: RunView = house.get(&format!("/api/v1/runs/{id}?wait=30s")).gives(200).await.json();
    assert_eq!((ended.state.as_str(), ended.output), ("COMPLETED", Some(json!({"answer": "done"}))));
    let [child] = &ended.children[..] else { panic!("{:?}", ended.children) };
    assert_eq!((child.index, child.pack.as_str(), child.state.as_str()), (2, "echo", "COMPLETED"));
    let child: RunView = house.get(&format!("/api/v1/runs/{}", child.id)).gives(200).await.json();
    assert_eq!(
        (child.parent, child.parent_index, child.trigger.as_str()),
        (Some(id.clone()), Some(2), "child")
    );
    assert_eq!(asked(&house).await.len(), 0);
    let trail: Page<OperationView> = house.get("/api/v1/operations").gives(200).await.json();
    let line = trail.items.iter().find(|line| line.outcome == "done" && line.target == id).unwrap();
    assert_eq!((line.operation.as_str(), line.actor.as_str()), ("approvals.approve", "local"));
    assert!(line.detail.contains("checked"), "{}", line.detail);
}

#[tokio::test]
async fn a_no_goes_on_without_the_deed_and_a_second_word_is_a_conflict() {
    let (house, id) = asking().await;
    house.post(&word(&id, "deny"), json!({})).gives(200).await;
    let ended: RunView = house.get(&format!("/api/v1/runs/{id}?wait=30s")).gives(200).await.json();
    assert_eq!((ended.state.as_str(), ended.children.len()), ("COMPLETED", 0));
    let problem = house.post(&word(&id, "approve"), json!({})).gives(409).await.problem();
    assert_eq!((problem.code.as_str(), problem.fix.as_deref()), ("E011", Some("hale approvals list")));
    let nobody = "run_01JD4M8Q2R7WX5B9N3K6T0VYHZ";
    assert_eq!(house.post(&word(nobody, "deny"), json!({})).gives(404).await.problem().code, "E010");
    let wrong: Value = json!({"reason": "a".repeat(1001)});
    assert_eq!(house.post(&word(&id, "deny"), wrong).gives(422).await.problem().code, "E002");
    assert_eq!(
        house.post(&word(&id, "deny"), json!({"why": "x"})).gives(422).await.problem().field.as_deref(),
        Some("why")
    );
}
