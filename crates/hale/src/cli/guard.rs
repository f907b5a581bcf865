//! `hale guard …`: what the content guard finds in a text, without a server.

mod check;

use super::ctx::Ctx;
use crate::exit::{Error, Exit};
use clap::Subcommand;

/// Try the content guard on a text
#[derive(Debug, Subcommand)]
pub enum Verb {
    Check(check::Args),
}

impl Verb {
    pub fn run(self, ctx: &mut Ctx) -> Result<Exit, Error> {
        match self {
            Verb::Check(args) => check::run(&args, ctx),
        }
    }
}
