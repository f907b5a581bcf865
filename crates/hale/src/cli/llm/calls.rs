//! `hale llm calls`.

use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::render::Table;
use crate::render::paint::Look;
use crate::render::table::Column;
use crate::render::when;
use crate::wire::Page;
use crate::wire::models::CallView;

/// List calls of clients to models, newest first
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale llm calls
  hale llm calls -n 100 -o json
  hale why $(hale llm calls -n 1 -o name)")]
pub struct Args {
    /// At most this many
    #[arg(short = 'n', long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let page: Page<CallView> = ctx.client().await?.get(format!("/api/v1/calls?limit={}", args.limit)).await?;
    ctx.screen.list(&page, |call| call.id.clone(), |look| table(&page.items, look));
    if page.items.is_empty() {
        ctx.screen.note("no calls since the server started; runs have their own: hale runs list");
    }
    Ok(Exit::Done)
}

fn table(calls: &[CallView], look: &Look) -> Table {
    let mut table = Table::new(&[
        ("id", Column::Left),
        ("at", Column::Left),
        ("asked", Column::Left),
        ("served by", Column::Left),
        ("outcome", Column::Left),
        ("attempts", Column::Right),
        ("tokens", Column::Right),
        ("took", Column::Right),
    ]);
    for call in calls {
        let tokens = call.input_tokens.zip(call.output_tokens);
        let answered = usize::from(call.served_by.is_some());
        table.row(vec![
            call.id.clone().into(),
            when::moment(look, &call.at).into(),
            call.asked.clone().into(),
            call.served_by.clone().unwrap_or_default().into(),
            call.failure.as_ref().map_or(call.outcome.clone(), |failure| failure.cause.clone()).into(),
            (call.tried.len() + answered).to_string().into(),
            tokens.map(|(read, written)| format!("{read}+{written}")).unwrap_or_default().into(),
            format!("{} ms", call.took_ms).into(),
        ]);
    }
    table
}
