//! `hale backtests results ID [NAME]`.

use crate::cli::ctx::Ctx;
use crate::client::escape;
use crate::exit::{Error, Exit};
use crate::render::table::Column;
use crate::render::{Table, when};
use crate::wire::Page;
use hale_core::run::event::Artifact;

/// List the files that a back-test made, or print one
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale backtests results bt-01jd4m8q2r7wx5b9n3k6t0vyhz
  hale backtests results bt-01jd4m8q2r7wx5b9n3k6t0vyhz backtest-result.json | jq .metrics")]
pub struct Args {
    /// The back-test's id, or its run's
    id: String,
    /// Name of the file to print
    name: Option<String>,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let client = ctx.client().await?;
    let path = format!("/api/v1/backtests/{}/results", escape(&args.id));
    if let Some(name) = &args.name {
        let bytes = client.bytes(format!("{path}/{}", escape(name))).await?;
        ctx.screen.print_bytes(&bytes);
        return Ok(Exit::Done);
    }
    let page: Page<Artifact> = client.get(path).await?;
    ctx.screen.list(&page, |artifact| artifact.name.clone(), |_| table(&page.items));
    if page.items.is_empty() {
        ctx.screen.note("no results");
        ctx.screen.next(&format!("hale backtests show {}", args.id));
    }
    Ok(Exit::Done)
}

fn table(results: &[Artifact]) -> Table {
    let mut table = Table::new(&[("name", Column::Left), ("size", Column::Right), ("type", Column::Left)]);
    for result in results {
        let cells =
            [result.name.clone(), when::bytes(result.bytes), result.media_type.clone()].map(Into::into);
        table.row(cells.into());
    }
    table
}
