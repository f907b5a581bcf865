//! Packs: versions never change, a broken reload leaves the last good one running, a failed run is started again;
//! and health, which follows its probes.

use crate::world::{Turn, World, caller, order, pack, state};
use hale_core::code::Code;
use hale_core::limits;
use hale_core::run::{StateName, Trigger};
use hale_engine::DryRun;
use hale_engine::health::Status;
use hale_engine::registry::PackInfo;
use hale_store::Phase;
use serde_json::json;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

#[tokio::test(start_paused = true)]
async fn a_version_is_never_another_content_and_the_way_back_is_open() {
    let world = World::new().await;
    world.deploy("echo", "kind: echo").await;
    let other = pack("echo", "kind: echo\ncapabilities: [more]");
    let refused = world.engine.deploy("echo.md", other.as_bytes(), DryRun::No, &caller()).await;
    assert_eq!(refused.unwrap_err().code, Code::E011);
    let newer = other.replace("1.0.0", "1.1.0");
    world.engine.deploy("echo.md", newer.as_bytes(), DryRun::No, &caller()).await.unwrap();
    assert_eq!(world.engine.pack("echo", None).await.unwrap().manifest.version, "1.1.0");
    let back = world.engine.rollback("echo", None, &caller()).await.unwrap();
    assert_eq!(back.manifest.version, "1.0.0");
    let rows = world.engine.operations(20).await.unwrap();
    let halves: Vec<Phase> =
        rows.iter().filter(|row| row.operation == "packs.rollback").map(|row| row.phase).collect();
    assert!(halves.contains(&Phase::Intent) && halves.contains(&Phase::Outcome), "{rows:?}");
}

// covers: CX-66
#[tokio::test(start_paused = true)]
async fn a_broken_file_leaves_the_last_good_version_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("echo.md");
    std::fs::write(&file, pack("echo", "kind: echo")).unwrap();
    let packs = folder.path().to_owned();
    let world = World::with(move |config| config.packs = Some(packs)).await;
    world.logs.expect(&["pack echo not reloaded, the last good version keeps running"]);
    assert_eq!(world.engine.packs().len(), 1, "a file is taken at the start, however young");
    std::fs::write(&file, "---\nname: echo\nkind: ech").unwrap();
    let refused = world.engine.reload("echo", &caller()).await.unwrap_err();
    assert_eq!(refused.code, Code::E012);
    let kept = world.engine.pack("echo", None).await.unwrap();
    assert_eq!(kept.manifest.version, "1.0.0");
    assert!(kept.reload_error.is_some());
    let run = world.engine.submit(order("echo", json!({})), &caller()).await.unwrap().run;
    assert_eq!(state(&world.end(run.id).await.run), StateName::Completed);
    std::fs::write(&file, pack("echo", "kind: echo\ncapabilities: [more]")).unwrap();
    let mended = world.engine.reload("echo", &caller()).await.unwrap();
    assert!(mended.manifest.version.starts_with("1.0.0+"), "{}", mended.manifest.version);
    assert!(world.engine.pack("echo", None).await.unwrap().reload_error.is_none());
}

/// Writes a pack file as an editor leaves it: done a minute ago, or still at it.
fn write(file: &std::path::Path, text: &str, at: SystemTime) {
    std::fs::write(file, text).unwrap();
    std::fs::File::options().append(true).open(file).unwrap().set_modified(at).unwrap();
}

// covers: CX-66
#[tokio::test(start_paused = true)]
async fn a_half_written_file_of_the_watched_folder_leaves_the_last_good_version_until_it_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("echo.md");
    let long_ago = SystemTime::now() - Duration::from_secs(60);
    write(&file, &pack("echo", "kind: echo"), long_ago);
    let packs = folder.path().to_owned();
    let world = World::with(move |config| config.packs = Some(packs)).await;
    world.logs.expect(&["pack echo not reloaded, the last good version keeps running"]);
    let whole = pack("echo", "kind: echo\ncapabilities: [more]").replace("1.0.0", "1.1.0");
    let half = &whole[..whole.find("capabilities").unwrap() + 5];
    // Still being written: nothing is taken and nothing is said, however often the folder is looked at.
    write(&file, half, SystemTime::now() + Duration::from_secs(3600));
    tokio::time::sleep(Duration::from_secs(30)).await;
    let kept = world.engine.pack("echo", None).await.unwrap();
    assert_eq!((kept.manifest.version.as_str(), kept.reload_error), ("1.0.0", None));
    // Left half written: said, and the last good version keeps running.
    write(&file, half, long_ago + Duration::from_secs(1));
    let kept = look(&world, |info| info.reload_error.is_some()).await;
    assert_eq!(kept.manifest.version, "1.0.0");
    assert!(kept.reload_error.unwrap().contains("echo.md"));
    let run = world.engine.submit(order("echo", json!({})), &caller()).await.unwrap().run;
    assert_eq!(&*run.pack.version, "1.0.0");
    assert_eq!(state(&world.end(run.id).await.run), StateName::Completed);
    assert_eq!(world.engine.probe().await.status, Status::Degraded, "health tells of it");
    // Whole: in place without anybody's order.
    write(&file, &whole, long_ago + Duration::from_secs(2));
    let mended = look(&world, |info| info.reload_error.is_none()).await;
    assert_eq!((mended.manifest.version.as_str(), mended.manifest.capabilities.len()), ("1.1.0", 1));
    let run = world.engine.submit(order("echo", json!({})), &caller()).await.unwrap().run;
    assert_eq!(&*run.pack.version, "1.1.0");
    assert_eq!(world.engine.probe().await.status, Status::Healthy);
}

/// The pack once the watched folder was looked at, which happens every two seconds at the latest.
async fn look(world: &World, what: impl Fn(&PackInfo) -> bool) -> PackInfo {
    for _ in 0..100 {
        let info = world.engine.pack("echo", None).await.unwrap();
        if what(&info) {
            return info;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("the folder was not looked at: {:?}", world.engine.pack("echo", None).await);
}

// covers: AO-133
// covers: AO-135
#[tokio::test(start_paused = true)]
async fn a_failed_run_is_started_again_under_a_new_id_that_names_the_old() {
    let world = World::new().await;
    world.deploy("agent", "limits: { timeout: 5s }").await;
    world.model.script([Turn::Limited(Some(hale_core::time::Millis::seconds(60))), Turn::Say("better")]);
    let first = world.submit("agent").await;
    let failed = world.end(first.id).await.run;
    assert_eq!(state(&failed), StateName::Failed);
    world.logs.expect(&["Failed to connect", "No retry", "Execution failed"]);
    let again = world.engine.retry(first.id, None, &caller()).await.unwrap().run;
    assert_ne!(again.id, first.id);
    let again = world.end(again.id).await.run;
    assert_eq!(
        (state(&again), again.retry_of, again.trigger),
        (StateName::Completed, Some(first.id), Trigger::Retry)
    );
    world.model.script([Turn::Hang]);
    let live = world.submit("agent").await;
    let early = world.engine.retry(live.id, None, &caller()).await;
    assert!(early.is_err_and(|failure| failure.code == Code::E011));
}

// covers: TRAP-06
#[tokio::test(start_paused = true)]
async fn health_follows_its_probes_and_mends_with_them() {
    let world = World::new().await;
    assert_eq!(world.engine.probe().await.status, Status::Healthy);
    world.store.broken.store(true, Ordering::Relaxed);
    let ill = world.engine.probe().await;
    assert_eq!(ill.status, Status::Unhealthy);
    assert!(ill.components.iter().any(|part| part.name == "store" && part.status == Status::Unhealthy));
    world.store.broken.store(false, Ordering::Relaxed);
    assert_eq!(world.engine.probe().await.status, Status::Healthy);
    world.engine.kill_embedded("for the test").await;
    let without = world.engine.probe().await;
    assert_eq!(without.status, Status::Degraded, "{:?}", without.components);
}

fn numbered(n: usize) -> String {
    pack("echo", "kind: echo").replace("1.0.0", &format!("1.0.{n}"))
}

async fn versions(world: &World) -> Vec<String> {
    let info = world.engine.pack("echo", None).await.unwrap();
    info.versions.iter().map(ToString::to_string).collect()
}

#[tokio::test(start_paused = true)]
async fn the_oldest_version_is_forgotten_unless_a_run_or_the_way_back_needs_it() {
    // No worker: the run of the first version waits.
    let world = World::with(|config| config.embedded_slots = 0).await;
    let deploy = async |n: usize| {
        world.engine.deploy("echo.md", numbered(n).as_bytes(), DryRun::No, &caller()).await.unwrap();
    };
    for n in 0..limits::PACK_VERSIONS_KEPT {
        deploy(n).await;
    }
    let mut first = order("echo", json!({}));
    first.version = Some("1.0.0".to_owned());
    let waiting = world.engine.submit(first, &caller()).await.unwrap().run;
    assert_eq!(versions(&world).await.len(), limits::PACK_VERSIONS_KEPT);
    deploy(100).await;
    let kept = versions(&world).await;
    assert_eq!(kept.last().unwrap(), "1.0.0", "a run of it waits");
    // 1.0.1 becomes the current one, and then the way back from the next deploy.
    world.engine.rollback("echo", Some("1.0.1"), &caller()).await.unwrap();
    deploy(101).await;
    let kept = versions(&world).await;
    assert!(kept.contains(&"1.0.1".to_owned()) && kept.contains(&"1.0.0".to_owned()), "{kept:?}");
    world.engine.start_embedded(1).await.unwrap();
    assert_eq!(state(&world.end(waiting.id).await.run), StateName::Completed);
    deploy(102).await;
    let kept = versions(&world).await;
    assert_eq!(kept.len(), limits::PACK_VERSIONS_KEPT);
    assert_eq!((kept[0].as_str(), kept[99].as_str()), ("1.0.102", "1.0.3"), "{kept:?}");
    let back = world.engine.rollback("echo", None, &caller()).await.unwrap();
    assert_eq!(back.manifest.version, "1.0.101");
}
