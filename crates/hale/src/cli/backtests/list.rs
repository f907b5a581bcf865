//! `hale backtests list [FILTER…]`.

use crate::cli::ctx::Ctx;
use crate::cli::runs::list::filter;
use crate::client::escape;
use crate::exit::{Error, Exit};
use crate::render::backtest as shown;
use crate::wire::Page;
use crate::wire::backtests::BacktestView;

/// List back-tests, newest first
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale backtests list
  hale backtests list status:failed since:1d
  hale backtests list -o json | jq '.items[].failure_class'

Filters are those of: hale runs list --help")]
pub struct Args {
    /// What to list; without it every back-test
    filter: Vec<String>,
    /// At most this many
    #[arg(short = 'n', long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let filter = filter(&args.filter);
    let path = format!("/api/v1/backtests?limit={}&filter={}", args.limit, escape(&filter));
    let page: Page<BacktestView> = ctx.client().await?.get(path).await?;
    ctx.screen.list(&page, |one| one.id.clone(), |look| shown::table(&page.items, look));
    if page.items.is_empty() && ctx.screen.format().is_human() {
        ctx.screen.note("no back-tests");
        ctx.screen.next("hale backtests start --prices examples/backtester/data/synthetic-btc-1d.csv");
    }
    Ok(Exit::Done)
}
