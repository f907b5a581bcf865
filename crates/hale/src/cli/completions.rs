//! `hale completions SHELL`.

use super::ctx::Ctx;
use crate::exit::{Error, Exit};
use clap_complete::Shell;

/// Print the completions of a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  source <(hale completions bash)
  hale completions zsh > ~/.zfunc/_hale
  hale completions fish > ~/.config/fish/completions/hale.fish")]
pub struct Args {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

pub fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "hale", &mut script);
    ctx.screen.print_bytes(&script);
    Ok(Exit::Done)
}
