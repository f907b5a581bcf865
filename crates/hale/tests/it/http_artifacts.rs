//! Artifacts, their stores and retention over HTTP, on a real disk that is made to fail.

use crate::http_house::{Answer, House, PATIENCE, Plan};
use hale::wire::artifacts::*;
use hale::wire::*;
use hale_core::fault::{Deed, Handle, Point};
use hale_core::time::Millis;
use hale_engine::facade::prune::Retention;
use hale_store::{Blobs, Folder, Options, Sqlite, Store};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

struct Shop {
    house: House,
    faults: Handle,
    store: Arc<Sqlite>,
    dir: TempDir,
}

impl Shop {
    async fn with(secondary: Option<&Path>, keep: Option<Retention>) -> Self {
        let (dir, faults) = (tempfile::tempdir().unwrap(), Handle::default());
        let options = Options {
            faults: faults.clone(),
            ballast_bytes: 4096,
            secondary: secondary.map(Path::to_owned),
            ..Options::default()
        };
        let store = Arc::new(Sqlite::open(Folder::lock(dir.path()).unwrap(), options).unwrap());
        let kept: (Arc<dyn Store>, Arc<dyn Blobs>) = (store.clone(), store.blobs());
        let house = House::of(Plan { kept: Some(kept), keep, ..Plan::default() }).await;
        Self { house, faults, store, dir }
    }

    async fn open() -> Self {
        Self::with(None, None).await
    }

    /// A run whose output is too large for the journal.
    async fn large(&self, letter: &str) -> RunView {
        let body = json!({"pack": "echo", "input": {"text": letter.repeat(100_000)}});
        self.house.post("/api/v1/runs", body).gives(202).await.json()
    }

    async fn run(&self, id: &str) -> RunView {
        self.house.get(&format!("/api/v1/runs/{id}")).gives(200).await.json()
    }

    async fn until(&self, id: &str, state: &str) -> RunView {
        let since = Instant::now();
        loop {
            let run = self.run(id).await;
            if run.state == state {
                return run;
            }
            assert!(since.elapsed() < PATIENCE, "{id} never was {state}: {run:#?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn output(&self, id: &str) -> Answer {
        self.house.get(&format!("/api/v1/runs/{id}/artifacts/output.json")).send().await
    }

    async fn health(&self, status: u16) -> Health {
        self.house.get("/health/artifacts").gives(status).await.json()
    }

    async fn audits(&self, operation: &str) -> usize {
        let page: Page<OperationView> =
            self.house.get("/api/v1/operations?limit=100").gives(200).await.json();
        page.items.iter().filter(|item| item.operation == operation).count()
    }
}

fn retention(span: Millis) -> Retention {
    Retention { runs: span, artifacts: span, logs: span, most: u64::MAX, every: None }
}

fn is_whole(answer: &Answer, letter: &str) -> bool {
    let value: Value = serde_json::from_str(&answer.body).unwrap();
    value["text"].as_str() == Some(&letter.repeat(100_000))
}

// covers: AO-06, AO-10, AO-155, AO-156, AO-157, AO-158, AO-160
#[tokio::test]
async fn an_output_that_the_store_does_not_take_is_spooled_and_its_run_completes() {
    let shop = Shop::open().await;
    assert_eq!(shop.health(200).await.status, "healthy");
    shop.faults.arm(Point::BlobWrite, Deed::Fail);
    let run = shop.large("a").await;
    shop.until(&run.id, "COMPLETED").await;
    assert!(shop.faults.hits(Point::BlobWrite) > 0);
    assert!(is_whole(&shop.output(&run.id).await, "a"));
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let ill = shop.health(503).await;
    let spool = ill.components.iter().find(|part| part.name == "spool").unwrap();
    assert!(spool.detail.contains("1 contents") && spool.detail.contains("made to fail"), "{}", spool.detail);
    let primary = ill.components.iter().find(|part| part.name == "primary").unwrap();
    assert!(
        primary.status == "unhealthy" && primary.detail.contains("fails its probe"),
        "{}",
        primary.detail
    );
    let left: RetriedView = shop.house.post("/api/v1/artifacts/retry", json!({})).gives(200).await.json();
    assert!(left.left == 1 && left.error.is_some(), "{left:?}");
    shop.faults.arm(Point::BlobWrite, Deed::Nothing);
    let order = json!({"failed_since": "1 hour ago"});
    let done: RetriedView = shop.house.post("/api/v1/artifacts/retry", order).gives(200).await.json();
    // The server's own try may have been faster.
    assert!(done.stored <= 1 && done.left == 0, "{done:?}");
    assert_eq!(shop.store.blobs().spooled().contents, 0);
    assert!(is_whole(&shop.output(&run.id).await, "a"));
    assert_eq!(shop.audits("artifacts.retry").await, 2);
}

// covers: AO-160
#[tokio::test]
async fn an_output_that_nothing_takes_keeps_its_run_completing_until_it_can_be_stored() {
    let shop = Shop::open().await;
    for point in [Point::BlobWrite, Point::SpoolWrite] {
        shop.faults.arm(point, Deed::Fail);
    }
    let run = shop.large("b").await;
    shop.until(&run.id, "COMPLETING").await;
    assert!(shop.faults.hits(Point::SpoolWrite) > 0);
    // What the run did is durable by now.
    let history: History =
        shop.house.get(&format!("/api/v1/runs/{}/history", run.id)).gives(200).await.json();
    assert!(serde_json::to_string(&history).unwrap().contains("step_ended"));
    let since = Instant::now();
    loop {
        let told: Health = shop.house.get("/health/artifacts").send().await.json();
        if told.components.iter().any(|part| part.detail.contains("1 runs wait in COMPLETING")) {
            break;
        }
        assert!(since.elapsed() < PATIENCE, "{told:#?}");
    }
    for point in [Point::BlobWrite, Point::SpoolWrite] {
        shop.faults.arm(point, Deed::Nothing);
    }
    let order = json!({"failed_since": "1h"});
    shop.house.post("/api/v1/artifacts/retry", order).gives(200).await;
    shop.until(&run.id, "COMPLETED").await;
    assert!(is_whole(&shop.output(&run.id).await, "b"));
    let history: History =
        shop.house.get(&format!("/api/v1/runs/{}/history", run.id)).gives(200).await.json();
    let text = serde_json::to_string(&history).unwrap();
    assert_eq!(text.matches("\"step_ended\"").count(), 1, "{text}");
    assert!(shop.store.verify().unwrap().is_well());
}

// covers: AO-159
#[tokio::test]
async fn a_fail_over_proves_its_target_is_audited_and_can_be_undone() {
    let second = tempfile::tempdir().unwrap();
    let shop = Shop::with(Some(second.path()), None).await;
    let order = |to: &str, reason: &str| json!({"to": to, "reason": reason});
    let path = "/api/v1/artifacts/failover";
    for (body, status, cause) in [
        (order("backup", " "), 422, "artifacts.no_reason"),
        (order("elsewhere", "x"), 404, "artifacts.no_store"),
        (order("primary", "x"), 409, "artifacts.active_already"),
    ] {
        let problem = shop.house.post(path, body).gives(status).await.problem();
        assert_eq!(problem.cause.as_deref(), Some(cause));
        assert!(problem.fix.is_some());
    }
    let hidden = second.path().join("blobs");
    std::fs::rename(&hidden, second.path().join("away")).unwrap();
    let problem = shop.house.post(path, order("backup", "the disk fails")).gives(503).await.problem();
    assert_eq!((problem.code.as_str(), problem.cause.as_deref()), ("E007", Some("artifacts.probe_failed")));
    assert!(problem.detail.contains("nothing was changed") && !problem.chain.is_empty(), "{problem:#?}");
    assert_eq!(shop.audits("artifacts.failover").await, 0);
    assert!(shop.store.blobs().places()[0].active);
    std::fs::rename(second.path().join("away"), &hidden).unwrap();

    let before = shop.large("c").await;
    shop.until(&before.id, "COMPLETED").await;
    let done: FailoverView = shop.house.post(path, order("backup", "the disk fails")).gives(200).await.json();
    assert_eq!((done.from.as_str(), done.to.as_str()), ("primary", "backup"));
    let after = shop.large("d").await;
    shop.until(&after.id, "COMPLETED").await;
    assert!(is_whole(&shop.output(&before.id).await, "c") && is_whole(&shop.output(&after.id).await, "d"));
    assert_eq!((shop.store.blobs().list().unwrap().len(), shop.audits("artifacts.failover").await), (2, 1));
    let held = shop.house.get("/api/v1/operations?limit=100").gives(200).await.body;
    assert!(held.contains("the disk fails"), "{held}");
    shop.house.post(&format!("/api/v1/operations/{}/undo", done.operation), json!({})).gives(200).await;
    assert!(shop.store.blobs().places()[0].active);
    assert!(is_whole(&shop.output(&after.id).await, "d"));
}

#[tokio::test]
async fn without_a_second_store_a_fail_over_says_how_to_get_one() {
    let shop = Shop::open().await;
    let order = json!({"to": "backup", "reason": "try"});
    let problem = shop.house.post("/api/v1/artifacts/failover", order).gives(404).await.problem();
    assert!(problem.detail.contains("artifacts.secondary"), "{}", problem.detail);
    assert!(shop.store.blobs().places()[0].active);
}

#[tokio::test]
async fn what_is_put_goes_into_an_input_by_its_hash() {
    let shop = Shop::open().await;
    let put = |path: &'static str, text: &str| {
        shop.house.ask("PUT", path).text("application/octet-stream", text.to_owned())
    };
    let kept: PutView = put("/api/v1/artifacts?name=notes.txt", "some notes").gives(200).await.json();
    let hash = kept.artifact.hash.clone();
    let bytes = shop.house.get(&format!("/api/v1/artifacts/{hash}")).gives(200).await;
    assert_eq!(bytes.body, "some notes");
    let body = json!({"pack": "echo", "input": {"notes": kept.reference, "more": [kept.reference]}});
    let run: RunView = shop.house.post("/api/v1/runs", body).gives(202).await.json();
    let done = shop.until(&run.id, "COMPLETED").await;
    assert_eq!(done.output, Some(json!({"notes": "some notes", "more": ["some notes"]})));
    let page: Page<ArtifactView> = shop.house.get("/api/v1/artifacts?kind=input").gives(200).await.json();
    assert_eq!((page.items.len(), page.items[0].name.as_str()), (1, "notes.txt"));
    let absent = json!({"pack": "echo", "input": {"notes": {"artifact": "0".repeat(64)}}});
    let problem = shop.house.post("/api/v1/runs", absent).gives(404).await.problem();
    assert_eq!(problem.cause.as_deref(), Some("artifact.not_found"));
    for (path, status) in
        [("/api/v1/artifacts?name=", 422), ("/api/v1/artifacts?name=a&media_type=text", 422)]
    {
        put(path, "x").gives(status).await;
    }
    shop.house.get(&format!("/api/v1/artifacts/{}", "0".repeat(64))).gives(404).await;
    shop.house.get("/api/v1/artifacts/nonsense").gives(404).await;
}

#[tokio::test]
async fn a_list_that_verifies_names_what_is_damaged_or_missing() {
    let shop = Shop::open().await;
    let runs = [shop.large("e").await, shop.large("f").await, shop.large("g").await];
    for run in &runs {
        shop.until(&run.id, "COMPLETED").await;
    }
    let listed: Page<ArtifactView> =
        shop.house.get("/api/v1/artifacts?verify=true&limit=2").gives(200).await.json();
    assert!(listed.items.len() == 2 && listed.next.is_some());
    assert!(listed.items.iter().all(|item| item.problem.is_none()));
    let at = |item: &ArtifactView| shop.dir.path().join("blobs").join(&item.hash[..2]).join(&item.hash[2..]);
    std::fs::write(at(&listed.items[0]), b"damaged").unwrap();
    std::fs::remove_file(at(&listed.items[1])).unwrap();
    let listed: Page<ArtifactView> = shop.house.get("/api/v1/artifacts?verify=true").gives(200).await.json();
    let problems: Vec<_> = listed.items.iter().filter_map(|item| item.problem.as_deref()).collect();
    assert!(problems.len() == 2 && problems[0].contains("does not have this hash"), "{problems:?}");
    assert!(problems[1].contains("there is none"), "{problems:?}");
    let of = |filter: &str| format!("/api/v1/artifacts?filter={filter}");
    let one: Page<ArtifactView> = shop.house.get(&of(&format!("run:{}", runs[0].id))).gives(200).await.json();
    assert_eq!(one.items.len(), 1);
    for bad in ["run:nothing", "size:%3Emuch", "sise:1", "since:"] {
        let problem = shop.house.get(&of(bad)).gives(422).await.problem();
        assert_eq!(problem.field.as_deref(), Some("filter"), "{bad}");
    }
    shop.house.get("/api/v1/artifacts?kind=other").gives(422).await;
    shop.house.get("/api/v1/artifacts?after=nonsense").gives(422).await;
    let order = json!({"failed_since": "yesterday"});
    let problem = shop.house.post("/api/v1/artifacts/retry", order).gives(422).await.problem();
    assert_eq!(problem.field.as_deref(), Some("failed_since"));
}

// covers: AO-116
#[tokio::test]
async fn pruning_tells_first_and_forgets_then_and_leaves_what_is_needed() {
    let shop = Shop::with(None, Some(retention(Millis(1)))).await;
    let ended = shop.large("h").await;
    shop.until(&ended.id, "COMPLETED").await;
    shop.house.ask("PUT", "/api/v1/artifacts?name=old").text("text/plain", "old".to_owned()).gives(200).await;
    let later = json!({"pack": "echo", "delay": "1h"});
    let waits: RunView = shop.house.post("/api/v1/runs", later).gives(202).await.json();
    let logs = shop.house.data().join("logs");
    std::fs::create_dir_all(&logs).unwrap();
    for name in ["hale.jsonl", "hale.jsonl.1"] {
        std::fs::write(logs.join(name), b"{}\n").unwrap();
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    let told: PruneView = shop.house.post("/api/v1/prune", json!({})).gives(200).await.json();
    let count = |view: &PruneView, kind: &str| {
        view.kinds.iter().find(|one| one.kind == kind).map_or(0, |one| one.count)
    };
    assert!(told.dry_run && told.operation.is_none());
    assert_eq!(["runs", "inputs", "log files"].map(|kind| count(&told, kind)), [1, 1, 1]);
    assert_eq!(shop.run(&ended.id).await.state, "COMPLETED");
    let done: PruneView = shop.house.post("/api/v1/prune", json!({"dry_run": false})).gives(200).await.json();
    assert_eq!(["runs", "inputs", "log files"].map(|kind| count(&done, kind)), [1, 1, 1]);
    assert!(done.operation.is_some());
    shop.house.get(&format!("/api/v1/runs/{}", ended.id)).gives(404).await;
    assert_eq!(shop.run(&waits.id).await.state, "PENDING");
    assert!(logs.join("hale.jsonl").exists() && !logs.join("hale.jsonl.1").exists());
    assert_eq!(shop.audits("retention.prune").await, 1);
    let again: PruneView =
        shop.house.post("/api/v1/prune", json!({"dry_run": false})).gives(200).await.json();
    assert!(again.operation.is_none() && count(&again, "runs") == 0, "{again:?}");
    shop.house.post("/api/v1/prune", json!({"dry": true})).gives(422).await;
}

#[tokio::test]
async fn what_is_over_its_size_goes_oldest_first() {
    let keep = Retention { most: 1, ..retention(Millis::seconds(86_400)) };
    let shop = Shop::with(None, Some(keep)).await;
    let ended = shop.large("i").await;
    shop.until(&ended.id, "COMPLETED").await;
    let told: PruneView = shop.house.post("/api/v1/prune", json!({})).gives(200).await.json();
    assert!(told.over_bytes > 100_000, "{told:?}");
    shop.house.post("/api/v1/prune", json!({"dry_run": false})).gives(200).await;
    shop.house.get(&format!("/api/v1/runs/{}", ended.id)).gives(404).await;
}
