//! `hale arms install`: deploys the arms that come with hale.
//!
//! Guarantees: what is there in this version already stays as it is.

use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::wire::packs::DeployPack;
use crate::wire::{PackView, Page};
use hale_core::code::Code;
use hale_core::nearest::nearest;

/// The arms that come with hale, as pack files.
pub const ARMS: [(&str, &str); 6] = [
    ("planner", include_str!("../../../../../packs/arms/planner.md")),
    ("executor", include_str!("../../../../../packs/arms/executor.md")),
    ("coder", include_str!("../../../../../packs/arms/coder.md")),
    ("judge", include_str!("../../../../../packs/arms/judge.md")),
    ("guardian", include_str!("../../../../../packs/arms/guardian.md")),
    ("retriever", include_str!("../../../../../packs/arms/retriever.md")),
];

/// Deploy the arms that come with hale: planner, executor, coder, judge, guardian, retriever
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale arms install
  hale arms install planner coder
  hale arms install --dry-run")]
pub struct Args {
    /// Only these
    names: Vec<String>,
    /// Only say what would be deployed
    #[arg(long)]
    dry_run: bool,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    for name in &args.names {
        known(name)?;
    }
    let client = ctx.client().await?;
    let mut page = Page { schema: "hale.packs/1".to_owned(), items: Vec::new(), next: None };
    let wanted = |name: &str| args.names.is_empty() || args.names.iter().any(|wanted| wanted == name);
    for (name, source) in ARMS.into_iter().filter(|(name, _)| wanted(name)) {
        let order =
            DeployPack { file_name: format!("{name}.md"), source: source.to_owned(), dry_run: args.dry_run };
        let pack: PackView = client.post("/api/v1/packs", &order).await?;
        page.items.push(pack);
    }
    ctx.screen.list(
        &page,
        |pack| pack.name.clone(),
        |_| {
            let mut table = crate::render::Table::new(&[
                ("arm", crate::render::table::Column::Left),
                ("version", crate::render::table::Column::Left),
                ("outcome", crate::render::table::Column::Left),
            ]);
            for pack in &page.items {
                table.row(vec![
                    pack.name.clone().into(),
                    pack.version.clone().into(),
                    pack.outcome.clone().into(),
                ]);
            }
            table
        },
    );
    ctx.screen.next("hale tasks start --goal \"Write a Python function\"");
    Ok(Exit::Done)
}

fn known(name: &str) -> Result<(), Error> {
    let names = || ARMS.into_iter().map(|(name, _)| name);
    if names().any(|known| known == name) {
        return Ok(());
    }
    let error = Error::coded(Code::E001, format!("find the built-in arm {name:?}"));
    Err(match nearest(name, names()) {
        Some(meant) => error.hint(format!("did you mean: hale arms install {meant}")),
        None => error.hint(format!("there are {}", names().collect::<Vec<_>>().join(", "))),
    })
}
