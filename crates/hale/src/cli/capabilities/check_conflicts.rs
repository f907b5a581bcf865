//! `hale capabilities check-conflicts [NAME]`.

use crate::cli::ctx::Ctx;
use crate::client::escape;
use crate::exit::{Error, Exit};
use crate::render::Table;
use crate::render::table::Column;
use crate::wire::Page;
use crate::wire::capability::{CapabilityView, OfferView};

/// Find capabilities that several enabled packs offer, so that none can be chosen
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale capabilities check-conflicts
  hale capabilities check-conflicts research-pack
  hale capabilities check-conflicts summarise --json

Exit code 0 without conflicts, 10 with.")]
pub struct Args {
    /// A pack, or a capability; without it all of them
    name: Option<String>,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let query = args.name.map(|name| format!("?name={}", escape(&name))).unwrap_or_default();
    let path = format!("/api/v1/capabilities{query}");
    let mut page: Page<CapabilityView> = ctx.client().await?.get(path).await?;
    let looked_at = page.items.len();
    page.items.retain(|offered| offered.conflict);
    ctx.screen.list(&page, |offered| offered.capability.clone(), |_| table(&page.items));
    if page.items.is_empty() {
        ctx.screen.note(&format!("no conflicts among {looked_at} capabilities"));
        return Ok(Exit::Done);
    }
    Ok(Exit::Warnings)
}

fn table(conflicts: &[CapabilityView]) -> Table {
    let mut table =
        Table::new(&[("capability", Column::Left), ("offered by", Column::Left), ("chosen", Column::Text)]);
    for conflict in conflicts {
        let offers: Vec<String> = conflict.offers.iter().map(offer).collect();
        table.row(vec![
            conflict.capability.clone().into(),
            offers.join(", ").into(),
            format!("none: {}", conflict.because).into(),
        ]);
    }
    table
}

fn offer(offer: &OfferView) -> String {
    let disabled = if offer.enabled { "" } else { " (disabled)" };
    format!("{}@{}{disabled}", offer.pack, offer.version)
}
