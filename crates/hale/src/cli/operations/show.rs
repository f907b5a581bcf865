//! `hale operations show ID`.

use crate::cli::ctx::Ctx;
use crate::client::escape;
use crate::exit::{Error, Exit};
use crate::render::bulk as shown;
use crate::wire::Page;
use crate::wire::bulk::{BulkItemView, OperationShow};

/// Show one operation, and what came of each run if it is over many
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale operations show op_01JD4M8Q2R7WX5B9N3K6T0VYHZ
  hale operations show op_01JD4M8Q2R7WX5B9N3K6T0VYHZ --items failed")]
pub struct Args {
    /// The operation's id, from `hale operations list`
    id: String,
    /// Its runs in this state: waiting, done, left or failed
    #[arg(long, value_name = "STATE", value_parser = ["waiting", "done", "left", "failed"])]
    items: Option<String>,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let client = ctx.client().await?;
    let id = escape(&args.id);
    if let Some(state) = &args.items {
        let path = format!("/api/v1/operations/{id}/items?limit=1000&state={state}");
        let page: Page<BulkItemView> = client.get(path).await?;
        ctx.screen.list(&page, |item| item.run.clone(), |_| shown::items(&page.items));
        if page.items.is_empty() {
            ctx.screen.note(&format!("no runs are {state}"));
        }
        return Ok(Exit::Done);
    }
    let seen: OperationShow = client.get(format!("/api/v1/operations/{id}")).await?;
    ctx.screen.one(&seen, &args.id, |look| match &seen.bulk {
        Some(bulk) => shown::page(bulk, look),
        None => super::list::table(std::slice::from_ref(&seen.operation), look).render(look),
    });
    Ok(Exit::Done)
}
