//! `hale packs …`: what can be run.

mod deploy;
mod disable;
mod enable;
mod init;
mod list;
mod quarantine;
mod reload;
mod rollback;
mod show;
mod validate;

use super::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::wire::packs::DeployPack;
use clap::Subcommand;
use hale_core::code::Code;
use hale_core::limits;
use hale_core::pack::{self, Paint, parse};
use std::path::Path;

/// Write, check, deploy and roll back packs
#[derive(Debug, Subcommand)]
#[command(visible_alias = "pack", alias = "agents")]
pub enum Verb {
    Init(init::Args),
    Validate(validate::Args),
    Deploy(deploy::Args),
    List(list::Args),
    Show(show::Args),
    Rollback(rollback::Args),
    Enable(enable::Args),
    Disable(disable::Args),
    Reload(reload::Args),
    #[command(subcommand)]
    Quarantine(quarantine::Verb),
}

impl Verb {
    pub async fn run(self, ctx: &mut Ctx) -> Result<Exit, Error> {
        match self {
            Verb::Init(args) => init::run(args, ctx),
            Verb::Validate(args) => validate::run(args, ctx).await,
            Verb::Deploy(args) => deploy::run(args, ctx).await,
            Verb::List(args) => list::run(args, ctx).await,
            Verb::Show(args) => show::run(args, ctx).await,
            Verb::Rollback(args) => rollback::run(args, ctx).await,
            Verb::Enable(args) => enable::run(args, ctx).await,
            Verb::Disable(args) => disable::run(args, ctx).await,
            Verb::Reload(args) => reload::run(args, ctx).await,
            Verb::Quarantine(verb) => verb.run(ctx).await,
        }
    }
}

/// Reads a pack's file as a deploy wants it. What can be told without a server is told here, with the place drawn.
///
/// # Errors
/// When it cannot be read, is too large, or is no pack.
fn source(file: &Path, cwd: &Path) -> Result<DeployPack, Error> {
    let path = cwd.join(file);
    let size = std::fs::metadata(&path).map_err(|error| Error::file("read the pack", &path, &error))?.len();
    if size > limits::PACK_BYTES as u64 {
        let error =
            Error::coded(Code::E012, format!("read the pack {}: it has {size} bytes", path.display()));
        let most = limits::PACK_BYTES;
        return Err(
            error.hint(format!("a pack has at most {most} bytes; what is larger belongs into an artifact"))
        );
    }
    let bytes = std::fs::read(&path).map_err(|error| Error::file("read the pack", &path, &error))?;
    let file_name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    parse(&bytes, &file_name, &pack::Env::default()).map_err(|error| invalid(&error))?;
    // What the parser took is UTF-8.
    let source = String::from_utf8_lossy(&bytes).into_owned();
    Ok(DeployPack { file_name, source, dry_run: false })
}

fn invalid(error: &pack::Error) -> Error {
    let first = error.first();
    let message = format!("{}:{}:{}: {}", error.file, first.line, first.column, first.message);
    let mut failed = Error::coded(Code::E012, message).hint(first.help.clone());
    failed.cause = Some("pack.invalid".to_owned());
    failed.report = Some(error.render(Paint::Colour));
    failed
}
