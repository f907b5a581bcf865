//! A server that nobody uses does next to nothing, and still notices what breaks.

use crate::world::{World, pack};
use hale_engine::health::Status;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

const MINUTE: Duration = Duration::from_secs(60);
/// Real time: the kernel's word comes in milliseconds, the net below it after 30 s.
const PATIENCE: Duration = Duration::from_secs(10);

async fn with_packs() -> (World, PathBuf) {
    let mut packs = PathBuf::new();
    let world = World::with(|config| {
        packs = config.data.join("packs");
        std::fs::create_dir(&packs).unwrap();
        config.packs = Some(packs.clone());
    })
    .await;
    (world, packs)
}

/// Still for a second already, so that one look takes it.
fn write(packs: &Path, name: &str) {
    let draft = packs.with_extension("draft");
    std::fs::write(&draft, pack(name, "")).unwrap();
    let file = std::fs::File::options().write(true).open(&draft).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(1)).unwrap();
    std::fs::rename(draft, packs.join(format!("{name}.md"))).unwrap();
}

async fn deployed(world: &World, name: &str) {
    let came = async {
        while world.engine.pack(name, None).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, came).await.is_ok(), "{name} was not deployed");
}

/// Looks at the folder have ended: what is noticed from here on was told by the kernel.
async fn quiet(world: &World) {
    let looks = || world.engine.meters().pack_looks.get();
    let ended = async {
        let mut before = -1;
        while before != looks() {
            before = looks();
            // Five times the pause before a look.
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, ended).await.is_ok(), "a look causes the next one: {}", looks());
}

#[tokio::test(start_paused = true)]
async fn an_idle_minute_costs_a_handful_of_turns_reads_and_looks() {
    let (world, _) = with_packs().await;
    let counted = || {
        let meters = world.engine.meters();
        let store = (world.store.reads.load(Ordering::Relaxed), world.store.batches.load(Ordering::Relaxed));
        (meters.loop_turns.get(), meters.pack_looks.get(), store)
    };
    let (turns, looks, (reads, batches)) = counted();
    tokio::time::sleep(MINUTE).await;
    let (turns_then, looks_then, (reads_then, batches_then)) = counted();
    // A probe every four seconds is one turn and two reads; a lease ends every fifteen seconds.
    assert!((12..=24).contains(&(turns_then - turns)), "{} turns", turns_then - turns);
    assert!((24..=36).contains(&(reads_then - reads)), "{} reads", reads_then - reads);
    assert!(looks_then - looks <= 3, "{} looks", looks_then - looks);
    assert_eq!(batches_then, batches, "nothing is written");
    assert_eq!(world.engine.look().await.unwrap().workers.len(), 1, "the embedded worker lives on");
}

#[tokio::test(start_paused = true)]
async fn what_breaks_is_told_within_five_seconds_and_to_whoever_asks_after_one() {
    let world = World::new().await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(world.engine.health().status, Status::Healthy);
    // Just after a beat, so that the next one is four seconds away.
    let last = world.engine.health().components[0].probed_at;
    while world.engine.health().components[0].probed_at == last {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    world.store.broken.store(true, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(world.engine.health().status, Status::Healthy, "no beat came yet");
    assert_eq!(world.engine.health_fresh().await.status, Status::Unhealthy);

    world.store.broken.store(false, Ordering::Relaxed);
    let reads = world.store.reads.load(Ordering::Relaxed);
    for _ in 0..1000 {
        world.engine.health_fresh().await;
    }
    assert_eq!(world.store.reads.load(Ordering::Relaxed), reads, "a fresh probe serves everybody");

    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(world.engine.health().status, Status::Healthy);
    world.store.broken.store(true, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(world.engine.health().status, Status::Unhealthy);
    let lines = world.logs.lines();
    assert!(lines.iter().any(|line| line == "INFO health check: store unhealthy"), "{lines:#?}");
}

#[tokio::test]
async fn a_pack_is_deployed_at_the_kernels_word_and_looking_at_it_causes_no_other_look() {
    let (world, packs) = with_packs().await;
    for name in ["one", "two", "three"] {
        write(&packs, name);
        deployed(&world, name).await;
        quiet(&world).await;
    }
    let looks = world.engine.meters().pack_looks.get();
    assert!(looks <= 10, "{looks} looks for three files");
}

#[tokio::test]
async fn a_folder_that_was_made_anew_is_heard_again() {
    let (world, packs) = with_packs().await;
    write(&packs, "one");
    deployed(&world, "one").await;
    std::fs::remove_dir_all(&packs).unwrap();
    std::fs::create_dir(&packs).unwrap();
    for name in ["two", "three"] {
        write(&packs, name);
        deployed(&world, name).await;
        quiet(&world).await;
    }
}
