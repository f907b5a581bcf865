//! `hale contexts …`: servers by name.

mod add;
mod list;
mod remove;
mod use_one;

use super::ctx::Ctx;
use crate::exit::{Error, Exit};
use clap::Subcommand;

/// Name servers, and say which one commands speak with
#[derive(Debug, Subcommand)]
#[command(after_help = "\
A command speaks with the first of these that is there: --url, --context, HALE_URL, the server of --data,
HALE_CONTEXT, the server of HALE_DATA, that of ./.hale, the context in use, that of your state folder.")]
pub enum Verb {
    List(list::Args),
    Use(use_one::Args),
    Add(add::Args),
    Remove(remove::Args),
}

impl Verb {
    pub fn run(self, ctx: &mut Ctx) -> Result<Exit, Error> {
        match self {
            Verb::List(args) => list::run(args, ctx),
            Verb::Use(args) => use_one::run(args, ctx),
            Verb::Add(args) => add::run(args, ctx),
            Verb::Remove(args) => remove::run(args, ctx),
        }
    }
}
