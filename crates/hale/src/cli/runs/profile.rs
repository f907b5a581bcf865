//! `hale runs profile ID`: where one run's time went, by kind of step and by name.

use super::history::whole;
use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::render::stats as shown;
use hale_core::run::profile::Profile;
use serde::Serialize;

/// Show where a run's time went
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale runs profile run_01JD4M8Q2R7WX5B9N3K6T0VYHZ
  hale runs profile run_01JD4M8Q2R7WX5B9N3K6T0VYHZ -o json | jq .names")]
pub struct Args {
    /// The run's id
    id: String,
}

#[derive(Serialize)]
struct Whole<'a> {
    schema: &'static str,
    run: &'a str,
    #[serde(flatten)]
    profile: Profile,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let history = whole(&ctx.client().await?, &args.id).await?;
    let profile = Profile::of(&history.records);
    let whole = Whole { schema: "hale.profile/1", run: &args.id, profile };
    ctx.screen.one(&whole, &args.id, |look| shown::profile(&whole.profile, look));
    Ok(Exit::Done)
}
