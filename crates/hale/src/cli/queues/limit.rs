//! `hale queues limit [KEY]`: limits of packs, keys and tools.

use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::render::queues as shown;
use crate::wire::queues::{LimitsSet, Moved, SetLimit};

/// Limit how many runs of a pack or key go at a time, or start in a span; without a key, list what is set
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale queues limit                                     # what is set
  hale queues limit research --concurrency 3 --rate 10/s
  hale queues limit acme/research --concurrency 1       # of one tenant
  hale queues limit tool:files.read --concurrency 2     # calls at a time, of each worker
  hale queues limit research --clear                    # back to what the pack's file says")]
pub struct Args {
    /// A pack, TENANT/PACK, or tool:NAME
    key: Option<String>,
    /// At most so many at a time
    #[arg(long, value_name = "N", requires = "key")]
    concurrency: Option<u32>,
    /// At most so many starts in a span: 10/s, 100/m, 5/h
    #[arg(long, requires = "key")]
    rate: Option<String>,
    /// Take the limit away
    #[arg(long, requires = "key", conflicts_with_all = ["concurrency", "rate"])]
    clear: bool,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let client = ctx.client().await?;
    let Some(key) = args.key else {
        let set: LimitsSet = client.get("/api/v1/limits").await?;
        ctx.screen.one(&set, "", |look| shown::limits(&set, look));
        return Ok(Exit::Done);
    };
    if !args.clear && args.concurrency.is_none() && args.rate.is_none() {
        let error = Error::new(Exit::Usage, format!("limit {key}: say --concurrency, --rate, or --clear"));
        return Err(error.hint(format!("hale queues limit {key} --concurrency 3")));
    }
    let order = SetLimit { key, concurrency: args.concurrency, rate: args.rate };
    let moved: Moved = client.post("/api/v1/limits", &order).await?;
    let deed = if args.clear { "has no limit set any more" } else { "is limited" };
    ctx.screen.one(&moved, &moved.operation, |look| {
        format!("{}\n", look.good(&format!("{} {deed}", moved.target)))
    });
    ctx.screen.next(&moved.undo);
    Ok(Exit::Done)
}
