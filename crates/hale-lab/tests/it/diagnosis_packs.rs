//! Owner and mode of pack files: really turned, found by their bits (the tests may run as root, whom nothing denies),
//! mended, verified and given back; and the near misses, which must stay silent.

use crate::diagnosis::{World, caller, named};
use hale_core::code::Code;
use hale_engine::remedy::FixOrder;
use hale_engine::{DryRun, Engine};
use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A user that nobody here is.
const STRANGER: u32 = 54_321;

fn turn(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn folder() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    for name in ["alpha", "beta"] {
        let text = format!("---\nname: {name}\nversion: 1.0.0\ndescription: For a test.\nkind: echo\n---\n");
        let path = dir.path().join(format!("{name}.md"));
        std::fs::write(&path, text).unwrap();
        turn(&path, 0o644);
    }
    let beta = dir.path().join("beta.md");
    (dir, beta)
}

async fn order(engine: &Engine, cause: &str, dry_run: DryRun) -> Vec<String> {
    let order = FixOrder { cause: cause.to_owned(), run: None, dry_run, params: BTreeMap::new() };
    engine.fix(order, &caller()).await.unwrap().effects
}

// covers: CX-61, CX-63
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_pack_file_is_named_mended_verified_and_given_back() {
    let (dir, beta) = folder();
    let world = World::watching(1, Some(dir.path().to_owned())).await;
    assert!(named(&world.diagnose(None).await).is_empty());
    world.inject("packs.close", &[("pack", "beta")]).await;
    world.armed();
    assert_eq!(mode(&beta), 0o000, "the fault took no effect");
    let diagnosed = world.diagnose(None).await;
    assert_eq!(named(&diagnosed), ["packs.unreadable"]);
    assert!(diagnosed.verdict.findings[0].cause.contains("beta.md (mode 0000, owner "), "{}", diagnosed.says);
    let would = order(&world.engine, "packs.unreadable", DryRun::Yes).await;
    assert_eq!(would, ["beta.md: mode 0000 -> 0644"]);
    assert_eq!(mode(&beta), 0o000, "a dry run changes nothing");
    let fixed = world.fix("packs.unreadable", None).await;
    assert_eq!((fixed.outcome, fixed.verified), ("changed", "verified"), "{fixed:?}");
    assert_eq!((fixed.effects, mode(&beta)), (would, 0o644));
    assert!(!world.lab.list().is_empty(), "removing the fault is no fix");
    assert!(named(&world.diagnose(None).await).is_empty());
    let undone = world.engine.undo_cause("packs.unreadable", &caller()).await.unwrap();
    assert_eq!((undone.cause.as_str(), mode(&beta)), ("packs.unreadable", 0o000));
    assert_eq!(undone.effects, ["beta.md: mode 0644 -> 0000"]);
    assert_eq!(named(&world.diagnose(None).await), ["packs.unreadable"]);
    let again = world.engine.undo_cause("packs.unreadable", &caller()).await.unwrap_err();
    assert_eq!((again.code, again.cause.as_str()), (Code::E011, "operation.undone"));
    let never = world.engine.undo_cause("packs.writable_by_others", &caller()).await.unwrap_err();
    assert_eq!(never.code, Code::E010);
    world.lab.clear_all().await.unwrap();
    assert_eq!(mode(&beta), 0o644, "the lab takes its own fault away");
}

// covers: CX-61, CX-63
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_pack_file_is_named_and_closed_and_a_changed_one_is_not_undone() {
    let (dir, _) = folder();
    let world = World::watching(1, Some(dir.path().to_owned())).await;
    world.inject("packs.open", &[]).await;
    let alpha = dir.path().join("alpha.md");
    assert_eq!(mode(&alpha), 0o666, "the fault took no effect");
    assert_eq!(named(&world.diagnose(None).await), ["packs.writable_by_others"]);
    let fixed = world.fix("packs.writable_by_others", None).await;
    assert_eq!((fixed.outcome, fixed.verified), ("changed", "verified"), "{fixed:?}");
    assert_eq!(mode(&alpha), 0o644);
    turn(&alpha, 0o640);
    let moved = world.engine.undo_cause("packs.writable_by_others", &caller()).await.unwrap_err();
    assert_eq!(moved.code, Code::E011);
    assert!(moved.to_string().contains("alpha.md"), "{moved}");
    assert_eq!(mode(&alpha), 0o640, "what somebody set since is left alone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_a_stranger_goes_to_the_owner_of_the_folder() {
    let (dir, beta) = folder();
    // Only root can give a file away; others are told to ask root, which a test of its own proves.
    if chown(&beta, Some(STRANGER), Some(STRANGER)).is_err() {
        return;
    }
    turn(&beta, 0o600);
    let own = std::fs::metadata(dir.path()).unwrap().uid();
    let world = World::watching(1, Some(dir.path().to_owned())).await;
    let mut found = named(&world.diagnose(None).await);
    found.sort();
    assert_eq!(
        found,
        ["packs.unreadable", "packs.writable_by_others"],
        "root reads it, its mode does not say so"
    );
    let fixed = world.fix("packs.unreadable", None).await;
    assert_eq!(fixed.verified, "verified", "{fixed:?}");
    assert!(fixed.effects[0].starts_with("beta.md: mode 0600 -> 0644, owner 54321:54321 -> "), "{fixed:?}");
    let now = std::fs::metadata(&beta).unwrap();
    assert_eq!((now.uid(), mode(&beta)), (own, 0o644));
    assert!(named(&world.diagnose(None).await).is_empty());
    world.engine.undo(fixed.operation.unwrap(), &caller()).await.unwrap();
    assert_eq!((std::fs::metadata(&beta).unwrap().uid(), mode(&beta)), (STRANGER, 0o600));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strict_files_files_of_the_own_group_and_links_are_no_finding() {
    let (dir, beta) = folder();
    let out = tempfile::tempdir().unwrap();
    let outside = out.path().join("outside.md");
    std::fs::write(&outside, "---\n").unwrap();
    turn(&outside, 0o000);
    symlink(&outside, dir.path().join("outside.md")).unwrap();
    let world = World::watching(1, Some(dir.path().to_owned())).await;
    for near in [0o400, 0o600, 0o640, 0o664] {
        turn(&beta, near);
        assert!(named(&world.diagnose(None).await).is_empty(), "{near:04o}");
    }
    turn(&beta, 0o000);
    assert_eq!(named(&world.diagnose(None).await), ["packs.unreadable"], "the twin is near");
    world.fix("packs.unreadable", None).await;
    assert_eq!((mode(&beta), mode(&outside)), (0o644, 0o000), "no link was followed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_a_fault_does_not_take_is_refused_with_those_that_it_takes() {
    let world = World::watching(1, None).await;
    let inject = async |fault: &str, name: &str| {
        let params = BTreeMap::from([(name.to_owned(), "x".to_owned())]);
        world.lab.inject(fault, None, params).await.unwrap_err()
    };
    let slip = inject("llm.slow", "wiat").await;
    assert_eq!(slip.code, Code::E002);
    assert!(slip.to_string().ends_with("it takes model, wait; did you mean wait?"), "{slip}");
    assert!(inject("llm.rate_limit", "wait").await.to_string().ends_with("it takes model"));
    assert!(inject("worker.kill_all", "model").await.to_string().ends_with("it takes no values"));
    assert!(world.engine.embedded().is_some(), "nothing was injected");
    let unknown = inject("llm.rate_limited", "model").await;
    assert!(unknown.to_string().ends_with("did you mean llm.rate_limit?"), "{unknown}");
    let nowhere = world.lab.inject("packs.close", None, BTreeMap::new()).await.unwrap_err();
    assert_eq!(nowhere.code, Code::E011);
}
