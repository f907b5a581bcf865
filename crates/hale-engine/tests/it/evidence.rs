//! Evidence: gathered from all sources at once, within a bound that no source can stretch.

use crate::world::World;
use hale_core::limits;
use hale_core::time::Millis;
use hale_playbooks::evidence::{Entry, Evidence, Reason};
use std::time::Duration;

fn why_unknown(evidence: &Evidence, name: &str) -> Option<Reason> {
    match evidence.readings().get(name) {
        Some(Entry::Unknown(unknown)) => Some(unknown.reason),
        Some(Entry::Known(_)) => None,
        None => panic!("{name} was not gathered"),
    }
}

// covers: AX-02
#[expect(clippy::await_holding_lock, reason = "whoever wants it hangs: that is the fault")]
#[tokio::test(start_paused = true)]
async fn the_whole_triage_ends_within_two_seconds_also_when_the_store_hangs() {
    let world = World::new().await;
    let hanging = world.store.hangs.lock().unwrap();
    // The clock moves only here: a thread that hangs keeps it from moving by itself.
    let time = async {
        for _ in 0..40 {
            // Reads on other threads take real time, of which the paused clock knows nothing.
            std::thread::sleep(Duration::from_millis(5));
            tokio::task::yield_now().await;
            tokio::time::advance(Duration::from_millis(50)).await;
            tokio::task::yield_now().await;
        }
    };
    let both = async { tokio::join!(world.engine.diagnose(None), world.engine.evidence(None)) };
    let ((diagnosed, evidence), ()) = tokio::join!(both, time);
    drop(hanging);
    let (diagnosed, evidence) = (diagnosed.unwrap(), evidence.unwrap());
    assert!(diagnosed.took < Millis::seconds(2), "it took {}", diagnosed.took);
    assert!(diagnosed.took >= limits::TRIAGE, "the store did not hang: {}", diagnosed.took);
    for name in ["runs.oldest_pending_age", "store.full", "store.retention_freeable"] {
        assert_eq!(why_unknown(&evidence, name), Some(Reason::TimedOut), "{name}");
    }
    for name in ["workers.live", "runs.pending", "disk.free", "packs.unreadable", "llm.errors_5m"] {
        assert_eq!(why_unknown(&evidence, name), None, "{name} does not come from the store");
    }
    // What could not be asked is said, not passed over as healthy.
    assert!(!diagnosed.verdict.unknown.is_empty());
    assert!(diagnosed.verdict.findings.is_empty());
    let again = world.engine.diagnose(None).await.unwrap();
    assert!(again.verdict.unknown.is_empty(), "{:?}", again.verdict.unknown);
}
