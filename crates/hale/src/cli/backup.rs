//! `hale backup …`: a copy of everything, checked, and brought back.
//!
//! Guarantees: works with the server up or down, except for `restore`, which needs the folder for itself.
//! Leaves to others: the copying and checking (`hale-store`).

mod create;
mod restore;
mod verify;

use super::ctx::Ctx;
use crate::exit::{Error, Exit};
use clap::Subcommand;
use std::path::PathBuf;

/// Back up, check and restore a data folder
#[derive(Debug, Subcommand)]
#[command(alias = "store")]
pub enum Verb {
    Create(create::Args),
    Verify(verify::Args),
    Restore(restore::Args),
}

impl Verb {
    pub async fn run(self, ctx: &mut Ctx) -> Result<Exit, Error> {
        match self {
            Verb::Create(args) => create::run(&args, ctx),
            Verb::Verify(args) => verify::run(&args, ctx),
            Verb::Restore(args) => restore::run(&args, ctx),
        }
    }
}

/// The data folder in force.
fn data(ctx: &Ctx) -> Result<PathBuf, Error> {
    Ok(ctx.config(Vec::new(), None)?.data)
}
