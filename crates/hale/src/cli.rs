//! The command line: nouns and verbs, one file each.
//!
//! Guarantees: every command goes through the public API, except where the server may be down; every command has
//! examples in its help; what it ends with is one of [`crate::exit::TABLE`].
//! Leaves to others: speaking HTTP ([`crate::client`]), how things look ([`crate::render`]).
//! Read next: [`run`], the command that matters most.

pub mod approvals;
pub mod asking;
pub mod audit;
pub mod backtests;
pub mod arms;
pub mod artifacts;
pub mod backup;
pub mod capabilities;
pub mod chaos;
pub mod completions;
pub mod contexts;
pub mod config;
pub mod ctx;
pub mod demo;
pub mod dlq;
pub mod doctor;
pub mod down;
pub mod explain;
pub mod following;
pub mod guard;
pub mod keys;
pub mod killswitch;
pub mod lab;
pub mod llm;
pub mod logs;
pub mod many;
pub mod notify;
pub mod operations;
pub mod packs;
pub mod prune;
pub mod queues;
pub mod run;
pub mod runs;
pub mod schedules;
pub mod secrets;
pub mod status;
pub mod tasks;
pub mod up;
pub mod why;
pub mod worker;
pub mod workers;

use crate::client::Target;
use crate::client::find::Place;
use crate::config::env::Environment;
use crate::exit::{self, Error, Exit};
use crate::render::screen::{Screen, Talk, Wishes};
use crate::render::{Format, error};
use anstream::ColorChoice;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use ctx::Ctx;
use std::path::PathBuf;

/// Runs AI agents durably, inside limits, and says why when they break.
#[derive(Debug, Parser)]
#[command(name = "hale", version, max_term_width = 100, arg_required_else_help = true, after_help = AFTER_HELP)]
pub struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  hale demo                                     see an agent work, break, be diagnosed and be mended
  hale up --detach                              start a server
  hale run hello --input name=Ada               run a pack and wait for its answer
  hale runs list status:failed since:1h         what failed in the last hour
  hale why RUN                                  why a run ended as it did, or what it waits for
  hale doctor                                   what is wrong now, and how to mend it";

#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Options of every command")]
struct Globals {
    /// Address of the server, instead of looking for its address file [env: HALE_URL]
    #[arg(long, global = true, value_name = "URL")]
    url: Option<String>,
    /// The server of this name, see `hale contexts list` [env: HALE_CONTEXT]
    #[arg(long, global = true, value_name = "NAME", conflicts_with = "url")]
    context: Option<String>,
    /// Data folder of the server [env: HALE_DATA]
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// File with the API key to send [env: HALE_KEY_FILE, or the key itself in HALE_KEY]
    #[arg(long, global = true, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The answer as one JSON document; the same as -o json
    #[arg(long, global = true, conflicts_with = "output")]
    json: bool,
    /// Form of the answer
    #[arg(short, long, global = true, value_enum, value_name = "FORM", hide_default_value = true)]
    output: Option<Format>,
    /// Colours
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t, hide_default_value = true)]
    color: Colour,
    /// Nothing but the answer and errors
    #[arg(short, long, global = true)]
    quiet: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Colour {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    Up(up::Args),
    Down(down::Args),
    Demo(demo::Args),
    Run(run::Args),
    #[command(subcommand)]
    Runs(runs::Verb),
    #[command(subcommand)]
    Dlq(dlq::Verb),
    Why(why::Args),
    Doctor(doctor::Args),
    Explain(explain::Args),
    #[command(subcommand)]
    Guard(guard::Verb),
    Status(status::Args),
    Logs(logs::Args),
    #[command(subcommand)]
    Approvals(approvals::Verb),
    #[command(subcommand)]
    Packs(packs::Verb),
    #[command(subcommand)]
    Llm(llm::Verb),
    #[command(subcommand)]
    Capabilities(capabilities::Verb),
    #[command(subcommand)]
    Backtests(backtests::Verb),
    #[command(subcommand)]
    Tasks(tasks::Verb),
    #[command(subcommand)]
    Arms(arms::Verb),
    #[command(subcommand)]
    Workers(workers::Verb),
    #[command(subcommand)]
    Queues(queues::Verb),
    #[command(subcommand)]
    Schedules(schedules::Verb),
    #[command(subcommand)]
    Operations(operations::Verb),
    #[command(subcommand)]
    Chaos(chaos::Verb),
    #[command(subcommand)]
    Config(config::Verb),
    #[command(subcommand)]
    Audit(audit::Verb),
    #[command(subcommand)]
    Killswitch(killswitch::Verb),
    Notify(notify::Args),
    #[command(subcommand)]
    Keys(keys::Verb),
    #[command(subcommand)]
    Contexts(contexts::Verb),
    #[command(subcommand)]
    Secrets(secrets::Verb),
    #[command(subcommand)]
    Artifacts(artifacts::Verb),
    Prune(prune::Args),
    #[command(subcommand)]
    Backup(backup::Verb),
    Worker(worker::Args),
    #[command(subcommand, hide = true)]
    Lab(lab::Verb),
    Completions(completions::Args),
}

/// The parser, with the table of exit codes at the end of the long help.
pub fn command() -> clap::Command {
    let rows = exit::TABLE.iter().map(|(exit, meaning)| format!("  {:<4} {meaning}", *exit as u8));
    let table = rows.collect::<Vec<_>>().join("\n");
    Cli::command().after_long_help(format!("{AFTER_HELP}\n\nExit codes:\n{table}"))
}

/// Parses the command line of this process and does what it says.
pub fn main() -> Exit {
    let parsed = command().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Done };
        }
    };
    let env = Environment::of_process();
    let globals = cli.globals;
    let colour = match globals.color {
        Colour::Auto => ColorChoice::Auto,
        Colour::Always => ColorChoice::Always,
        Colour::Never => ColorChoice::Never,
    };
    let format = if globals.json { Format::Json } else { globals.output.unwrap_or_default() };
    let talk = if globals.quiet { Talk::Quiet } else { Talk::Normal };
    let screen = Screen::new(Wishes { format, colour, talk }, &env);
    let place = Place { url: globals.url, context: globals.context, data: globals.data };
    let target = Target { place, key_file: globals.key_file };
    let mut ctx = match Ctx::new(screen, env, target) {
        Ok(ctx) => ctx,
        Err((mut screen, error)) => return screen.fail(&error),
    };
    match cli.command.run(&mut ctx) {
        Ok(exit) => exit,
        Err(error) => ctx.screen.fail(&error),
    }
}

impl Command {
    fn run(self, ctx: &mut Ctx) -> Result<Exit, Error> {
        match self {
            // These need no server, and some of them no runtime either.
            Command::Up(args) => up::run(args, ctx),
            Command::Demo(args) => demo::run(args, ctx),
            Command::Worker(args) => worker::run(args, ctx),
            Command::Explain(args) => explain::run(&args, ctx),
            Command::Guard(verb) => verb.run(ctx),
            Command::Completions(args) => completions::run(&args, ctx),
            Command::Logs(args) => logs::run(&args, ctx),
            Command::Contexts(verb) => verb.run(ctx),
            Command::Secrets(verb) => verb.run(ctx),
            Command::Lab(verb) => verb.run(ctx),
            command => ctx::block_on(command.ask(ctx))?,
        }
    }

    /// The commands that speak with a server.
    async fn ask(self, ctx: &mut Ctx) -> Result<Exit, Error> {
        match self {
            Command::Down(args) => down::run(args, ctx).await,
            Command::Run(args) => run::run(args, ctx).await,
            Command::Runs(verb) => verb.run(ctx).await,
            Command::Dlq(verb) => verb.run(ctx).await,
            Command::Why(args) => why::run(args, ctx).await,
            Command::Doctor(args) => doctor::run(args, ctx).await,
            Command::Status(args) => status::run(args, ctx).await,
            Command::Approvals(verb) => verb.run(ctx).await,
            Command::Packs(verb) => verb.run(ctx).await,
            Command::Llm(verb) => verb.run(ctx).await,
            Command::Capabilities(verb) => verb.run(ctx).await,
            Command::Backtests(verb) => verb.run(ctx).await,
            Command::Tasks(verb) => verb.run(ctx).await,
            Command::Arms(verb) => verb.run(ctx).await,
            Command::Workers(verb) => verb.run(ctx).await,
            Command::Queues(verb) => verb.run(ctx).await,
            Command::Schedules(verb) => verb.run(ctx).await,
            Command::Operations(verb) => verb.run(ctx).await,
            Command::Chaos(verb) => verb.run(ctx).await,
            Command::Config(verb) => verb.run(ctx).await,
            Command::Audit(verb) => verb.run(ctx).await,
            Command::Killswitch(verb) => verb.run(ctx).await,
            Command::Notify(args) => notify::run(args, ctx).await,
            Command::Keys(verb) => verb.run(ctx).await,
            Command::Artifacts(verb) => verb.run(ctx).await,
            Command::Prune(args) => prune::run(args, ctx).await,
            Command::Backup(verb) => verb.run(ctx).await,
            Command::Up(_)
            | Command::Demo(_)
            | Command::Worker(_)
            | Command::Explain(_)
            | Command::Guard(_)
            | Command::Completions(_)
            | Command::Logs(_)
            | Command::Lab(_)
            | Command::Contexts(_)
            | Command::Secrets(_) => {
                Err(Error::new(Exit::Failed, "run the command: it speaks with no server"))
            }
        }
    }
}

/// What is left when even the screen cannot be had.
pub fn last_words(error: &Error) -> String {
    error::text(error)
}
