//! The command line: arguments, answers, exit codes.
//!
//! Guarantees: answers go to stdout, stages and failures to stderr; the last line of stderr after a failure is one JSON
//! object with `error`, `message`, `fix` and, once there is one, `stage`; exit codes are those of [`Class`].
//! Read next: [`crate::job`].

use crate::bars::moment::{self, Moment};
use crate::bars::{Gaps, Range};
use crate::failure::{Class, Failure};
use crate::job::{self, Earlier, Job};
use crate::misbehave::Misbehave;
use crate::params::{Params, Rule, Size};
use crate::progress::{Progress, Stage};
use crate::result::{CHART_FILE, RESULT_FILE, Report};
use crate::sample;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Tries a trading rule on past prices: trades, equity curve, drawdown, Sharpe ratio
#[derive(Debug, Parser)]
#[command(
    name = "hale-backtester",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    after_help = "\
Examples:
  hale-backtester run --data examples/backtester/data/synthetic-btc-1d.csv --out results
  hale-backtester sample --seed 7 --days 750 --out synthetic-btc-1d.csv

Exit codes: 0 done, 1 something around it failed, 2 usage, 3 data, 4 strategy.
After a failure the last line on stderr is a JSON object: {\"error\":\"data_error\",\"message\":…}"
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(Box<Run>),
    Sample(Sample),
}

/// Run a strategy over a file and write backtest-result.json and equity.svg
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hale-backtester run --data prices.csv --out results --fast 10 --slow 50 --fee-bps 10
  hale-backtester run --data prices.csv --out results --strategy breakout --entry 20 --size 50%
  hale-backtester run --data stocks.csv --out results --gaps allow --periods-per-year 252
  hale-backtester run --data prices.csv --out results --from 2023-01-01 --to 2023-12-31 --json")]
struct Run {
    /// CSV file with the columns timestamp,open,high,low,close,volume
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// Folder for the results; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Replace an earlier result in the folder
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    strategy: Strategy,
    #[command(flatten)]
    money: Money,
    /// First bar to use: a date or RFC 3339
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    from: Option<Moment>,
    /// Last bar to use
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    to: Option<Moment>,
    /// What to do where bars are missing
    #[arg(long, value_enum, default_value_t = Gaps::Refuse)]
    gaps: Gaps,
    /// Bars in a year, for the Sharpe ratio; measured from the data if not given
    #[arg(long, value_name = "BARS")]
    periods_per_year: Option<f64>,
    /// What idle money earns in a year, for the Sharpe ratio, e.g. 0.03
    #[arg(long, value_name = "FRACTION", default_value_t = 0.0, allow_negative_numbers = true)]
    risk_free: f64,
    /// The answer as one JSON document
    #[arg(long)]
    json: bool,
    /// For fault tests: go wrong in this way
    #[arg(long, value_enum, hide = true)]
    misbehave: Option<Misbehave>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Name {
    /// Long while a fast moving average is above a slow one
    MaCross,
    /// Long from a new high of some bars until a new low of some bars
    Breakout,
}

#[derive(Debug, Args)]
struct Strategy {
    /// The rule
    #[arg(long, value_enum, default_value_t = Name::MaCross)]
    strategy: Name,
    /// ma-cross: bars of the fast average [default: 10]
    #[arg(long, value_name = "BARS")]
    fast: Option<usize>,
    /// ma-cross: bars of the slow average [default: 50]
    #[arg(long, value_name = "BARS")]
    slow: Option<usize>,
    /// breakout: bars whose highest high must be passed [default: 20]
    #[arg(long, value_name = "BARS")]
    entry: Option<usize>,
    /// breakout: bars whose lowest low must be undercut [default: 10]
    #[arg(long, value_name = "BARS")]
    exit: Option<usize>,
}

#[derive(Debug, Args)]
struct Money {
    /// Fee of each fill, in basis points (hundredths of a percent) of its value
    #[arg(long, value_name = "BPS", default_value_t = 10.0, allow_negative_numbers = true)]
    fee_bps: f64,
    /// How much worse than the open each fill is, in basis points
    #[arg(long, value_name = "BPS", default_value_t = 5.0, allow_negative_numbers = true)]
    slippage_bps: f64,
    /// Money at the start, in the currency of the prices
    #[arg(long, value_name = "AMOUNT", default_value_t = 10_000.0, allow_negative_numbers = true)]
    capital: f64,
    /// Money of one position, fees included: 95% of what is at hand, or an amount
    #[arg(long, value_name = "SIZE", default_value = "100%", allow_hyphen_values = true)]
    size: Size,
}

/// Write a file of invented daily prices
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hale-backtester sample --seed 7 --days 750 --out synthetic-btc-1d.csv
  hale-backtester sample --seed 8 --days 2000 --out synthetic-long.csv --json")]
struct Sample {
    /// The same seed gives the same file
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// How many bars
    #[arg(long, default_value_t = 750, value_parser = clap::value_parser!(u32).range(2..=i64::from(sample::DAYS_MAX)))]
    days: u32,
    /// The file to write; one that is there already is not replaced
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The answer as one JSON document
    #[arg(long)]
    json: bool,
}

pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return not_understood(&error),
    };
    let mut stderr = std::io::stderr();
    let mut progress = Progress::to(&mut stderr);
    let answer = match cli.command {
        Command::Run(run) => run.job().and_then(|job| {
            let report = job::run(&job, &mut progress)?;
            Ok(if run.json { answer_json(&report, &job) } else { answer_text(&report, &job) })
        }),
        Command::Sample(sample) => sample.write(),
    };
    let stage = progress.stage();
    match answer {
        Ok(text) => {
            // Whoever closed the pipe has read enough; the result is in its folder.
            let _ = writeln!(std::io::stdout(), "{text}");
            ExitCode::SUCCESS
        }
        Err(failure) => failed(&failure, stage),
    }
}

fn not_understood(error: &clap::Error) -> ExitCode {
    // Nobody may be reading.
    let _ = error.print();
    if !error.use_stderr() {
        return ExitCode::SUCCESS;
    }
    let text = error.to_string();
    let said = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
    let what = if said.ends_with(':') {
        text.lines().take(2).map(str::trim).collect::<Vec<_>>().join(" ")
    } else {
        said.to_owned()
    };
    last_line(&Failure::usage(what.trim_start_matches("error: "), "see: hale-backtester --help"), None);
    ExitCode::from(Class::UsageError.exit_code())
}

fn failed(failure: &Failure, stage: Option<Stage>) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "error: {}\n  fix: {}", failure.message, failure.fix);
    last_line(failure, stage);
    ExitCode::from(failure.class.exit_code())
}

fn last_line(failure: &Failure, stage: Option<Stage>) {
    let mut line =
        serde_json::json!({"error": failure.class, "message": failure.message, "fix": failure.fix});
    if let Some(stage) = stage {
        line["stage"] = stage.name().into();
    }
    // Nobody may be reading; the exit code says it too.
    let _ = writeln!(std::io::stderr(), "{line}");
}

impl Run {
    fn job(&self) -> Result<Job, Failure> {
        Ok(Job {
            data: self.data.clone(),
            results: self.out.clone(),
            earlier: if self.overwrite { Earlier::Replace } else { Earlier::Keep },
            params: Params {
                strategy: self.strategy.rule()?,
                fee_bps: self.money.fee_bps,
                slippage_bps: self.money.slippage_bps,
                initial_capital: self.money.capital,
                size: self.money.size,
                risk_free_rate_fraction: self.risk_free,
                periods_per_year: self.periods_per_year,
            },
            range: Range { from: self.from, to: self.to },
            gaps: self.gaps,
            misbehave: self.misbehave,
        })
    }
}

impl Strategy {
    fn rule(&self) -> Result<Rule, Failure> {
        let foreign = |name: &str, options: [(&str, Option<usize>); 2]| match options
            .iter()
            .find(|option| option.1.is_some())
        {
            Some((option, _)) => {
                let what = format!("{option} is no option of the strategy {name}");
                Err(Failure::usage(what, "leave it out, or choose the other --strategy"))
            }
            None => Ok(()),
        };
        match self.strategy {
            Name::MaCross => {
                foreign("ma-cross", [("--entry", self.entry), ("--exit", self.exit)])?;
                Ok(Rule::MaCross { fast_bars: self.fast.unwrap_or(10), slow_bars: self.slow.unwrap_or(50) })
            }
            Name::Breakout => {
                foreign("breakout", [("--fast", self.fast), ("--slow", self.slow)])?;
                Ok(Rule::Breakout {
                    entry_bars: self.entry.unwrap_or(20),
                    exit_bars: self.exit.unwrap_or(10),
                })
            }
        }
    }
}

impl Sample {
    fn write(&self) -> Result<String, Failure> {
        let cannot = |error: std::io::Error| {
            let what = format!("write {}: {error}", self.out.display());
            match error.kind() {
                std::io::ErrorKind::AlreadyExists => {
                    Failure::usage(what, "give --out another file, or remove that one")
                }
                _ => Failure::other(what, "give --out a place that you may write"),
            }
        };
        let text = sample::csv(self.seed, self.days);
        let mut file = std::fs::File::create_new(&self.out).map_err(cannot)?;
        file.write_all(text.as_bytes()).map_err(cannot)?;
        let (file, days, seed) = (self.out.display(), self.days, self.seed);
        Ok(if self.json {
            serde_json::json!({"file": file.to_string(), "bars_count": days, "seed": seed, "synthetic": true})
                .to_string()
        } else {
            format!("wrote {days} invented days (seed {seed}) to {file}")
        })
    }
}

fn answer_json(report: &Report, job: &Job) -> String {
    serde_json::json!({
        "result": job.results.join(RESULT_FILE),
        "chart": job.results.join(CHART_FILE),
        "data": report.data,
        "params": report.params,
        "metrics": report.metrics,
    })
    .to_string()
}

/// The figures that one looks at first.
fn answer_text(report: &Report, job: &Job) -> String {
    let metrics = &report.metrics;
    let data = &report.data;
    let percent = |part: f64| format!("{:.2} %", part * 100.0);
    let or_none = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let drawdown = metrics.max_drawdown.as_ref().map(|drawdown| {
        let recovered =
            drawdown.recovered_at.map_or("not recovered".to_owned(), |at| format!("recovered {}", day(at)));
        let (peak, trough) = (day(drawdown.peak_at), day(drawdown.trough_at));
        format!("{} ({peak} to {trough}, {recovered})", percent(drawdown.depth_fraction))
    });
    let won = metrics.win_rate_fraction.map_or(String::new(), |won| format!(", {} won", percent(won)));
    let trades = format!("{}{won}", metrics.trades_count);
    let sharpe = &metrics.sharpe;
    let rows = [
        ("strategy", report.params.strategy.to_string()),
        (
            "data",
            format!(
                "{}, {} bars, {} to {}",
                data.file,
                data.bars_count,
                day(data.first_at),
                day(data.last_at)
            ),
        ),
        ("final equity", format!("{:.2}", metrics.final_equity_amount)),
        ("total return", percent(metrics.total_return_fraction)),
        ("buy and hold", percent(metrics.buy_and_hold_return_fraction)),
        ("CAGR", or_none(metrics.cagr_fraction.map(percent))),
        ("max drawdown", or_none(drawdown)),
        (
            "Sharpe ratio",
            or_none(
                sharpe
                    .ratio
                    .map(|ratio| format!("{ratio:.2} ({:.2} periods a year)", sharpe.periods_per_year)),
            ),
        ),
        ("trades", trades),
        ("profit factor", or_none(metrics.profit_factor.map(|factor| format!("{factor:.2}")))),
        ("exposure", percent(metrics.exposure_fraction)),
        ("fees paid", format!("{:.2}", metrics.fees_amount)),
        ("result", job.results.join(RESULT_FILE).display().to_string()),
        ("chart", job.results.join(CHART_FILE).display().to_string()),
    ];
    let mut text = String::new();
    for (name, value) in rows {
        writeln!(text, "{name:<14} {value}").expect("writing to a string does not fail");
    }
    text.trim_end().to_owned()
}

fn day(at: Moment) -> String {
    at.strftime("%Y-%m-%d").to_string()
}
