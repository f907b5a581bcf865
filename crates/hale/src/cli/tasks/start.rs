//! `hale tasks start --goal TEXT`.

use super::goal::Goal;
use crate::cli::ctx::Ctx;
use crate::cli::following::{Manner, follow};
use crate::cli::run::input;
use crate::client::Ask;
use crate::exit::{Error, Exit};
use crate::render::arm as shown;
use crate::render::live::Words;
use crate::wire::tasks::{RouteView, StartTask, TaskView};
use hale_core::code::Code;
use hale_core::time::Millis;
use serde_json::Value;

/// Give a goal to the arm that fits it best, and wait for its answer
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale tasks start --goal \"Write a Python function that adds two numbers\"
  hale tasks start --goal \"Check the report\" --require network=none --prefer speed=fast
  hale tasks start --goal \"Plan the move\" --require \"No network calls\" --dry-run
  hale tasks start --goal \"Find the contract\" --input path=/srv/docs --detach --json")]
pub struct Args {
    #[command(flatten)]
    goal: Goal,
    /// More fields for the arm: KEY=VALUE (may be repeated), @FILE with JSON, or JSON
    #[arg(short, long, value_name = "INPUT")]
    input: Vec<String>,
    /// Whose turn comes first: high, normal or low
    #[arg(long)]
    priority: Option<String>,
    /// Time limit of the run, below the arm's own
    #[arg(long, value_name = "SPAN")]
    timeout: Option<Millis>,
    /// Only say who would take it, with all scores
    #[arg(long, conflicts_with_all = ["detach", "watch", "wait"])]
    dry_run: bool,
    /// Do not wait: print the task and return
    #[arg(short, long, conflicts_with_all = ["watch", "wait"])]
    detach: bool,
    /// Show the model's words as they come
    #[arg(short, long)]
    watch: bool,
    /// Wait at most this long; the run goes on after it
    #[arg(long, value_name = "SPAN")]
    wait: Option<Millis>,
    /// A second start with the same key is the same task
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let Value::Object(fields) = input(&args.input, &ctx.cwd)? else {
        let error = Error::coded(Code::E002, "read the input of the task: it has to be an object");
        return Err(error.hint("write KEY=VALUE, or a JSON object"));
    };
    let task = StartTask {
        input: fields,
        priority: args.priority,
        timeout: args.timeout.map(|span| format!("{}ms", span.0)),
        ..args.goal.task()
    };
    let client = ctx.client().await?;
    if args.dry_run {
        let route: RouteView = client.post("/api/v1/tasks/route", &task).await?;
        ctx.screen.one(&route, &route.arm, |_| shown::decision(&route.decision));
        return Ok(Exit::Done);
    }
    let mut ask = Ask::post("/api/v1/tasks", &task);
    if let Some(key) = args.idempotency_key {
        ask = ask.header("idempotency-key", key);
    }
    let task: TaskView = client.ask(ask).await?;
    if args.detach {
        ctx.screen.one(&task, &task.id, |_| format!("{}\n", task.id));
        ctx.screen.note(&task.says);
        ctx.screen.next(&format!("hale tasks show {}", task.id));
        return Ok(Exit::Done);
    }
    ctx.screen.note(&task.says);
    let words = if args.watch { Words::Shown } else { Words::Hidden };
    follow(ctx, &client, &task.run, Manner { words, wait: args.wait.map(Millis::duration) }).await
}
