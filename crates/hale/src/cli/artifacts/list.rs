//! `hale artifacts list [FILTER…]`.

use crate::cli::ctx::Ctx;
use crate::cli::runs::list::filter;
use crate::client::escape;
use crate::exit::{Error, Exit};
use crate::render::artifact as shown;
use crate::wire::Page;
use crate::wire::artifacts::ArtifactView;

/// List artifacts across runs
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale artifacts list
  hale artifacts list pack:research since:1d
  hale artifacts list run:run_01JD4M8Q2R7WX5B9N3K6T0VYHZ
  hale artifacts list 'size:>1MiB' report -o json
  hale artifacts list --inputs")]
pub struct Args {
    /// run:RUN pack:NAME since:SPAN until:SPAN size:>1MiB, and parts of names
    filter: Vec<String>,
    /// What was put with `hale artifacts put`, instead of what runs made
    #[arg(long)]
    inputs: bool,
    /// At most this many
    #[arg(short = 'n', long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let client = ctx.client().await?;
    let kind = if args.inputs { "input" } else { "run" };
    let path = format!(
        "/api/v1/artifacts?filter={}&limit={}&kind={kind}",
        escape(&filter(&args.filter)),
        args.limit
    );
    let page: Page<ArtifactView> = client.get(path).await?;
    ctx.screen.list(&page, |artifact| artifact.hash.clone(), |look| shown::table(&page.items, look));
    match page.items.first() {
        Some(first) => ctx.screen.next(&format!("hale artifacts get {}", first.hash)),
        None => ctx.screen.note("no artifacts"),
    }
    Ok(Exit::Done)
}
