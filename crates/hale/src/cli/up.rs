//! `hale up`: starts the server, in this terminal or beside it.
//!
//! Guarantees: what is wrong with the configuration or the folder is said before anything starts; `DIR/address` names
//! the server exactly while it is ready.
//! Leaves to others: the server itself ([`crate::serve`]).
//! Read next: [`detach`].

mod detach;
mod folder;
mod starter;

use super::ctx::Ctx;
use crate::config::value::{LogFormat, LogLevel, Setting};
use crate::config::{Config, Flag};
use crate::exit::{Error, Exit};
use crate::logs::{self, Terminal};
use crate::render::{Tone, status};
use crate::wire::Status;
use std::path::PathBuf;
use std::time::Instant;

/// Start the server
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale up                                       in this terminal; Ctrl-C drains and ends it
  hale up --detach                              beside it; end it with: hale down
  hale up --listen 127.0.0.1:0 --data ./data    on a free port, with a folder of its own
  hale up --workers 4                           keeps four worker processes: hale workers list
  hale up --packs ./packs                       deploys what is in the folder, and every change to it

Without --data the data folder is ./.hale if it exists, else the user's state folder.")]
pub struct Args {
    /// Address to listen on; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Folder of packs to watch [default: packs in the data folder]
    #[arg(long, value_name = "DIR")]
    pub packs: Option<PathBuf>,
    /// Worker processes to start and keep, beside the worker in the server itself [default: worker.processes]
    #[arg(long, value_name = "N")]
    pub workers: Option<u32>,
    /// Configuration file, instead of ./hale.toml and hale.toml in the data folder [env: HALE_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Least severe level to log
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Form of log lines on stderr: json or text
    #[arg(long, value_name = "FORM")]
    pub log_format: Option<String>,
    /// Return when the server is ready and leave it running
    #[arg(short, long)]
    pub detach: bool,
    /// This is the server that --detach started: stderr goes to up.log
    #[arg(long, hide = true, conflicts_with = "detach")]
    pub detached: bool,
}

impl Args {
    fn flags(&self) -> Vec<Flag> {
        let packs = self.packs.as_ref().map(|packs| packs.display().to_string());
        let given = [
            ("listen", "--listen", self.listen.clone()),
            ("packs", "--packs", packs),
            ("worker.processes", "--workers", self.workers.map(|n| n.to_string())),
            ("log.level", "--log-level", self.log_level.clone()),
            ("log.format", "--log-format", self.log_format.clone()),
        ];
        given.into_iter().filter_map(|(key, flag, value)| Some(Flag { key, flag, value: value? })).collect()
    }
}

pub fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let started = Instant::now();
    let config = ctx.config(args.flags(), args.config.clone())?;
    for warning in &config.warnings {
        ctx.screen.note(&Tone::Warn.paint(&format!("warning: {warning}; {}", warning.hint)));
    }
    folder::prepare(&config.data)?;
    if args.detach {
        return super::ctx::block_on(detach::run(&args, ctx, &config))?;
    }
    starter::fill(&config)?;
    raise_descriptors();
    let logs_dir = config.data.join("logs");
    logs::install(&logs_dir, config.settings.log_level, terminal(&args, ctx, &config))
        .map_err(|error| Error::file("open the log in", &logs_dir, &error))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("hale").build();
    let runtime = runtime.map_err(|error| Error::new(Exit::Failed, "start the runtime").caused_by(&error))?;
    let data = config.data.clone();
    let mut written = Ok(());
    let served = runtime.block_on(crate::serve::up(config, |status: &Status| {
        written = folder::write_address(&data, &status.address);
        let took = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        ctx.screen.one(status, &status.address, |look| status::ready(status, took, look));
        ctx.screen.next("hale run hello --input name=Ada");
    }));
    folder::remove_address(&data);
    // What still runs on blocking threads is cut off here: it is durable or it did not happen.
    runtime.shutdown_background();
    logs::flush();
    written?;
    served?;
    ctx.screen.note("stopped");
    Ok(Exit::Done)
}

/// A terminal hears what needs a person; a pipe or a service manager hears everything that is logged. `up.log` of a
/// detached server gets no second copy of every line: its start, what needs a person, and what a crash leaves behind.
fn terminal(args: &Args, ctx: &Ctx, config: &Config) -> Terminal {
    let settings = &config.settings;
    if args.detached {
        return Terminal::Lines(settings.log_format, LogLevel::Warn.min(settings.log_level));
    }
    let asked = args.log_level.is_some() || args.log_format.is_some();
    if ctx.screen.terminals().err && !asked {
        return Terminal::Lines(LogFormat::Text, LogLevel::Warn.min(settings.log_level));
    }
    Terminal::Lines(settings.log_format, settings.log_level)
}

/// Every connection, blob and journal takes a descriptor; the soft limit of most systems is far below the hard one.
pub fn raise_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current < limit.maximum || limit.maximum.is_none() {
        let wanted = Rlimit { current: limit.maximum, maximum: limit.maximum };
        // A smaller number of connections is no reason not to start; the listener says so when it runs out.
        let _ = setrlimit(Resource::Nofile, wanted);
    }
}

/// The configuration's flags as the command line of another process of ours.
fn command_line(args: &Args, config: &Config) -> Vec<std::ffi::OsString> {
    let mut line: Vec<std::ffi::OsString> = vec!["up".into(), "--data".into(), config.data.clone().into()];
    line.extend(["--log-level".into(), config.settings.log_level.show().into()]);
    for Flag { flag, value, .. } in args.flags() {
        if flag != "--log-level" {
            line.extend([flag.into(), value.into()]);
        }
    }
    if let Some(file) = &args.config {
        line.extend(["--config".into(), file.clone().into()]);
    }
    line
}
