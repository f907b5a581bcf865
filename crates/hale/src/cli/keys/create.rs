//! `hale keys create NAME`.
//!
//! Guarantees: the secret is printed once, alone on stdout, so that it can be piped away without being seen.

use super::{Keeper, keeper};
use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::http::view;
use crate::keys::offline;
use crate::logs::line::now;
use crate::wire::{CreateKey, KeyView};
use hale_core::time::Millis;

/// Make an API key; its secret is shown once
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale keys create ci --expires-in 90d
  hale keys create acme-web --tenant acme
  hale keys create ci -q > ci.key && chmod 600 ci.key
  HALE_KEY_FILE=ci.key hale --url https://hale.example.org runs list")]
pub struct Args {
    /// What or whom it is for
    name: String,
    /// Useless after this long
    #[arg(long, value_name = "SPAN")]
    expires_in: Option<Millis>,
    /// Whose runs it starts: each tenant has its own turns in every queue
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let key: KeyView = match keeper(ctx).await? {
        Keeper::Server(client) => {
            let expires_in = args.expires_in.map(|span| format!("{}ms", span.0));
            client
                .post("/api/v1/keys", &CreateKey { name: args.name, expires_in, tenant: args.tenant })
                .await?
        }
        Keeper::Folder(data) => {
            let (row, secret) =
                offline::create(&data, &args.name, (args.expires_in, args.tenant.as_deref()), now()).await?;
            KeyView { secret: Some(secret.reveal()), ..view::key(&row) }
        }
    };
    let secret = key.secret.clone().unwrap_or_default();
    ctx.screen.one(&key, &key.id, |_| format!("{secret}\n"));
    let expires = key.expires_at.as_ref().map(|at| format!(", until {at}")).unwrap_or_default();
    ctx.screen.note(&format!(
        "key {} for {}{expires}; this is the only time that its secret is shown",
        key.id, key.name
    ));
    ctx.screen.next(&format!("hale keys revoke {}", key.id));
    Ok(Exit::Done)
}
