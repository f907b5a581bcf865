//! `hale lab sim`: the simulated model server in a process of its own, so that it outlives a killed hale.

use crate::cli::ctx::{self, Ctx};
use crate::cli::up::raise_descriptors;
use crate::exit::{Error, Exit};
use hale_lab::sim::{Script, Server};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Serve the simulated models until ended
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale lab sim --listen 127.0.0.1:0 --address-file sim.address")]
pub struct Args {
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// The chosen address is written here when requests are answered
    #[arg(long)]
    pub address_file: Option<PathBuf>,
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
}

pub fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    raise_descriptors();
    ctx::block_on(async {
        let started = Server::start(args.listen, args.seed, Script::default()).await;
        let server = started
            .map_err(|error| Error::new(Exit::Failed, "start the simulated models").caused_by(&error))?;
        if let Some(path) = &args.address_file {
            let draft = path.with_extension("new");
            let written =
                std::fs::write(&draft, server.addr.to_string()).and_then(|()| std::fs::rename(&draft, path));
            written.map_err(|error| Error::file("write the address to", path, &error))?;
        }
        ctx.screen.print(&format!("{}\n", server.base_url()));
        std::future::pending::<()>().await;
        Ok(Exit::Done)
    })?
}
