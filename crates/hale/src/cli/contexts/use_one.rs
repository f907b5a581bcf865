//! `hale contexts use NAME`.

use crate::cli::ctx::Ctx;
use crate::client::contexts::Contexts;
use crate::exit::{Error, Exit};
use serde_json::json;

/// Speak with this server when nothing nearer says otherwise
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale contexts use staging
  hale contexts use --none                      # with none of them
  hale runs list --context prod                 # one command with another one")]
pub struct Args {
    /// Name of the context
    #[arg(required_unless_present = "none", conflicts_with = "none")]
    name: Option<String>,
    /// With none of them
    #[arg(long)]
    none: bool,
}

pub fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let mut contexts = Contexts::load(&ctx.env)?;
    if let Some(name) = &args.name {
        contexts.named(name)?;
    }
    contexts.current.clone_from(&args.name);
    contexts.store(&ctx.env)?;
    let name = args.name.unwrap_or_default();
    let done = json!({ "schema": "hale.context/1", "current": contexts.current });
    ctx.screen.one(&done, &name, |look| match &contexts.current {
        Some(name) => format!("{}\n", look.good(&format!("commands speak with {name}"))),
        None => format!("{}\n", look.good("commands speak with no context")),
    });
    Ok(Exit::Done)
}
