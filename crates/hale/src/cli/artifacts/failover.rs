//! `hale artifacts failover --to STORE --reason TEXT`.

use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::wire::artifacts::{FailoverRequest, FailoverView};

/// Let new artifacts go to the other store
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale artifacts failover --to backup --reason \"the disk of the data folder fails\"
  hale artifacts failover --to primary --reason \"the disk is replaced\"

What is in either store can be read all the time. A store that fails its probe is refused, and nothing changes.
The second store is the folder artifacts.secondary in hale.toml.")]
pub struct Args {
    /// The store that becomes the active one: backup or primary
    #[arg(long, value_name = "STORE")]
    to: String,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let order = FailoverRequest { to: args.to, reason: args.reason };
    let done: FailoverView = ctx.client().await?.post("/api/v1/artifacts/failover", &order).await?;
    ctx.screen.one(&done, &done.operation, |look| {
        format!(
            "{}\n",
            look.good(&format!("new artifacts go to {} from now on, not to {}", done.to, done.from))
        )
    });
    ctx.screen.note(&format!("undo: {}", done.undo));
    ctx.screen.next("hale artifacts stores");
    Ok(Exit::Done)
}
