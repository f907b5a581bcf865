//! The scenes of the demo, in order: work, a crash, a fault, the diagnosis, the fix, the way back.
//!
//! Every line with a tick is a claim that was checked a moment before.
//! Read next: [`super::stage`].

use super::Claims;
use super::stage::Stage;
use crate::cli::ctx::Ctx;
use crate::client::{Ask, Client};
use crate::exit::{Error, Exit};
use crate::render::{diagnosis, when};
use crate::wire::packs::DeployPack;
use crate::wire::{
    Diagnosis, FaultView, FixReport, FixRequest, History, InjectFault, PackView, RunView, StartRun, Status,
};
use hale_core::run::{Event, Step, StepKind};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const HELLO: &str = include_str!("../../../../../packs/hello.md");
const TRIAGE: &str = include_str!("../../../../../packs/log-triage.md");
const RESEARCH: &str = include_str!("../../../../../packs/research-pack.md");
/// A log of this machine that most Debian machines have.
const SYSTEM_LOG: &str = "/var/log/dpkg.log";
/// How long the simulated model thinks while the server is to be killed.
const THINKING: Duration = Duration::from_millis(1500);
const WAIT: Duration = Duration::from_secs(30);

struct Play<'a> {
    ctx: &'a mut Ctx,
    stage: &'a mut Stage,
    claims: &'a mut Claims,
}

/// Tells the whole story. `model` is the real one for the first scenes.
pub async fn tell(
    ctx: &mut Ctx,
    stage: &mut Stage,
    (claims, model): (&mut Claims, Option<&str>),
) -> Result<(), Error> {
    let mut play = Play { ctx, stage, claims };
    play.start().await?;
    play.packs(model).await?;
    play.work().await?;
    play.crash().await?;
    let failed = play.fault().await?;
    play.diagnose(&failed).await?;
    let fixed = play.fix().await?;
    play.undo(&fixed).await
}

impl Play<'_> {
    fn scene(&mut self, title: &str) {
        self.ctx.screen.print(&format!("\n{title}\n"));
    }

    fn say(&mut self, text: &str) {
        for line in text.lines() {
            self.ctx.screen.print(&format!("    {line}\n"));
        }
    }

    fn claim(&mut self, holds: bool, claim: &str) {
        self.claims.check(self.ctx, holds, claim);
    }

    async fn client(&self) -> Result<Client, Error> {
        self.stage.client().await
    }

    async fn start(&mut self) -> Result<(), Error> {
        self.scene("1. The server starts");
        let (status, took) = self.stage.start().await?;
        let Status { address, pid, workers, .. } = &status;
        let slots: u32 = workers.iter().map(|worker| worker.slots).sum();
        self.say(&format!("{address}, process {pid}, {slots} worker slots, access: {}", status.access));
        self.claim(
            status.health != "unhealthy",
            &format!("ready in {} ms and {} by its probes", took.as_millis(), status.health),
        );
        Ok(())
    }

    async fn packs(&mut self, model: Option<&str>) -> Result<(), Error> {
        self.scene("2. Three example packs are deployed");
        for (name, source) in [("hello", HELLO), ("log-triage", TRIAGE), ("research-pack", RESEARCH)] {
            let source = match model {
                Some(model) if name != "research-pack" => {
                    source.replacen("---\n", &format!("---\nmodel: {model}\n"), 1)
                }
                _ => source.to_owned(),
            };
            self.deploy(name, &source).await?;
        }
        Ok(())
    }

    async fn deploy(&mut self, name: &str, source: &str) -> Result<PackView, Error> {
        let body = DeployPack { file_name: format!("{name}.md"), source: source.to_owned(), dry_run: false };
        let pack: PackView = self.client().await?.post("/api/v1/packs", &body).await?;
        let tools = if pack.tools.is_empty() { "no tools".to_owned() } else { pack.tools.join(", ") };
        let files = if pack.files.is_empty() {
            String::new()
        } else {
            format!(", may read {}", pack.files.join(", "))
        };
        self.claim(pack.current, &format!("{} v{}: {tools}{files}", pack.name, pack.version));
        Ok(pack)
    }

    async fn run(&self, pack: &str, input: Value) -> Result<RunView, Error> {
        let body = StartRun { pack: pack.to_owned(), input, ..StartRun::default() };
        let ask = Ask::post("/api/v1/runs", &body).header("prefer", format!("wait={}", WAIT.as_secs()));
        self.client().await?.ask(ask.patient(WAIT)).await
    }

    async fn steps(&self, id: &str) -> Result<Vec<Step>, Error> {
        let history: History = self.client().await?.get(format!("/api/v1/runs/{id}/history")).await?;
        let steps = history.records.into_iter().filter_map(|record| match record.event {
            Event::StepEnded { step } => Some(*step),
            _ => None,
        });
        Ok(steps.collect())
    }

    async fn work(&mut self) -> Result<(), Error> {
        self.scene("3. Agents work");
        let run = self.run("hello", json!({ "name": "Ada" })).await?;
        let answer = answer(&run);
        self.say(&answer);
        self.claim(
            run.state == "COMPLETED" && answer.contains("Ada"),
            &format!("hello completed in {}", when::span(run.duration_ms)),
        );
        let file = self.log_file()?;
        let run = self.run("log-triage", json!({ "path": file })).await?;
        let steps = self.steps(&run.id).await?;
        let read: Vec<&Step> =
            steps.iter().filter(|step| step.kind == StepKind::Tool && !step.is_error).collect();
        self.say(&answer_of(&run));
        self.claim(
            run.state == "COMPLETED",
            &format!("log-triage completed in {}", when::span(run.duration_ms)),
        );
        let tools: Vec<&str> = read.iter().map(|step| step.name.as_str()).collect();
        self.claim(
            !read.is_empty(),
            &format!("it read the real file {} by its tools: {}", file.display(), tools.join(", ")),
        );
        Ok(())
    }

    /// A real log of this machine; where there is none, one that is written here and said to be so.
    fn log_file(&mut self) -> Result<PathBuf, Error> {
        let system = PathBuf::from(SYSTEM_LOG);
        if std::fs::metadata(&system).is_ok_and(|meta| meta.len() > 0) && std::fs::File::open(&system).is_ok()
        {
            return Ok(system);
        }
        let path = self.stage.files().join("sample.log");
        let text: String = (0..200)
            .map(|n| format!("2026-11-22 10:{:02}:00 status installed sample:{n}\n", n % 60))
            .collect();
        std::fs::write(&path, text).map_err(|error| Error::file("write", &path, &error))?;
        self.say(&format!("this machine has no {SYSTEM_LOG}: a sample is used, {}", path.display()));
        Ok(path)
    }

    async fn crash(&mut self) -> Result<(), Error> {
        self.scene("4. The server is killed in the middle of a run");
        self.stage.pace(THINKING).await?;
        let body = StartRun {
            pack: "research-pack".to_owned(),
            input: json!({ "question": "What keeps agents running?" }),
            ..StartRun::default()
        };
        let run: RunView = self.client().await?.post("/api/v1/runs", &body).await?;
        let before = self.until_steps(&run.id, 1).await?;
        let pid = self.stage.kill_server()?;
        self.say(&format!(
            "SIGKILL to process {pid}; {} of run {} had finished",
            count(before.len(), "step"),
            run.id
        ));
        let calls_before = self.calls_of(&run.id).await?;
        let (_, took) = self.stage.start().await?;
        let ended: RunView = self
            .client()
            .await?
            .ask(Ask::get(format!("/api/v1/runs/{}?wait=30s", run.id)).patient(WAIT))
            .await?;
        self.stage.pace(Duration::ZERO).await?;
        let after = self.steps(&run.id).await?;
        let calls = self.calls_of(&run.id).await?;
        self.claim(
            ended.state == "COMPLETED",
            &format!(
                "after a restart of {} ms the run completed: {} in all",
                took.as_millis(),
                count(after.len(), "step")
            ),
        );
        self.claim(after.starts_with(&before), "what had finished stands in the journal as it was");
        let repeated: Vec<&String> = before
            .iter()
            .map(|step| format!("{}-{}", run.id, step.index))
            .filter_map(|key| calls.get_key_value(&key).map(|(key, n)| (key, *n)))
            .filter(|(key, n)| *n > calls_before.get(*key).copied().unwrap_or(0))
            .map(|(key, _)| key)
            .collect();
        self.claim(
            repeated.is_empty(),
            "the model was never asked again for a finished step (by its own log of calls)",
        );
        self.claim(
            ended.epoch > 1,
            &format!("the lease of the dead server was fenced: epoch {}", ended.epoch),
        );
        Ok(())
    }

    async fn until_steps(&self, id: &str, n: usize) -> Result<Vec<Step>, Error> {
        let give_up = Instant::now() + WAIT;
        while Instant::now() < give_up {
            let steps = self.steps(id).await?;
            if steps.len() >= n {
                return Ok(steps);
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        Err(Error::new(Exit::Failed, format!("wait for a step of run {id}")))
    }

    /// Calls by idempotency key, as the simulated model saw them.
    async fn calls_of(&self, run: &str) -> Result<BTreeMap<String, u32>, Error> {
        let mut calls = BTreeMap::new();
        for call in self.stage.calls().await? {
            if let Some(key) = call.idempotency_key.filter(|key| key.starts_with(run)) {
                *calls.entry(key).or_default() += 1;
            }
        }
        Ok(calls)
    }

    async fn fault(&mut self) -> Result<String, Error> {
        self.scene("5. A fault: the model's provider limits the rate of calls");
        // The scene is about the simulated model, whatever the first scenes used.
        let hello = HELLO.replacen("---\n", "---\nmodel: sim/small\n", 1).replacen(
            "version: 1.0.0",
            "version: 1.0.1",
            1,
        );
        self.deploy("hello", &hello).await?;
        let inject = InjectFault {
            fault: "llm.rate_limit".to_owned(),
            r#for: Some("2m".to_owned()),
            params: BTreeMap::new(),
        };
        let fault: FaultView = self.client().await?.post("/api/v1/chaos", &inject).await?;
        self.say(&format!("injected {} into {}", fault.fault, fault.target));
        let run = self.run("hello", json!({ "name": "Ada" })).await?;
        let code = run.error.as_ref().map(|error| error.code.to_string()).unwrap_or_default();
        self.claim(
            run.state == "FAILED",
            &format!("hello is {} with {code}; `hale run` would exit with 20", run.state),
        );
        let faults: crate::wire::Page<FaultView> = self.client().await?.get("/api/v1/chaos").await?;
        let hits: u64 = faults.items.iter().map(|fault| fault.hits).sum();
        self.claim(hits > 0, &format!("the fault took effect: {}", count(hits as usize, "call")));
        Ok(run.id)
    }

    async fn diagnose(&mut self, run: &str) -> Result<(), Error> {
        self.scene("6. hale why: the cause, with its evidence");
        let why: Diagnosis = self.client().await?.get(format!("/api/v1/runs/{run}/why")).await?;
        let look = self.ctx.screen.look();
        let text = why
            .verdict
            .findings
            .first()
            .map(|finding| diagnosis::finding(finding, &look))
            .unwrap_or_default();
        self.say(&text);
        let first = why.verdict.findings.first();
        self.claim(
            first.is_some_and(|finding| finding.code == "llm.rate_limited"),
            &format!("the cause is named llm.rate_limited, in {} ms", why.took_ms),
        );
        let others = why.verdict.findings.len() + why.verdict.undetermined.len();
        self.claim(others == 1, "and nothing else is blamed");
        let doctor: Diagnosis = self.client().await?.get("/api/v1/doctor").await?;
        self.claim(
            doctor.verdict.findings.iter().any(|finding| finding.code == "llm.rate_limited"),
            "hale doctor finds the same for the whole system",
        );
        Ok(())
    }

    async fn fix(&mut self) -> Result<FixReport, Error> {
        self.scene("7. hale doctor --fix llm.rate_limited: first what it would do, then the deed");
        let request = |dry_run| FixRequest {
            cause: "llm.rate_limited".to_owned(),
            run: None,
            dry_run,
            params: BTreeMap::new(),
        };
        let client = self.client().await?;
        let ask =
            |dry_run| Ask::post("/api/v1/doctor/fix", &request(dry_run)).patient(Duration::from_secs(60));
        let plan: FixReport = client.ask(ask(true)).await?;
        self.say(&plan.effects.join("\n"));
        self.claim(
            plan.outcome == "would change" && !plan.effects.is_empty(),
            "a dry run tells the exact effect and changes nothing",
        );
        let fixed: FixReport = client.ask(ask(false)).await?;
        self.say(&fixed.verify_detail);
        self.claim(
            fixed.outcome == "changed" && fixed.verified == "verified",
            "the fix is done, and verified by fresh evidence",
        );
        let run = self.run("hello", json!({ "name": "Ada" })).await?;
        let served = self
            .steps(&run.id)
            .await?
            .first()
            .and_then(|step| step.result["served_by"].as_str().map(str::to_owned));
        self.claim(
            run.state == "COMPLETED",
            &format!("hello completes again, answered by {}", served.unwrap_or_default()),
        );
        let faults: crate::wire::Page<FaultView> = self.client().await?.get("/api/v1/chaos").await?;
        self.claim(
            !faults.items.is_empty(),
            "while the fault is still there: it was worked around, not removed",
        );
        Ok(fixed)
    }

    async fn undo(&mut self, fixed: &FixReport) -> Result<(), Error> {
        self.scene("8. The way back");
        let Some(operation) = &fixed.operation else {
            self.claim(false, "the fix is an operation with an undo");
            return Ok(());
        };
        let client = self.client().await?;
        let undone: FixReport =
            client.post(format!("/api/v1/operations/{operation}/undo"), &json!({})).await?;
        self.say(&undone.effects.join("\n"));
        self.claim(undone.outcome == "changed", &format!("hale operations undo {operation}"));
        let _: Value = client.ask(Ask::delete("/api/v1/chaos")).await?;
        let run = self.run("hello", json!({ "name": "Ada" })).await?;
        self.claim(run.state == "COMPLETED", "without the fault hello completes by itself");
        Ok(())
    }
}

fn answer(run: &RunView) -> String {
    let output = run.output.as_ref();
    output.and_then(|output| output["answer"].as_str()).unwrap_or_default().to_owned()
}

/// The first lines of a longer answer.
fn answer_of(run: &RunView) -> String {
    answer(run).lines().take(6).collect::<Vec<_>>().join("\n")
}

fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}
