//! `hale demo`: the whole story by itself, on a temporary data folder.
//!
//! Guarantees: every claim that is printed was checked against the running server, and the exit code is 0 only if
//! all held; the server is a process of its own that is really killed; the simulated model is named as such.
//! Leaves to others: everything that is shown; this only asks through the public API.
//! Read next: [`story`], the scenes; [`stage`], the processes behind them.

mod stage;
mod story;

use super::ctx::{self, Ctx};
use crate::exit::{Error, Exit};
use stage::Stage;
use std::time::Instant;

/// See an agent work, break, be diagnosed and be mended
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale demo
  hale demo --keep                              leaves the server up
  OPENAI_API_KEY=... hale demo --real           the first scenes with the real model")]
pub struct Args {
    /// Leave the server up afterwards
    #[arg(long)]
    pub keep: bool,
    /// Use the real model (OPENAI_API_KEY, HALE_MODEL_BASE_URL) where nothing is broken on purpose
    #[arg(long)]
    pub real: bool,
}

/// What was claimed and whether it held.
#[derive(Debug, Default)]
pub struct Claims {
    held: u32,
    broken: Vec<String>,
}

impl Claims {
    /// Prints a claim with its verdict.
    pub fn check(&mut self, ctx: &mut Ctx, holds: bool, claim: &str) {
        let look = ctx.screen.look();
        if holds {
            self.held += 1;
            ctx.screen.print(&format!("  {}\n", look.good(claim)));
        } else {
            ctx.screen.print(&format!("  {}\n", look.bad(claim)));
            self.broken.push(claim.to_owned());
        }
    }
}

pub fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    ctx::block_on(play(args, ctx))?
}

async fn play(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let begun = Instant::now();
    let model = real_model(&args, ctx)?;
    let mut stage = Stage::set(args.keep)?;
    let mut claims = Claims::default();
    let told = story::tell(ctx, &mut stage, (&mut claims, model.as_deref())).await;
    if let Err(error) = told {
        // The log says more than the demo can.
        return Err(error.during(format!("the server's log: {}", stage.log().display())));
    }
    let took = begun.elapsed().as_secs_f64();
    ctx.screen.print("\n");
    if claims.broken.is_empty() {
        let text = format!("{} claims checked, all held, in {took:.1}s", claims.held);
        ctx.screen.print(&format!("{}\n", ctx.screen.look().good(&text)));
    }
    if args.keep {
        let data = stage.keep();
        ctx.screen.note(&format!("the server is left up; end it with: hale down --data {}", data.display()));
        ctx.screen.next(&format!("hale status --data {}", data.display()));
    } else {
        stage.strike().await;
        ctx.screen.next("hale up --detach");
    }
    match claims.broken.first() {
        None => Ok(Exit::Done),
        Some(first) => {
            let message = format!(
                "show hale at work: {} of {} claims did not hold, first: {first}",
                claims.broken.len(),
                claims.held as usize + claims.broken.len()
            );
            Err(Error::new(Exit::Failed, message))
        }
    }
}

/// The real model, if one is configured and asked for. Says what is used.
fn real_model(args: &Args, ctx: &mut Ctx) -> Result<Option<String>, Error> {
    let configured = ["OPENAI_API_KEY", "OPENAI_API_KEY_FILE", "HALE_MODEL_BASE_URL"];
    let configured = configured.iter().find(|name| ctx.env.get(name).is_some());
    match (configured, args.real) {
        (Some(name), true) => {
            let config = ctx.config(Vec::new(), None)?;
            let model = config.settings.model_default.clone();
            ctx.screen.print(&format!(
                "model: {model} (from {name}) for the first scenes, simulated where it is broken on purpose\n"
            ));
            Ok(Some(model))
        }
        (Some(name), false) => {
            ctx.screen.print(&format!(
                "model: simulated; {name} is set, so `hale demo --real` would use the real one\n"
            ));
            Ok(None)
        }
        (None, true) => {
            let error = Error::new(Exit::InvalidInput, "use a real model: none is configured");
            Err(error
                .hint("set OPENAI_API_KEY, or HALE_MODEL_BASE_URL for a server that speaks the same dialect"))
        }
        (None, false) => {
            ctx.screen.print("model: simulated (no OPENAI_API_KEY, no HALE_MODEL_BASE_URL): its answers are made by rules\n");
            Ok(None)
        }
    }
}
