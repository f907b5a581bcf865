//! `hale doctor`: what is wrong now, and mending it.
//!
//! Guarantees: the exit code follows the verdict; a fix shows its effects, its check and its undo; a bundle gives
//! the same verdict offline, byte for byte.
//! Leaves to others: the evidence (`hale-engine`), the judgement (`hale-playbooks`).

mod offline;

use super::ctx::Ctx;
use crate::client::{Ask, Client};
use crate::exit::{Error, Exit};
use crate::render::diagnosis as shown;
use crate::wire::{Diagnosis, FixReport, FixRequest, UndoRequest};
use hale_core::code::Code;
use hale_playbooks::Verdict;
use hale_playbooks::playbook::Severity;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Say what is wrong and mend it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale doctor
  hale doctor --fix llm.rate_limited --dry-run
  hale doctor --fix llm.rate_limited --set model=sim/backup
  hale doctor --undo llm.rate_limited           take its last fix back
  hale doctor --save bundle.json                keep the evidence
  hale doctor --evidence bundle.json            judge kept evidence, without a server
  hale doctor --data ./data                     look at a folder whose server is down

Exit code 0 when all is well, 10 with warnings, 11 with a critical finding, 12 when a fix could not be
verified, 13 when the evidence does not decide.")]
pub struct Args {
    /// Mend this cause
    #[arg(long, value_name = "CAUSE", conflicts_with_all = ["evidence", "save", "undo"])]
    fix: Option<String>,
    /// Take back the newest fix of this cause that was not taken back yet
    #[arg(long, value_name = "CAUSE", conflicts_with_all = ["evidence", "save"])]
    undo: Option<String>,
    /// Only say what the fix would do
    #[arg(long, requires = "fix")]
    dry_run: bool,
    /// The run that showed the cause, where the fix needs one; without --fix, judge this run
    #[arg(long, value_name = "ID")]
    run: Option<String>,
    /// A value for the fix, such as model=sim/backup
    #[arg(long, value_name = "KEY=VALUE", requires = "fix", value_parser = pair)]
    set: Vec<(String, String)>,
    /// Judge the evidence in this file instead of a server's
    #[arg(long, value_name = "FILE")]
    evidence: Option<PathBuf>,
    /// Write the evidence to this file
    #[arg(long, value_name = "FILE", conflicts_with = "evidence")]
    save: Option<PathBuf>,
}

/// `key=value` of a flag.
///
/// # Errors
/// When there is no `=` in it.
pub fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("write KEY=VALUE instead of {text:?}"))?;
    Ok((key.to_owned(), value.to_owned()))
}

/// A verification watches a real run; the server bounds it below this.
const FIX_PATIENCE: Duration = Duration::from_secs(120);

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    if let Some(file) = &args.evidence {
        let verdict = offline::from_bundle(&ctx.cwd.join(file))?;
        return Ok(judged(ctx, &offline::diagnosis(verdict)));
    }
    let client = match ctx.client().await {
        Ok(client) => client,
        Err(error) => return without_server(&args, ctx, error),
    };
    if let Some(cause) = args.fix {
        let params = args.set.into_iter().collect::<BTreeMap<_, _>>();
        let order = FixRequest { cause, run: args.run, dry_run: args.dry_run, params };
        let report: FixReport =
            client.ask(Ask::post("/api/v1/doctor/fix", &order).patient(FIX_PATIENCE)).await?;
        return fixed(ctx, &report);
    }
    if let Some(cause) = &args.undo {
        return undo(ctx, &client, cause).await;
    }
    if let Some(file) = &args.save {
        let query =
            args.run.as_ref().map(|run| format!("?run={}", crate::client::escape(run))).unwrap_or_default();
        let evidence: Value = client.get(format!("/api/v1/evidence{query}")).await?;
        return offline::save(ctx, file, &evidence);
    }
    let path = match &args.run {
        Some(run) => format!("/api/v1/runs/{}/why", crate::client::escape(run)),
        None => "/api/v1/doctor".to_owned(),
    };
    match client.get::<Diagnosis>(path).await {
        Ok(diagnosis) => Ok(judged(ctx, &diagnosis)),
        Err(error) => without_server(&args, ctx, error),
    }
}

/// With the server down its folder can still be looked at, if nothing but a look was asked for.
fn without_server(args: &Args, ctx: &mut Ctx, error: Error) -> Result<Exit, Error> {
    let only_look = args.fix.is_none() && args.undo.is_none() && args.save.is_none() && args.run.is_none();
    let named = ctx.target.place.names_a_server(&ctx.env);
    if error.exit != Exit::Unreachable || !only_look || named {
        return Err(error);
    }
    let data = ctx.config(Vec::new(), None)?.data;
    if !data.is_dir() {
        return Err(error);
    }
    ctx.screen.note(&format!("no server answers; this is what its folder {} shows", data.display()));
    let diagnosis = offline::from_folder(&data)?;
    let lines = offline::last_lines(&data, &ctx.screen.look());
    if !lines.is_empty() {
        ctx.screen.note("its last lines before it went away:");
        lines.iter().for_each(|line| ctx.screen.note(line));
    }
    // That no server answers is a finding of its own, and not the least.
    Ok(match judged(ctx, &diagnosis) {
        Exit::Critical => Exit::Critical,
        _ => Exit::Unreachable,
    })
}

fn judged(ctx: &mut Ctx, diagnosis: &Diagnosis) -> Exit {
    ctx.screen.one(diagnosis, &diagnosis.subject, |look| shown::text(diagnosis, look));
    let fix = diagnosis.verdict.findings.iter().find_map(|finding| finding.fixes.first()?.command.clone());
    if let Some(command) = fix {
        ctx.screen.next(&command);
    }
    exit(&diagnosis.verdict)
}

/// The verdict as an exit code.
pub fn exit(verdict: &Verdict) -> Exit {
    let worst = verdict.findings.iter().map(|finding| finding.severity).max();
    match worst {
        Some(Severity::Critical) => Exit::Critical,
        _ if !verdict.undetermined.is_empty() => Exit::Undetermined,
        Some(Severity::Warning) => Exit::Warnings,
        Some(Severity::Info) | None => Exit::Done,
    }
}

/// The server picks the newest fix of the cause that was not taken back yet.
async fn undo(ctx: &mut Ctx, client: &Client, cause: &str) -> Result<Exit, Error> {
    let order = UndoRequest { cause: cause.to_owned() };
    let report: FixReport =
        client.ask(Ask::post("/api/v1/doctor/undo", &order).patient(FIX_PATIENCE)).await?;
    fixed(ctx, &report)
}

/// What became of a fix, as an exit code.
fn fixed(ctx: &mut Ctx, report: &FixReport) -> Result<Exit, Error> {
    ctx.screen.one(report, &report.cause, |look| shown::report(report, look));
    if report.outcome == "refused" {
        let error = Error::coded(Code::E011, format!("fix {}: {}", report.cause, report.effects.join("; ")));
        return Err(error.hint("see why with: hale doctor"));
    }
    Ok(if report.verified == "not verified" { Exit::NotVerified } else { Exit::Done })
}
