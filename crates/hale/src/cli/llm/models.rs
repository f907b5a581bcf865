//! `hale llm models`.

use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::render::Table;
use crate::render::table::Column;
use crate::wire::models::ModelList;

/// List every model that can be called; providers that do not answer are left out
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale llm models
  hale llm models -o name")]
pub struct Args {}

pub async fn run(_args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let list: ModelList = ctx.client().await?.get("/v1/models").await?;
    let page = crate::wire::Page { schema: "hale.models/1".to_owned(), items: list.data, next: None };
    ctx.screen.list(
        &page,
        |model| model.id.clone(),
        |_| {
            let mut table = Table::new(&[("model", Column::Left), ("provider", Column::Left)]);
            for model in &page.items {
                table.row(vec![model.id.clone().into(), model.owned_by.clone().into()]);
            }
            table
        },
    );
    if page.items.is_empty() {
        ctx.screen.note("no provider answers with a model; see: hale llm providers");
        return Ok(Exit::Warnings);
    }
    Ok(Exit::Done)
}
