//! `hale packs validate FILE`.

use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::render::pack as shown;
use crate::wire::PackView;
use serde_json::json;
use std::path::PathBuf;

/// Check a pack without deploying it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale packs validate log-triage.md
  hale packs validate .claude/agents/reviewer.md          # a Claude Code agent is a pack too")]
pub struct Args {
    /// The pack's file
    file: PathBuf,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let order = super::source(&args.file, &ctx.cwd)?;
    let asked = match ctx.client().await {
        Ok(client) => client.post::<PackView>("/api/v1/packs/validate", &order).await,
        Err(error) => Err(error),
    };
    let pack = match asked {
        Ok(pack) => pack,
        Err(error) if error.exit == Exit::Unreachable && ctx.target.place.url.is_none() => {
            let done = json!({ "schema": "hale.packs.validate/1", "file": order.file_name, "valid": true, "grants_checked": false });
            ctx.screen.one(&done, &order.file_name, |look| {
                format!("{}\n", look.good(&format!("valid  {}", order.file_name)))
            });
            ctx.screen.note("no server answers, so its grants and its model were not checked");
            return Ok(Exit::Done);
        }
        Err(error) => return Err(error),
    };
    ctx.screen.one(&pack, &pack.name, |look| {
        let head = look.good(&format!("valid  {}@{}", pack.name, pack.version));
        format!("{head}\n{}", shown::warnings(&pack, look))
    });
    ctx.screen.next(&format!("hale packs deploy {}", args.file.display()));
    Ok(Exit::Done)
}
