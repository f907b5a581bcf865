//! `hale runs artifacts ID [NAME]`.

use crate::cli::ctx::Ctx;
use crate::client::escape;
use crate::exit::{Error, Exit};
use crate::render::table::Column;
use crate::render::{Table, when};
use crate::wire::Page;
use hale_core::run::event::Artifact;

/// List the artifacts of a run, or print one
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale runs artifacts run_01JD4M8Q2R7WX5B9N3K6T0VYHZ
  hale runs artifacts run_01JD4M8Q2R7WX5B9N3K6T0VYHZ report.md > report.md")]
pub struct Args {
    /// The run's id
    id: String,
    /// Name of the artifact to print
    name: Option<String>,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let client = ctx.client().await?;
    let path = format!("/api/v1/runs/{}/artifacts", escape(&args.id));
    if let Some(name) = &args.name {
        let bytes = client.bytes(format!("{path}/{}", escape(name))).await?;
        ctx.screen.print_bytes(&bytes);
        return Ok(Exit::Done);
    }
    let page: Page<Artifact> = client.get(path).await?;
    ctx.screen.list(&page, |artifact| artifact.name.clone(), |_| table(&page.items));
    if page.items.is_empty() {
        ctx.screen.note("no artifacts");
    }
    Ok(Exit::Done)
}

fn table(artifacts: &[Artifact]) -> Table {
    let columns =
        [("name", Column::Left), ("size", Column::Right), ("type", Column::Left), ("blake3", Column::Left)];
    let mut table = Table::new(&columns);
    for artifact in artifacts {
        table.row(vec![
            artifact.name.clone().into(),
            when::bytes(artifact.bytes).into(),
            artifact.media_type.clone().into(),
            artifact.hash.clone().into(),
        ]);
    }
    table
}
