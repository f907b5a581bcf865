//! `hale contexts add NAME --url URL`.

use crate::cli::ctx::Ctx;
use crate::client::contexts::{Context, Contexts, checked};
use crate::client::find;
use crate::exit::{Error, Exit};
use serde_json::json;
use std::path::PathBuf;

/// Name a server, and say where its key lies
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale contexts add local --url http://127.0.0.1:8080
  hale contexts add staging --url https://hale.staging.example --key-file /run/secrets/hale-staging
  hale contexts add prod --url https://hale.example --key-env PROD_HALE_KEY

The file holds where a key lies, never the key. The first context that is added is the one in use.")]
pub struct Args {
    /// Name of the context
    name: String,
    /// Variable that holds the key; --key-file names a file that does
    #[arg(long, value_name = "NAME", conflicts_with = "key_file")]
    key_env: Option<String>,
    /// Also when the name is taken
    #[arg(long)]
    replace: bool,
}

pub fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    checked(&args.name)?;
    let Some(url) = ctx.target.place.url.clone() else {
        let error = Error::new(Exit::Usage, format!("add the context {}: say --url", args.name));
        return Err(error.hint(format!("hale contexts add {} --url http://127.0.0.1:8080", args.name)));
    };
    let base = find::parse(&url, "--url".to_owned())?;
    if base.url.password().is_some() || !base.url.username().is_empty() {
        let error =
            Error::new(Exit::Usage, format!("add the context {}: its address holds a password", args.name));
        return Err(error.hint("put the key into a file, and name it with --key-file"));
    }
    let mut contexts = Contexts::load(&ctx.env)?;
    if contexts.contexts.contains_key(&args.name) && !args.replace {
        let error = Error::new(Exit::Conflict, format!("add the context {}: there is one", args.name));
        return Err(error.hint(format!("hale contexts add {} --url {url} --replace", args.name)));
    }
    // From wherever a command is given later, the file is the same.
    let key_file: Option<PathBuf> = ctx.target.key_file.as_ref().map(|file| ctx.cwd.join(file));
    if let Some(file) = key_file.as_ref().filter(|file| !file.is_file()) {
        let error =
            Error::new(Exit::NotFound, format!("add the context {}: no file {}", args.name, file.display()));
        return Err(error.hint("write the key into it first, readable by you alone"));
    }
    let context = Context { url: find::bare(&base.url).to_owned(), key_file, key_env: args.key_env };
    let done = json!({ "schema": "hale.context/1", "name": args.name, "context": context });
    contexts.contexts.insert(args.name.clone(), context);
    contexts.current.get_or_insert_with(|| args.name.clone());
    let path = contexts.store(&ctx.env)?;
    ctx.screen.one(&done, &args.name, |look| {
        format!("{}\n", look.good(&format!("context {} is kept in {}", args.name, path.display())))
    });
    ctx.screen.next(&format!("hale status --context {}", args.name));
    Ok(Exit::Done)
}
