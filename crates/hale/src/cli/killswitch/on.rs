//! `hale killswitch on TARGET --reason TEXT`.
//!
//! Guarantees: `all` and critical packs want `--yes`, or the target typed once more on a terminal.

use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::render::killswitch as shown;
use crate::wire::killswitch::{Throw, Thrown};
use std::io::{BufRead, IsTerminal};

/// Start nothing of a target, and end what runs: 30 s to end, forced at 60 s
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale killswitch on pack:research --reason \"wrong answers, ticket 812\"
  hale killswitch on tool:files.read --reason \"leaks paths\" --immediate
  hale killswitch on tenant:acme --reason \"key lost\"
  hale killswitch on all --reason \"incident 7\" --yes

New runs are refused, queued ones keep their places, calls under way may end. `all` and packs with
`critical: true` want --yes, or their name typed once more.")]
pub struct Args {
    /// all, pack:NAME, tool:NAME or tenant:NAME
    target: String,
    /// Why, for the audit trail
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// End what runs now, without its time to end
    #[arg(long)]
    immediate: bool,
    /// Also for all, and for packs that are critical
    #[arg(short, long, visible_alias = "confirm")]
    yes: bool,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let confirm = args.yes.then(|| args.target.clone());
    let mut order = Throw { target: args.target, reason: args.reason, immediate: args.immediate, confirm };
    let client = ctx.client().await?;
    let mut answer: Result<Thrown, Error> = client.post("/api/v1/killswitch/on", &order).await;
    if let Err(error) = &answer
        && error.cause.as_deref() == Some("killswitch.unconfirmed")
        && std::io::stdin().is_terminal()
        && ctx.screen.terminals().err
    {
        ctx.screen.say(&format!("{}\ntype {} to go on:", error.message, order.target));
        order.confirm = Some(typed());
        answer = client.post("/api/v1/killswitch/on", &order).await;
    }
    let thrown = answer?;
    ctx.screen.one(&thrown, &thrown.operation, |look| shown::thrown(&thrown, look));
    ctx.screen.next(&thrown.undo);
    Ok(Exit::Done)
}

fn typed() -> String {
    let mut line = String::new();
    // Nothing typed is no confirmation, and the server says so.
    let _ = std::io::stdin().lock().read_line(&mut line);
    line.trim().to_owned()
}
