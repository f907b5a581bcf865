//! `hale llm …`: providers of models, the models, and calls to them.

mod calls;
mod models;
mod providers;
mod show;
mod test;

use super::ctx::Ctx;
use crate::exit::{Error, Exit};
use clap::Subcommand;
pub use show::explained;

/// Look at providers, models and calls to them
#[derive(Debug, Subcommand)]
pub enum Verb {
    Providers(providers::Args),
    Models(models::Args),
    Calls(calls::Args),
    Show(show::Args),
    Test(test::Args),
}

impl Verb {
    pub async fn run(self, ctx: &mut Ctx) -> Result<Exit, Error> {
        match self {
            Verb::Providers(args) => providers::run(args, ctx).await,
            Verb::Models(args) => models::run(args, ctx).await,
            Verb::Calls(args) => calls::run(args, ctx).await,
            Verb::Show(args) => show::run(args, ctx).await,
            Verb::Test(args) => test::run(args, ctx).await,
        }
    }
}
