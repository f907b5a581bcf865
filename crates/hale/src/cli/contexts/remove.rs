//! `hale contexts remove NAME`.

use crate::cli::ctx::Ctx;
use crate::client::contexts::Contexts;
use crate::exit::{Error, Exit};
use serde_json::json;

/// Forget a name; the server and the file with its key stay
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale contexts remove staging
  hale contexts remove staging --json")]
pub struct Args {
    /// Name of the context
    name: String,
}

pub fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let mut contexts = Contexts::load(&ctx.env)?;
    contexts.named(&args.name)?;
    let gone = contexts.contexts.remove(&args.name);
    if contexts.current.as_ref() == Some(&args.name) {
        contexts.current = None;
    }
    contexts.store(&ctx.env)?;
    let done = json!({ "schema": "hale.context/1", "name": args.name, "current": contexts.current });
    ctx.screen.one(&done, &args.name, |look| {
        format!("{}\n", look.good(&format!("context {} is forgotten", args.name)))
    });
    if let Some(gone) = gone {
        ctx.screen.next(&format!("hale contexts add {} --url {}", args.name, gone.url));
    }
    Ok(Exit::Done)
}
