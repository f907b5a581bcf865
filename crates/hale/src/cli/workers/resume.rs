//! `hale workers resume ID`: runs for it again.

use super::Which;
use crate::cli::ctx::Ctx;
use crate::client::escape;
use crate::exit::{Error, Exit};
use crate::wire::workers::WorkerView;
use serde_json::json;

/// Give a drained worker runs again
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale workers resume wrk_01JD4M8Q2R7WX5B9N3K6T0VYHZ
  hale workers resume --all")]
pub struct Args {
    #[command(flatten)]
    which: Which,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let client = ctx.client().await?;
    let mut resumed: Vec<String> = Vec::new();
    for id in args.which.ids(&client).await? {
        let path = format!("/api/v1/workers/{}/resume", escape(&id));
        resumed.push(client.post::<WorkerView>(path, &json!({})).await?.id);
    }
    let told = json!({ "schema": "hale.resumed/1", "workers": resumed });
    ctx.screen.one(&told, &resumed.join("\n"), |look| {
        resumed.iter().map(|id| format!("{}\n", look.good(&format!("{id} takes runs again")))).collect()
    });
    Ok(Exit::Done)
}
