//! `hale secrets set NAME`.

use super::{folder, refused};
use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use hale_core::code::Code;
use hale_gateway::secret::store::{Before, check_name, store_secret};
use hale_gateway::secret::{BYTES_MAX, Secret};
use std::io::{BufRead, IsTerminal, Read, Write};

/// Store the key of a provider
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale secrets set openai                       asks for the key
  hale secrets set openai --stdin < key.txt
  pass show openai | hale secrets set openai --stdin")]
pub struct Args {
    /// Name of the provider
    name: String,
    /// Read the key from stdin
    #[arg(long)]
    stdin: bool,
}

pub fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    check_name(&args.name).map_err(|error| refused(&error))?;
    let secret = read(args)?;
    let folder = folder(ctx)?;
    let before = store_secret(&folder, &args.name, &secret).map_err(|error| refused(&error))?;
    let fingerprint = secret.fingerprint();
    let verb = if before == Before::Kept { "replaced" } else { "stored" };
    let done = serde_json::json!({ "schema": "hale.secret/1", "name": args.name, "fingerprint": fingerprint, "outcome": verb });
    let place = folder.display();
    ctx.screen.one(&done, &args.name, |look| {
        format!("{}\n", look.good(&format!("{verb} {} (fingerprint {fingerprint}) in {place}", args.name)))
    });
    Ok(Exit::Done)
}

fn read(args: &Args) -> Result<Secret, Error> {
    let stdin = std::io::stdin();
    let failed =
        |error: std::io::Error| Error::new(Exit::Failed, "read the key from stdin").caused_by(&error);
    let mut text = String::new();
    if args.stdin {
        stdin.lock().take(BYTES_MAX + 1).read_to_string(&mut text).map_err(failed)?;
    } else if stdin.is_terminal() {
        text = ask(&args.name).map_err(failed)?;
    } else {
        let error = Error::new(Exit::Usage, "read the key: there is no terminal to ask on");
        return Err(error.hint(format!("hale secrets set {} --stdin < FILE", args.name)));
    }
    let text = text.trim();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let error = Error::coded(
            Code::E002,
            format!(
                "store the key of {}: it is empty, or has other than visible ASCII characters",
                args.name
            ),
        );
        return Err(error.hint("check what was piped in, for example its encoding"));
    }
    Ok(Secret::new(text))
}

/// Asks on the terminal, without showing what is typed.
fn ask(name: &str) -> std::io::Result<String> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let stdin = std::io::stdin();
    let mut out = std::io::stderr();
    write!(out, "key of {name} (not shown): ")?;
    out.flush()?;
    let shown = tcgetattr(&stdin)?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Flush, &hidden)?;
    let mut line = String::new();
    let read = stdin.lock().take(BYTES_MAX).read_line(&mut line);
    tcsetattr(&stdin, OptionalActions::Flush, &shown)?;
    writeln!(out)?;
    read.map(|_| line)
}
