//! `hale secrets remove NAME`.

use super::{folder, refused};
use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use hale_core::code::Code;
use hale_gateway::secret::store::{Before, remove_secret};

/// Remove the stored key of a provider
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale secrets remove openai")]
pub struct Args {
    /// Name of the provider
    name: String,
}

pub fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let folder = folder(ctx)?;
    let before = remove_secret(&folder, &args.name).map_err(|error| refused(&error))?;
    if before == Before::Absent {
        let error =
            Error::coded(Code::E010, format!("remove the secret {}: none of this name is stored", args.name));
        return Err(error.hint("see them with: hale secrets list"));
    }
    let done = serde_json::json!({ "schema": "hale.secret/1", "name": args.name, "outcome": "removed" });
    ctx.screen.one(&done, &args.name, |look| format!("{}\n", look.good(&format!("removed {}", args.name))));
    Ok(Exit::Done)
}
