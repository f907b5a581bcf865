//! `hale keys revoke ID`.

use super::{Keeper, keeper};
use crate::cli::ctx::Ctx;
use crate::client::{Ask, escape};
use crate::exit::{Error, Exit};
use crate::keys::offline;
use crate::logs::line::now;
use serde_json::{Value, json};

/// Make a key useless, at once and for ever
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale keys revoke key_01JD4M8Q2R7WX5B9N3K6T0VYHZ")]
pub struct Args {
    /// The key's id, from `hale keys list`
    id: String,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    match keeper(ctx).await? {
        Keeper::Server(client) => {
            let _: Value = client.ask(Ask::delete(format!("/api/v1/keys/{}", escape(&args.id)))).await?;
        }
        Keeper::Folder(data) => drop(offline::revoke(&data, &args.id, now()).await?),
    }
    let done = json!({ "schema": "hale.keys.revoke/1", "id": args.id, "revoked": true });
    ctx.screen.one(&done, &args.id, |look| format!("{}\n", look.good(&format!("revoked {}", args.id))));
    Ok(Exit::Done)
}
