//! A person's word before a deed: asked, answered, refused, forgotten.

use crate::recovery::{join, poll, token};
use crate::world::{Turn, World, caller, order, state};
use hale_core::code::Code;
use hale_core::limits;
use hale_core::run::{Awaits, Event, Run, State, StateName, StepKind, Wait, WaitOn};
use hale_core::time::Millis;
use hale_engine::facade::workers::Sync;
use hale_engine::input::Append;
use hale_engine::{Caller, Decision, Word};
use hale_store::{AuditFilter, Phase, Store};
use serde_json::json;
use std::time::Duration;

const ASKS: &str = "tools: [pack:publish]\napprove: [pack:publish]";

fn asks(run: &Run) -> bool {
    matches!(run.state, State::Waiting { on: WaitOn::Approval, .. })
}

fn word(word: Word, reason: Option<&str>) -> Decision {
    Decision { word, reason: reason.map(str::to_owned), step: None }
}

fn ada() -> Caller {
    Caller { actor: "ada".into(), ..caller() }
}

/// A world of one slot whose agent asks before it publishes; the run stands at the question.
async fn asking(more: &str) -> (World, Run) {
    let world = World::with(|config| config.embedded_slots = 1).await;
    world.deploy("publish", "kind: echo").await;
    world.deploy("editor", &format!("{ASKS}\n{more}")).await;
    world.model.script([Turn::Call("pack_publish", json!({"page": "news"}))]);
    let run = world.submit("editor").await;
    let run = world.until(run.id, asks).await;
    (world, run)
}

#[tokio::test(start_paused = true)]
async fn a_deed_waits_for_a_yes_and_the_yes_is_in_journal_and_audit() {
    let (world, run) = asking("").await;
    assert_eq!(run.lease(), None);
    let listed = world.engine.approvals().await.unwrap();
    let [listed] = &listed[..] else { panic!("{listed:?}") };
    let Some(Awaits { index: 1, name, wait: Wait::Approval { question, effect } }) = &listed.awaits else {
        panic!("{listed:?}")
    };
    assert_eq!((name.as_str(), question.as_str()), ("pack:publish", r#"pack:publish {"page":"news"}"#));
    assert_eq!(*effect, json!({"tool": "pack:publish", "arguments": {"page": "news"}}));
    assert_eq!(world.engine.children(run.id).await.unwrap(), [], "nothing was done yet");
    world.engine.decide(run.id, word(Word::Approve, Some("looks right")), &ada()).await.unwrap();
    assert_eq!(state(&world.end(run.id).await.run), StateName::Completed);
    let steps = world.steps(run.id).await;
    assert_eq!((steps[1].kind, steps[2].kind), (StepKind::Approval, StepKind::Child));
    assert_eq!(steps[1].result, json!({"approved": true, "by": "ada", "reason": "looks right"}));
    assert_eq!(steps[1].waiting_on, "person:ada");
    assert_eq!(steps[2].result, json!({"page": "news"}));
    let rows = world.store.audit(&AuditFilter::default(), 100).unwrap();
    let rows: Vec<_> = rows.iter().filter(|row| row.operation == "approvals.approve").collect();
    assert_eq!(rows.iter().map(|row| row.phase).collect::<Vec<_>>(), [Phase::Outcome, Phase::Intent]);
    assert!(rows.iter().all(|row| row.actor == "ada" && row.target == run.id.to_string()));
    assert!(rows[1].detail.contains("step 2 pack:publish: looks right"), "{}", rows[1].detail);
}

#[tokio::test(start_paused = true)]
async fn a_no_is_an_error_that_the_model_reads_and_nothing_is_done() {
    let (world, run) = asking("").await;
    world.engine.decide(run.id, word(Word::Deny, Some("not on a Friday")), &ada()).await.unwrap();
    assert_eq!(state(&world.end(run.id).await.run), StateName::Completed);
    let steps = world.steps(run.id).await;
    assert_eq!(steps.len(), 3, "question, no deed, last turn");
    assert_eq!((steps[1].is_error, &steps[1].result["error"]["cause"]), (true, &json!("approval.denied")));
    assert_eq!(world.engine.children(run.id).await.unwrap(), []);
    let heard = format!("{:?}", world.model.calls.lock().unwrap()[1].messages);
    assert!(heard.contains("ada denied it: not on a Friday"), "{heard}");
}

#[tokio::test(start_paused = true)]
async fn a_question_without_an_answer_counts_as_denied_and_the_clock_of_the_run_stands() {
    let (world, run) = asking("limits: { timeout: 60s }\napproval_timeout: 8h").await;
    let since = run.state.since();
    tokio::time::sleep(Duration::from_secs(8 * 3600 - 60)).await;
    assert!(asks(&world.engine.run(run.id).await.unwrap().run));
    let ended = world.end(run.id).await.run;
    assert_eq!(state(&ended), StateName::Completed, "60 s of work are allowed, and 8 h of thought");
    let waited = world.engine.now().since(since);
    assert!(waited >= Millis::seconds(8 * 3600) && waited < Millis::seconds(8 * 3600 + 5), "{waited}");
    assert!(ended.spent < Millis::seconds(5), "{}", ended.spent);
    let steps = world.steps(run.id).await;
    assert_eq!((steps[1].is_error, &steps[1].result["error"]["cause"]), (true, &json!("approval.expired")));
    assert_eq!(world.engine.children(run.id).await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_word_is_for_the_question_that_was_seen_and_for_no_other() {
    let (world, run) = asking("").await;
    let code = async |id, decision| world.engine.decide(id, decision, &ada()).await.unwrap_err().code;
    let other_step = Decision { step: Some(7), ..word(Word::Approve, None) };
    assert_eq!(code(run.id, other_step).await, Code::E011);
    assert!(asks(&world.engine.run(run.id).await.unwrap().run), "it waits still");
    assert_eq!(code(hale_core::id::RunId(7), word(Word::Approve, None)).await, Code::E010);
    let long = "a".repeat(limits::REASON_CHARS + 1);
    assert_eq!(code(run.id, word(Word::Deny, Some(&long))).await, Code::E002);
    let this_step = Decision { step: Some(1), ..word(Word::Approve, None) };
    world.engine.decide(run.id, this_step, &ada()).await.unwrap();
    world.end(run.id).await;
    assert_eq!(code(run.id, word(Word::Approve, None)).await, Code::E011);
    // What was refused is in the trail too.
    let rows = world.store.audit(&AuditFilter::default(), 100).unwrap();
    assert!(rows.iter().any(|row| row.detail.contains("refused: approve run")), "{rows:?}");
}

#[tokio::test(start_paused = true)]
async fn a_question_outlives_the_server_and_a_resolve_is_no_answer_to_it() {
    let (mut world, run) = asking("").await;
    world.restart().await;
    assert_eq!(world.engine.approvals().await.unwrap().len(), 1);
    let refused = world.engine.resolve(run.id, hale_engine::Resolve::Fail, &ada()).await.unwrap_err();
    assert_eq!(refused.code, Code::E011, "it is not parked");
    world.engine.decide(run.id, word(Word::Approve, None), &ada()).await.unwrap();
    assert_eq!(state(&world.end(run.id).await.run), StateName::Completed);
    assert_eq!(world.engine.approvals().await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_asks_can_be_cancelled_and_then_asks_no_more() {
    let (world, run) = asking("").await;
    world.engine.cancel(run.id, None, &caller()).await.unwrap();
    assert_eq!(state(&world.end(run.id).await.run), StateName::Cancelled);
    assert_eq!(world.engine.approvals().await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn approve_all_asks_before_every_tool_but_not_before_what_is_none() {
    let world = World::new().await;
    world.deploy("sleeper", "tools: [time.sleep]\napprove: all").await;
    world.model.script([Turn::Calls(vec![("nothing", json!({})), ("time_sleep", json!({"seconds": 1}))])]);
    let run = world.engine.submit(order("sleeper", json!({})), &caller()).await.unwrap().run;
    let run = world.until(run.id, asks).await;
    assert_eq!(run.awaits.unwrap().name, "time.sleep");
    world.engine.decide(run.id, word(Word::Approve, None), &ada()).await.unwrap();
    world.end(run.id).await;
    let kinds: Vec<_> = world.steps(run.id).await.iter().map(|step| step.kind).collect();
    use StepKind::{Approval, Model, Timer, Tool};
    assert_eq!(kinds, [Model, Tool, Approval, Timer, Model]);
}

#[tokio::test(start_paused = true)]
async fn a_parked_step_is_in_the_list_and_has_an_answer_of_its_own() {
    let world = World::with(|config| config.embedded_slots = 0).await;
    world.deploy("agent", "").await;
    let worker = join(&world, 1).await;
    let run = world.submit("agent").await;
    assert_eq!(poll(&world, worker, Vec::new()).await.len(), 1);
    let parked = Event::Parked { index: 0, name: "mail.send".to_owned() };
    let append = Append { run: run.id, epoch: 1, events: vec![parked], spawn: None, token: token(run.id, 1) };
    let sync = Sync { appends: vec![append], ..Sync::default() };
    assert_eq!(world.engine.worker_sync(worker, sync).await.unwrap().results, [Ok(())]);
    let listed = world.engine.approvals().await.unwrap();
    assert_eq!(listed[0].awaits.as_ref().unwrap().wait, Wait::Parked);
    let refused = world.engine.decide(run.id, word(Word::Approve, None), &ada()).await.unwrap_err();
    assert_eq!(refused.code, Code::E011);
    assert!(refused.message.contains(&format!("hale runs resolve {} --as retry", run.id)), "{refused}");
    let says = world.engine.diagnose(Some(run.id)).await.unwrap().says;
    assert!(says.contains("step 1 (mail.send) was in flight at a crash"), "{says}");
    world.engine.resolve(run.id, hale_engine::Resolve::Fail, &ada()).await.unwrap();
    assert_eq!(state(&world.end(run.id).await.run), StateName::Cancelled);
    assert_eq!(world.engine.approvals().await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_question_that_waits_for_an_hour_is_told() {
    let (world, run) = asking("").await;
    let look = world.engine.look().await.unwrap();
    assert_eq!(
        (look.approvals, look.approvals_stalled, look.approvals_since),
        (1, 0, Some(run.state.since()))
    );
    tokio::time::sleep(limits::APPROVAL_STALL.duration()).await;
    let look = world.engine.look().await.unwrap();
    assert_eq!((look.approvals, look.approvals_stalled), (1, 1));
    let evidence = world.engine.evidence(None).await.unwrap().to_json();
    assert!(evidence.contains("approvals.stalled"), "{evidence}");
    let says = world.engine.diagnose(Some(run.id)).await.unwrap().says;
    for part in
        ["since 1h", "for a person's word on: pack:publish", "hale approvals approve", "hale approvals deny"]
    {
        assert!(says.contains(part), "{part}: {says}");
    }
}
