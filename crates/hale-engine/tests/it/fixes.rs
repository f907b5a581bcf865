//! Fixes: done once, verified on fresh evidence, taken back; and a diagnosis that reads the world once.

use crate::world::{Turn, World, caller, state};
use hale_core::code::Code;
use hale_core::run::StateName;
use hale_engine::DryRun;
use hale_engine::remedy::{FixOrder, Fixed};
use hale_store::{AuditRow, Phase};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

/// A world in which the model is limited and a run has failed by it.
async fn limited() -> World {
    let world = World::new().await;
    world.logs.expect(&["Failed to connect", "Retry ", "All retries exhausted", "Execution failed"]);
    world.deploy("agent", "model: sim/small\nretry: { max: 1, backoff: 1s..1s }").await;
    world.model.script([Turn::Limited(None), Turn::Limited(None)]);
    let run = world.submit("agent").await;
    assert_eq!(state(&world.end(run.id).await.run), StateName::Failed);
    assert_eq!(found(&world).await, ["llm.rate_limited"]);
    world
}

async fn found(world: &World) -> Vec<String> {
    let verdict = world.engine.diagnose(None).await.unwrap().verdict;
    verdict.findings.into_iter().map(|finding| finding.code).collect()
}

async fn fix(world: &World, dry_run: DryRun) -> Fixed {
    let order =
        FixOrder { cause: "llm.rate_limited".to_owned(), run: None, dry_run, params: BTreeMap::new() };
    world.engine.fix(order, &caller()).await.unwrap()
}

async fn deeds(world: &World) -> Vec<AuditRow> {
    let rows = world.engine.operations(100).await.unwrap();
    rows.into_iter().filter(|row| row.operation.starts_with("model.")).collect()
}

#[tokio::test(start_paused = true)]
async fn a_fix_is_done_once_verified_and_asked_for_again_it_is_nothing_to_do() {
    let world = limited().await;
    world.model.script([Turn::Limited(None), Turn::Say("from the backup")]);
    let fixed = fix(&world, DryRun::No).await;
    assert_eq!((fixed.outcome, fixed.verified), ("changed", "verified"), "{fixed:?}");
    assert_eq!(world.engine.settings().fallback("sim/small"), ["sim/backup"]);
    let rows = deeds(&world).await;
    let phases: Vec<Phase> = rows.iter().rev().map(|row| row.phase).collect();
    assert_eq!(phases, [Phase::Intent, Phase::Outcome], "one deed: {rows:?}");
    assert_eq!(world.model.count(), 4, "two of the run, two of one canary");
    let again = fix(&world, DryRun::No).await;
    assert_eq!((again.outcome, again.operation), ("nothing to do", None));
    assert_eq!(deeds(&world).await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_fix_that_does_not_help_is_not_called_verified() {
    let world = limited().await;
    world.model.script((0..2).map(|_| Turn::Limited(None)));
    let begun = world.engine.now();
    let fixed = fix(&world, DryRun::No).await;
    assert_eq!((fixed.outcome, fixed.verified), ("changed", "not verified"), "{fixed:?}");
    assert!(fixed.verify_detail.contains("a canary call failed"), "{}", fixed.verify_detail);
    let took = world.engine.now().since(begun).0;
    assert!((30_000..31_000).contains(&took), "it looks for as long as the playbook says: {took}");
    assert_eq!(found(&world).await, ["llm.rate_limited"], "and the cause is still there");
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_tells_the_effect_and_changes_nothing() {
    let world = limited().await;
    let would = fix(&world, DryRun::Yes).await;
    assert_eq!((would.outcome, would.verified, would.operation), ("would change", "not run", None));
    assert_eq!(would.effects, ["model.fallback.sim/small: unset -> sim/backup"]);
    assert!(world.engine.settings().fallback("sim/small").is_empty());
    assert!(deeds(&world).await.is_empty());
    assert_eq!(world.model.count(), 2, "no canary");
}

#[tokio::test(start_paused = true)]
async fn an_undo_restores_the_former_value_also_over_a_restart_and_only_while_nobody_changed_it() {
    let mut world = limited().await;
    world.model.script([Turn::Limited(None), Turn::Say("from the backup")]);
    let fixed = fix(&world, DryRun::No).await;
    world.restart().await;
    let undone = world.engine.undo(fixed.operation.unwrap(), &caller()).await.unwrap();
    assert_eq!(undone.effects, ["model.fallback.sim/small: sim/backup -> unset"]);
    assert!(world.engine.settings().fallback("sim/small").is_empty());
    let stored = hale_store::Store::settings(&*world.store).unwrap();
    assert!(stored.iter().all(|(key, _)| !key.starts_with("model.fallback.")), "{stored:?}");
    let again = world.engine.undo(fixed.operation.unwrap(), &caller()).await.unwrap_err();
    assert_eq!((again.code, again.cause.as_str()), (Code::E011, "operation.undone"));
}

#[tokio::test(start_paused = true)]
async fn a_diagnosis_reads_the_world_once_and_judges_what_it_read() {
    let world = limited().await;
    let before = world.store.looks.load(Ordering::Relaxed);
    world.engine.diagnose(None).await.unwrap();
    assert_eq!(world.store.looks.load(Ordering::Relaxed) - before, 1);
    let evidence = world.engine.evidence(None).await.unwrap();
    let text = evidence.to_json();
    // The world goes on; what was gathered stays as it was.
    world.model.script([Turn::Say("well again")]);
    let run = world.submit("agent").await;
    assert_eq!(state(&world.end(run.id).await.run), StateName::Completed);
    assert!(found(&world).await.is_empty());
    assert_eq!(evidence.to_json(), text);
    let bundled = hale_playbooks::Evidence::from_json(&text).unwrap();
    let verdict = hale_playbooks::diagnose(hale_playbooks::catalogue(), &bundled);
    assert_eq!(verdict.findings[0].code, "llm.rate_limited");
}
