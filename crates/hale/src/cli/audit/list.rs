//! `hale audit list [FILTER]`.

use super::Trail;
use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::render::Table;
use crate::render::paint::Look;
use crate::render::table::Column;
use crate::render::when;
use crate::wire::audit::AuditLine;

/// List rows of the audit trail, newest first
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale audit list
  hale audit list operation:killswitch.on since:30d
  hale audit list actor:ada target:pack:research --json
  hale audit list ticket 812                    # words that stand in a row

Each deed has two rows: its intent before it, its outcome after it. Works with the server down.")]
pub struct Args {
    /// operation:NAME actor:NAME target:TEXT id:OPERATION since:SPAN until:SPAN, and words
    filter: Vec<String>,
    /// At most this many
    #[arg(short = 'n', long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let page = Trail::find(ctx).await?.newest(&args.filter.join(" "), args.limit).await?;
    ctx.screen.list(&page, |line| line.seq.to_string(), |look| table(&page.items, look));
    if page.items.is_empty() {
        ctx.screen.note("no such rows");
    }
    Ok(Exit::Done)
}

fn table(lines: &[AuditLine], look: &Look) -> Table {
    let mut table = Table::new(&[
        ("row", Column::Right),
        ("at", Column::Left),
        ("who", Column::Left),
        ("operation", Column::Left),
        ("target", Column::Left),
        ("phase", Column::Left),
        ("detail", Column::Text),
    ]);
    for line in lines {
        let detail = line.detail["detail"].as_str().map_or_else(|| line.detail.to_string(), str::to_owned);
        table.row(vec![
            line.seq.to_string().into(),
            when::moment(look, &line.at).into(),
            line.actor.clone().into(),
            line.operation.clone().into(),
            line.target.clone().into(),
            line.phase.clone().into(),
            detail.into(),
        ]);
    }
    table
}
