//! `hale secrets …`: keys of model providers, as files of the data folder that only its owner can read.
//!
//! Guarantees: works with the server up or down, and the next call uses what was set; no secret is ever printed, only
//! its fingerprint. A secret is read from stdin or a prompt, never from the command line, where others could see it.
//! Leaves to others: the files (`hale-gateway::secret::store`).

mod list;
mod remove;
mod set;

use super::ctx::Ctx;
use crate::exit::{Error, Exit};
use clap::Subcommand;
use hale_core::code::Code;
use hale_gateway::secret;
use std::path::PathBuf;

/// Set, list and remove the keys of providers
#[derive(Debug, Subcommand)]
#[command(visible_alias = "secret")]
pub enum Verb {
    Set(set::Args),
    List(list::Args),
    Remove(remove::Args),
}

impl Verb {
    pub fn run(self, ctx: &mut Ctx) -> Result<Exit, Error> {
        match self {
            Verb::Set(args) => set::run(&args, ctx),
            Verb::List(args) => list::run(&args, ctx),
            Verb::Remove(args) => remove::run(&args, ctx),
        }
    }
}

/// The secrets folder of the data folder in force.
fn folder(ctx: &Ctx) -> Result<PathBuf, Error> {
    Ok(ctx.config(Vec::new(), None)?.data.join("secrets"))
}

fn refused(error: &secret::Error) -> Error {
    let failed = match error {
        secret::Error::Name { .. } | secret::Error::Unusable { .. } => {
            Error::coded(Code::E002, error.to_string())
        }
        secret::Error::Read { source, .. } | secret::Error::Write { source, .. }
            if source.kind() == std::io::ErrorKind::PermissionDenied =>
        {
            Error::new(Exit::NotAuthorised, error.to_string())
        }
        _ => Error::new(Exit::Failed, error.to_string()),
    };
    let mut failed = failed;
    let mut source = std::error::Error::source(error);
    while let Some(below) = source {
        failed.chain.push(below.to_string());
        source = below.source();
    }
    failed
}
