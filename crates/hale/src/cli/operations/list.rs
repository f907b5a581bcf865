//! `hale operations list`.

use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::render::paint::Look;
use crate::render::table::Column;
use crate::render::when;
use crate::render::{Table, bulk};
use crate::wire::bulk::BulkView;
use crate::wire::{OperationView, Page};

/// List what operators did, newest first
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale operations list
  hale operations list -n 5 -o json
  hale operations list --many                   # those over many runs, with their progress")]
pub struct Args {
    /// At most this many
    #[arg(short = 'n', long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Those over many runs, with how far they have come
    #[arg(long)]
    many: bool,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    if args.many {
        let page: Page<BulkView> =
            ctx.client().await?.get(format!("/api/v1/bulk?limit={}", args.limit)).await?;
        let id = |bulk: &BulkView| bulk.id.clone().unwrap_or_default();
        ctx.screen.list(&page, id, |look| bulk::table(&page.items, look));
        if page.items.is_empty() {
            ctx.screen.note("no operations over many runs");
        }
        return Ok(Exit::Done);
    }
    let page: Page<OperationView> =
        ctx.client().await?.get(format!("/api/v1/operations?limit={}", args.limit)).await?;
    ctx.screen.list(&page, |operation| operation.id.clone(), |look| table(&page.items, look));
    if page.items.is_empty() {
        ctx.screen.note("no operations");
    }
    Ok(Exit::Done)
}

/// The audit trail as a table; the history of the configuration looks the same.
pub fn table(operations: &[OperationView], look: &Look) -> Table {
    let mut table = Table::new(&[
        ("id", Column::Left),
        ("at", Column::Left),
        ("who", Column::Left),
        ("operation", Column::Left),
        ("target", Column::Left),
        ("outcome", Column::Left),
        ("detail", Column::Text),
    ]);
    for operation in operations {
        table.row(vec![
            operation.id.clone().into(),
            when::moment(look, &operation.at).into(),
            operation.actor.clone().into(),
            operation.operation.clone().into(),
            operation.target.clone().into(),
            operation.outcome.clone().into(),
            operation.detail.clone().into(),
        ]);
    }
    table
}
