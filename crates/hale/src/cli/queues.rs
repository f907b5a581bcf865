//! `hale queues …`: what waits, who serves it, and the levers.

mod drain;
mod limit;
mod list;
mod move_stuck;
mod peek;
mod purge;
mod resume;
mod show;
mod weights;

use super::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::wire::queues::Cleared;
use clap::Subcommand;

/// See what waits, and steer it: drain, resume, purge, weights, limits
#[derive(Debug, Subcommand)]
pub enum Verb {
    List(list::Args),
    Show(show::Args),
    Peek(peek::Args),
    Drain(drain::Args),
    Resume(resume::Args),
    Purge(purge::Args),
    MoveStuck(move_stuck::Args),
    Weights(weights::Args),
    Limit(limit::Args),
}

impl Verb {
    pub async fn run(self, ctx: &mut Ctx) -> Result<Exit, Error> {
        match self {
            Verb::List(args) => list::run(args, ctx).await,
            Verb::Show(args) => show::run(args, ctx).await,
            Verb::Peek(args) => peek::run(args, ctx).await,
            Verb::Drain(args) => drain::run(args, ctx).await,
            Verb::Resume(args) => resume::run(args, ctx).await,
            Verb::Purge(args) => purge::run(args, ctx).await,
            Verb::MoveStuck(args) => move_stuck::run(args, ctx).await,
            Verb::Weights(args) => weights::run(args, ctx).await,
            Verb::Limit(args) => limit::run(args, ctx).await,
        }
    }
}

/// Says what a purge or clean-up did; exit 8 when some were left alone.
fn finish(ctx: &mut Ctx, report: &Cleared, deed: (&str, &str)) -> Exit {
    ctx.screen.one(report, "", |look| crate::render::queues::cleared(report, deed, look));
    if report.changed > 0 {
        ctx.screen.note(&format!("to get them back: {}", report.recover));
    }
    if report.left.is_empty() { Exit::Done } else { Exit::PartlyDone }
}

/// What destroys is done only when it was said twice.
fn said_twice(yes: bool, deed: &str, dry_run: &str) -> Result<(), Error> {
    if yes {
        return Ok(());
    }
    let error = Error::new(Exit::Usage, format!("{deed} without --yes"));
    Err(error.hint(format!("see what it would do: {dry_run}")))
}
