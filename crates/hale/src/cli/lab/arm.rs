//! `hale lab arm`: a simulated arm in a process of its own, which registers as a real one does.

use crate::cli::ctx::{self, Ctx};
use crate::exit::{Error, Exit};
use crate::wire::arms::ArmView;
use hale_core::arm::Registration;
use hale_lab::arm::Server;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Serve a simulated arm until ended
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale lab arm --listen 127.0.0.1:8102
  hale lab arm --register coder-arm --domain coding --keyword python

It misbehaves on command: POST /arm/behave with {\"mode\": \"fail\"}, slow, garbage, busy, refuse, hang up or well.")]
pub struct Args {
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The chosen address is written here when requests are answered
    #[arg(long)]
    address_file: Option<PathBuf>,
    /// Register with the server under this name
    #[arg(long, value_name = "NAME")]
    register: Option<String>,
    #[arg(long)]
    domain: Vec<String>,
    #[arg(long)]
    keyword: Vec<String>,
}

pub fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    ctx::block_on(async {
        let started = Server::start(args.listen).await;
        let server =
            started.map_err(|error| Error::new(Exit::Failed, "start the simulated arm").caused_by(&error))?;
        if let Some(path) = &args.address_file {
            let draft = path.with_extension("new");
            let written =
                std::fs::write(&draft, server.addr.to_string()).and_then(|()| std::fs::rename(&draft, path));
            written.map_err(|error| Error::file("write the address to", path, &error))?;
        }
        ctx.screen.print(&format!("{}\n", server.base_url()));
        if let Some(name) = args.register {
            let registration = Registration {
                name,
                url: server.base_url(),
                domains: args.domain,
                keywords: args.keyword,
                idempotent: true,
                ..Registration::default()
            };
            match ctx.client().await?.post::<ArmView>("/api/v1/arms/register", &registration).await {
                Ok(_) => ctx.screen.note("Successfully registered with orchestrator"),
                Err(error) => {
                    ctx.screen.note("Failed to register with orchestrator");
                    return Err(error);
                }
            }
        }
        std::future::pending::<()>().await;
        Ok(Exit::Done)
    })?
}
