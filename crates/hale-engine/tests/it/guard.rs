//! The content guard in a run: each place with each action, in the journal, on the way to the model and to readers.

use crate::world::{Turn, World, caller, order, state};
use hale_core::code::Code;
use hale_core::guard::Action;
use hale_core::run::{Run, StateName};
use hale_engine::live::Live;
use hale_sandbox::Grant;
use serde_json::json;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing::Level;

/// Later than the reader has come.
fn streamed(text: &'static str) -> Turn {
    Turn::Late(Duration::from_secs(1), Box::new(Turn::Stream(text)))
}

const MAIL: &str = "ada@example.com";

/// What there is to see of a run that has ended.
struct Seen {
    run: Run,
    output: String,
    /// All that the model was sent.
    heard: String,
    /// All steps of the journal.
    journal: String,
    /// What a reader of the stream got.
    read: String,
}

struct Case<'a> {
    guard: &'a str,
    input: &'a str,
    turns: Vec<Turn>,
}

/// A world with a file that holds an address, and a pack that may read it.
async fn ran(world: &World, folder: &std::path::Path, case: Case<'_>) -> Seen {
    let more = format!(
        "tools: [files.read]\ngrants: {{ files: [\"{}:ro\"] }}\nguard: {}",
        folder.display(),
        case.guard
    );
    // A version of a pack never changes: each guard has a pack of its own.
    let name = format!("agent-{}", case.guard.bytes().map(u32::from).sum::<u32>());
    world.deploy(&name, &more).await;
    world.model.script(case.turns);
    let run = world.engine.submit(order(&name, json!({"note": case.input})), &caller()).await.unwrap().run;
    let mut live = world.engine.live(run.id);
    let heard_so_far = Arc::new(Mutex::new(String::new()));
    let read = heard_so_far.clone();
    let reader = hale_engine::tasks::spawn("test-reader", async move {
        while let Ok(live) = live.recv().await {
            if let Live::Chunk { offset, text, .. } = live {
                let mut read = read.lock().unwrap();
                assert_eq!(offset, read.len() as u64, "offsets are those of what was let through");
                read.push_str(&text);
            }
        }
    });
    let ended = world.end(run.id).await;
    let journal = format!("{:?}", world.events(run.id).await);
    tokio::time::sleep(Duration::from_secs(1)).await;
    reader.abort();
    let read = heard_so_far.lock().unwrap().clone();
    let heard = format!(
        "{:?}",
        world.model.calls.lock().unwrap().iter().map(|call| &call.messages).collect::<Vec<_>>()
    );
    Seen { run: ended.run, output: ended.output.unwrap_or_default().to_string(), heard, journal, read }
}

fn folder() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    std::fs::write(root.join("mail.txt"), format!("write to {MAIL} today\n")).unwrap();
    (dir, root)
}

async fn world(root: &std::path::Path) -> World {
    let grant: Grant = format!("{}:ro", root.display()).parse().unwrap();
    World::with(|config| config.files_allow = vec![grant]).await
}

fn read(root: &std::path::Path) -> Turn {
    Turn::Call("files_read", json!({"path": root.join("mail.txt").display().to_string()}))
}

fn blocked(seen: &Seen, place: &str) {
    assert_eq!(state(&seen.run), StateName::Failed);
    let failure = seen.run.failure.as_ref().unwrap();
    assert_eq!((failure.code, failure.cause.as_str()), (Code::E017, "guard.blocked"));
    assert_eq!(failure.message, format!("pass the {place}: it holds email, which the guard blocks"));
}

// covers: OL-199
#[tokio::test(start_paused = true)]
async fn what_comes_in_reaches_the_model_as_the_pack_says() {
    let (_dir, root) = folder();
    let world = world(&root).await;
    world.logs.expect(&["Execution failed", "Step failed"]);
    let of = |guard| Case { guard, input: "from ada@example.com", turns: vec![streamed("Fine.")] };
    let seen = ran(&world, &root, of("{ input: shadow }")).await;
    assert!(seen.heard.contains(MAIL));
    assert!(world.logs.has(Level::WARN, "PII detected"), "{:#?}", world.logs.lines());
    world.model.calls.lock().unwrap().clear();
    let seen = ran(&world, &root, of("{ input: redact }")).await;
    assert!(seen.heard.contains("from [email]") && !seen.heard.contains(MAIL), "{}", seen.heard);
    assert_eq!((state(&seen.run), seen.read.as_str()), (StateName::Completed, "Fine."));
    world.model.calls.lock().unwrap().clear();
    let seen = ran(&world, &root, of("{ input: block }")).await;
    blocked(&seen, "input");
    assert_eq!(world.model.count(), 0, "the model was not called");
    let lines = world.logs.whole().join("\n");
    let told = "WARN PII detected run_id=";
    assert_eq!(lines.matches(told).count(), 3, "one line a run: {lines}");
    assert!(lines.contains("place=input kinds=\"email 1 (redact)\" count=1"), "{lines}");
    assert!(!lines.contains(MAIL), "no line holds the value: {lines}");
}

#[tokio::test(start_paused = true)]
async fn what_the_model_says_is_read_and_journaled_as_the_pack_says() {
    let (_dir, root) = folder();
    let world = world(&root).await;
    world.logs.expect(&["Execution failed", "Step failed"]);
    let of = |guard| Case {
        guard,
        input: "x",
        turns: vec![streamed("Write to ada@example.com now, or ada@example.com")],
    };
    let seen = ran(&world, &root, of("{ output: shadow }")).await;
    assert_eq!(seen.read, "Write to ada@example.com now, or ada@example.com");
    assert!(seen.output.contains(MAIL) && seen.journal.contains(MAIL));
    let seen = ran(&world, &root, of("{ output: redact }")).await;
    assert_eq!(seen.read, "Write to [email] now, or [email]");
    assert!(seen.output.contains("Write to [email] now, or [email]"), "{}", seen.output);
    assert!(!seen.journal.contains(MAIL), "{}", seen.journal);
    let seen = ran(&world, &root, of("{ output: block }")).await;
    blocked(&seen, "output");
    assert_eq!(seen.read, "Write to ");
    assert!(!seen.journal.contains(MAIL), "{}", seen.journal);
}

#[tokio::test(start_paused = true)]
async fn what_the_model_gives_to_a_tool_is_output_too() {
    let (_dir, root) = folder();
    let world = world(&root).await;
    let turns = vec![Turn::Call("files_read", json!({"path": "/tmp/ada@example.com"})), Turn::Say("done")];
    let seen = ran(&world, &root, Case { guard: "{ output: redact }", input: "x", turns }).await;
    assert!(!seen.journal.contains(MAIL) && seen.journal.contains("/tmp/[email]"), "{}", seen.journal);
}

#[tokio::test(start_paused = true)]
async fn what_a_tool_gives_is_journaled_and_heard_as_the_pack_says() {
    let (_dir, root) = folder();
    let world = world(&root).await;
    world.logs.expect(&["Execution failed", "Step failed"]);
    for (guard, heard) in [
        ("{ tools: shadow }", "write to ada@example.com today"),
        ("{ tools: redact }", "write to [email] today"),
        ("{ tools: block, kinds: { email: redact } }", "write to [email] today"),
        ("{ tools: { files.read: allow, all: block } }", "write to ada@example.com today"),
    ] {
        world.model.calls.lock().unwrap().clear();
        let turns = vec![read(&root), Turn::Say("done")];
        let seen = ran(&world, &root, Case { guard, input: "x", turns }).await;
        assert_eq!(state(&seen.run), StateName::Completed, "{guard}");
        assert!(seen.heard.contains(heard), "{guard}: {}", seen.heard);
        assert_eq!(seen.journal.contains(MAIL), heard.contains(MAIL), "{guard}: {}", seen.journal);
    }
    world.model.calls.lock().unwrap().clear();
    let case = Case { guard: "{ tools: block }", input: "x", turns: vec![read(&root), Turn::Say("never")] };
    let seen = ran(&world, &root, case).await;
    blocked(&seen, "result of tool files.read");
    assert!(!seen.journal.contains(MAIL), "{}", seen.journal);
    assert_eq!(world.model.count(), 1, "it is not tried again");
}

#[tokio::test(start_paused = true)]
async fn where_a_pack_says_nothing_the_server_says() {
    let world = World::with(|config| config.guard_default = Action::Redact).await;
    world.deploy("agent", "").await;
    world.model.script([Turn::Say("Write to ada@example.com")]);
    let run = world.engine.submit(order("agent", json!({"n": MAIL})), &caller()).await.unwrap().run;
    let ended = world.end(run.id).await;
    assert!(ended.output.unwrap().contains("Write to [email]"));
    let heard = format!("{:?}", world.model.calls.lock().unwrap()[0].messages);
    assert!(!heard.contains(MAIL), "{heard}");
}
