//! `hale backtests start`.

use crate::cli::ctx::Ctx;
use crate::cli::following::{Manner, to_its_end};
use crate::client::{Ask, escape};
use crate::exit::{Error, Exit};
use crate::render::backtest as shown;
use crate::render::live::Words;
use crate::wire::RunView;
use crate::wire::backtests::{BacktestView, StartBacktest};
use hale_core::time::Millis;
use std::path::PathBuf;

/// Try a trading rule on past prices
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale backtests start --prices examples/backtester/data/synthetic-btc-1d.csv
  hale backtests start --prices prices.csv --fast 20 --slow 100 --fee-bps 10
  hale backtests start --prices prices.csv --strategy breakout --entry 20 --exit 10 --size 50%
  hale backtests start --path /srv/prices/btc.csv --from 2023-01-01 --detach

Needs the pack backtest and its program: hale packs deploy packs/backtest.md, and see docs/backtests.md.")]
pub struct Args {
    /// CSV file here, sent with the request (up to 1 MiB with all else)
    #[arg(long, value_name = "FILE", required_unless_present = "path", conflicts_with = "path")]
    prices: Option<PathBuf>,
    /// File on the server instead, in a folder that the pack is granted
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// ma-cross or breakout [default: ma-cross]
    #[arg(long, value_name = "NAME")]
    strategy: Option<String>,
    /// ma-cross: bars of the fast average
    #[arg(long, value_name = "BARS")]
    fast: Option<u64>,
    /// ma-cross: bars of the slow average
    #[arg(long, value_name = "BARS")]
    slow: Option<u64>,
    /// breakout: bars whose highest high must be passed
    #[arg(long, value_name = "BARS")]
    entry: Option<u64>,
    /// breakout: bars whose lowest low must be undercut
    #[arg(long, value_name = "BARS")]
    exit: Option<u64>,
    /// Money at the start
    #[arg(long, value_name = "AMOUNT")]
    capital: Option<f64>,
    /// Money of one position: 95% of the cash, or an amount
    #[arg(long, value_name = "SIZE")]
    size: Option<String>,
    /// Fee of each fill in basis points
    #[arg(long, value_name = "BPS")]
    fee_bps: Option<f64>,
    /// How much worse than the open each fill is, in basis points
    #[arg(long, value_name = "BPS")]
    slippage_bps: Option<f64>,
    /// First bar: a date or RFC 3339
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Last bar
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// What to do where bars are missing: refuse or allow
    #[arg(long, value_name = "WAY")]
    gaps: Option<String>,
    /// Do not wait: print the back-test and return
    #[arg(short, long, conflicts_with = "wait")]
    detach: bool,
    /// Wait at most this long; the back-test goes on after it
    #[arg(long, value_name = "SPAN")]
    wait: Option<Millis>,
    /// A second start with the same key is the same back-test
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let (detach, wait) = (args.detach, args.wait);
    let key = args.idempotency_key.clone();
    let order = order(args, ctx)?;
    let client = ctx.client().await?;
    let mut ask = Ask::post("/api/v1/backtests", &order);
    if let Some(key) = key {
        ask = ask.header("idempotency-key", key);
    }
    let begun: BacktestView = client.ask(ask).await?;
    if detach {
        ctx.screen.one(&begun, &begun.id, |_| format!("{}\n", begun.id));
        ctx.screen.next(&format!("hale backtests show {}", begun.id));
        return Ok(Exit::Done);
    }
    let run: RunView = client.get(format!("/api/v1/runs/{}", escape(&begun.run_id))).await?;
    let manner = Manner { words: Words::Hidden, wait: wait.map(Millis::duration) };
    let ended = to_its_end(ctx, &client, &run, manner).await?;
    let now: BacktestView = client.get(format!("/api/v1/backtests/{}", begun.id)).await?;
    ctx.screen.one(&now, &now.id, |look| shown::page(&now, look));
    Ok(match ended {
        Some(run) => {
            let next = match run.error {
                Some(_) => format!("hale why {}", now.run_id),
                None => format!("hale backtests equity {}", now.id),
            };
            ctx.screen.next(&next);
            Exit::of_run(&run)
        }
        None => Exit::StillRunning,
    })
}

fn order(args: Args, ctx: &Ctx) -> Result<StartBacktest, Error> {
    let csv = args.prices.map(|file| {
        let path = ctx.cwd.join(&file);
        std::fs::read_to_string(&path).map_err(|error| Error::file("read the prices in", &path, &error))
    });
    Ok(StartBacktest {
        csv: csv.transpose()?,
        data: args.path,
        strategy: args.strategy,
        fast: args.fast,
        slow: args.slow,
        entry: args.entry,
        exit: args.exit,
        capital: args.capital,
        size: args.size,
        fee_bps: args.fee_bps,
        slippage_bps: args.slippage_bps,
        from: args.from,
        to: args.to,
        gaps: args.gaps,
    })
}
