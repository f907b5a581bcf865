//! The agent loop: tools, limits, named steps, fallback.

use crate::world::{Turn, World, caller, order, state};
use hale_core::code::Code;
use hale_core::run::{Event, StateName, Step};
use hale_sandbox::Grant;
use serde_json::json;
use tracing::Level;

async fn steps(world: &World, id: hale_core::id::RunId) -> Vec<Step> {
    let ended = |event| match event {
        Event::StepEnded { step } => Some(*step),
        _ => None,
    };
    world.events(id).await.into_iter().filter_map(ended).collect()
}

#[tokio::test(start_paused = true)]
async fn a_tool_reads_a_granted_file_and_the_model_hears_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    std::fs::write(root.join("a.log"), "first line\nERROR second line\n").unwrap();
    let grant: Grant = format!("{}:ro", root.display()).parse().unwrap();
    let world = World::with(|config| config.files_allow = vec![grant.clone()]).await;
    let more = format!("tools: [files.read]\ngrants: {{ files: [\"{}:ro\"] }}", root.display());
    world.deploy("reader", &more).await;
    let path = root.join("a.log").display().to_string();
    world.model.script([Turn::Call("files_read", json!({ "path": path }))]);
    let run = world.submit("reader").await;
    let run = world.end(run.id).await.run;
    assert_eq!(state(&run), StateName::Completed);
    let steps = steps(&world, run.id).await;
    assert_eq!((steps.len(), steps[1].name.as_str()), (3, "files.read"));
    assert!(!steps[1].is_error, "{:?}", steps[1].result);
    assert!(steps[1].result.to_string().contains("ERROR second line"));
    let heard = format!("{:?}", world.model.calls.lock().unwrap()[1].messages);
    assert!(heard.contains("ERROR second line"));
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_the_pack_has_not_is_an_answer_and_not_an_end() {
    let world = World::new().await;
    world.deploy("agent", "").await;
    world.model.script([Turn::Call("files_read", json!({"path": "/etc/passwd"}))]);
    let run = world.submit("agent").await;
    let run = world.end(run.id).await.run;
    assert_eq!(state(&run), StateName::Completed);
    let steps = steps(&world, run.id).await;
    assert!(steps[1].is_error);
    assert_eq!(steps[1].result["error"]["code"], "E013");
}

// covers: AO-203
#[tokio::test(start_paused = true)]
async fn turns_and_tokens_are_bounded() {
    let world = World::new().await;
    world.logs.expect(&["Execution failed"]);
    world.deploy("turns", "limits: { max_turns: 3 }").await;
    world.model.script((0..9).map(|_| Turn::Call("nothing", json!({}))));
    let run = world.submit("turns").await;
    let failure = world.end(run.id).await.run.failure.unwrap();
    assert_eq!((failure.code, failure.cause.as_str()), (Code::E004, "run.turn_limit"));
    assert_eq!(world.model.count(), 3);
    world.model.turns.lock().unwrap().clear();
    world.deploy("tokens", "limits: { max_tokens: 1000 }").await;
    world.model.script([Turn::Tokens(600), Turn::Tokens(600), Turn::Say("never")]);
    let run = world.submit("tokens").await;
    let failure = world.end(run.id).await.run.failure.unwrap();
    assert_eq!((failure.code, failure.cause.as_str()), (Code::E004, "run.token_limit"));
    assert_eq!(world.model.count(), 5);
}

// covers: AO-120
#[tokio::test(start_paused = true)]
async fn named_steps_are_told_one_by_one() {
    let world = World::new().await;
    world.deploy("research", "steps: [data_collection, analysis, output_generation]").await;
    let run = world.submit("research").await;
    let ended = world.end(run.id).await;
    for line in [
        "Step 1/3 completed: data_collection",
        "Step 2/3 completed: analysis",
        "Step 3/3 completed: output_generation",
    ] {
        assert!(world.logs.has(Level::INFO, line), "{:#?}", world.logs.lines());
    }
    let output: serde_json::Value = serde_json::from_str(&ended.output.unwrap()).unwrap();
    assert_eq!(output["steps"]["analysis"], "done");
}

#[tokio::test(start_paused = true)]
async fn a_fallback_answers_when_the_first_model_is_limited() {
    let world = World::new().await;
    world.deploy("agent", "model: sim/small\nfallback: [sim/backup]").await;
    world.model.script([Turn::Limited(None), Turn::Say("from the backup")]);
    let run = world.engine.submit(order("agent", json!({})), &caller()).await.unwrap().run;
    let ended = world.end(run.id).await;
    assert_eq!(state(&ended.run), StateName::Completed);
    assert!(ended.output.unwrap().contains("from the backup"));
    let calls = world.model.calls.lock().unwrap();
    let models: Vec<&str> = calls.iter().map(|call| call.model.as_str()).collect();
    assert_eq!(models, ["small", "backup"]);
    assert!(world.logs.has(Level::WARN, "sim/small failed, sim/backup answered"));
}
