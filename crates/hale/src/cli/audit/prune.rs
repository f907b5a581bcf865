//! `hale audit prune`: cut rows that are older than a year.
//!
//! Guarantees: nothing is cut without `--yes`; a row that stays vouches for what went.

use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::render::when;
use crate::wire::audit::{AuditCut, PruneAudit};

/// Cut rows of the audit trail that are older than a year
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale audit export --to trail.jsonl            # first
  hale audit prune --dry-run
  hale audit prune --yes

A row stays that tells how many were cut, by whom, and the hash of the last of them, so that the chain still
holds. A trail whose chain is broken is not cut.")]
pub struct Args {
    /// Only say how many rows it would be
    #[arg(long)]
    dry_run: bool,
    /// Do it; it cannot be undone
    #[arg(short, long, visible_alias = "confirm")]
    yes: bool,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    if !args.dry_run && !args.yes {
        let error = Error::new(Exit::Usage, "cut the audit trail without --yes");
        return Err(error.hint("see how many rows it would be: hale audit prune --dry-run"));
    }
    let order = PruneAudit { dry_run: args.dry_run };
    let cut: AuditCut = ctx.client().await?.post("/api/v1/audit/prune", &order).await?;
    let name = cut.operation.clone().unwrap_or_default();
    ctx.screen.one(&cut, &name, |look| {
        let before = when::moment(look, &cut.before);
        match (cut.rows, cut.operation.is_some()) {
            (0, _) => format!("no row is from before {before}\n"),
            (rows, false) => format!("{rows} rows from before {before} would be cut\n"),
            (rows, true) => format!("{}\n", look.good(&format!("{rows} rows from before {before} are cut"))),
        }
    });
    Ok(Exit::Done)
}
