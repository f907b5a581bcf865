//! `hale llm providers`.

use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::render::Table;
use crate::render::table::Column;
use crate::wire::Page;
use crate::wire::models::ProviderView;

/// List the providers, and what became of the calls of the last five minutes
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale llm providers
  hale llm providers --json")]
pub struct Args {}

pub async fn run(_args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let page: Page<ProviderView> = ctx.client().await?.get("/api/v1/providers").await?;
    ctx.screen.list(&page, |provider| provider.name.clone(), |_| table(&page.items));
    Ok(Exit::Done)
}

fn table(providers: &[ProviderView]) -> Table {
    let mut table = Table::new(&[
        ("provider", Column::Left),
        ("key", Column::Left),
        ("calls 5m", Column::Right),
        ("failed", Column::Right),
        ("p95", Column::Right),
        ("causes", Column::Text),
    ]);
    for provider in providers {
        let causes: Vec<String> =
            provider.causes_5m.iter().map(|(cause, n)| format!("{cause} ×{n}")).collect();
        table.row(vec![
            provider.name.clone().into(),
            provider.key.clone().into(),
            provider.calls_5m.to_string().into(),
            provider.failed_5m.to_string().into(),
            provider.p95_ms.map(|ms| format!("{ms} ms")).unwrap_or_default().into(),
            causes.join(", ").into(),
        ]);
    }
    table
}
