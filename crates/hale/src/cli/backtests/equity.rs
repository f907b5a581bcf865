//! `hale backtests equity ID`.

use crate::cli::ctx::Ctx;
use crate::client::escape;
use crate::exit::{Error, Exit};
use crate::render::backtest as shown;
use crate::wire::backtests::EquityView;
use std::path::PathBuf;

/// The drawn chart among the results.
const CHART: &str = "equity.svg";

/// Draw the equity of a back-test in the terminal, or write its chart to a file
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale backtests equity bt-01jd4m8q2r7wx5b9n3k6t0vyhz
  hale backtests equity bt-01jd4m8q2r7wx5b9n3k6t0vyhz --svg equity.svg
  hale backtests equity bt-01jd4m8q2r7wx5b9n3k6t0vyhz -o json | jq '.points[-1]'")]
pub struct Args {
    /// The back-test's id, or its run's
    id: String,
    /// Write the chart to this file instead
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let client = ctx.client().await?;
    let path = format!("/api/v1/backtests/{}", escape(&args.id));
    let Some(file) = &args.svg else {
        let curve: EquityView = client.get(format!("{path}/equity")).await?;
        ctx.screen.one(&curve, &curve.id, |look| shown::chart(&curve, look));
        return Ok(Exit::Done);
    };
    let bytes = client.bytes(format!("{path}/results/{CHART}")).await?;
    let to = ctx.cwd.join(file);
    std::fs::write(&to, &bytes).map_err(|error| Error::file("write the chart to", &to, &error))?;
    let name = file.display().to_string();
    let done = serde_json::json!({ "schema": "hale.saved/1", "file": name, "bytes": bytes.len() });
    ctx.screen.one(&done, &name, |look| {
        format!("{}\n", look.good(&format!("saved {} bytes to {name}", bytes.len())))
    });
    Ok(Exit::Done)
}
