//! `hale runs logs ID`: the server's log lines of one run.

use crate::cli::ctx::Ctx;
use crate::cli::logs;
use crate::exit::{Error, Exit};

/// Show the server's log lines of a run
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale runs logs run_01JD4M8Q2R7WX5B9N3K6T0VYHZ
  hale runs logs run_01JD4M8Q2R7WX5B9N3K6T0VYHZ -n 500 -o jsonl")]
pub struct Args {
    /// The run's id
    id: String,
    /// The last so many lines
    #[arg(short = 'n', long, default_value_t = 1000, value_name = "LINES")]
    tail: usize,
}

/// # Errors
/// When the log of the data folder cannot be read.
pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    logs::run(&logs::Args::of_run(args.id, args.tail), ctx)
}
