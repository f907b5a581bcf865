//! Following a run to its end, in `hale run`, `hale runs watch` and `hale runs retry`.
//!
//! Guarantees: Ctrl-C and an elapsed `--wait` end the watching, never the run; the exit code is the run's.
//! Read next: [`crate::render::live`].

use super::ctx::Ctx;
use crate::client::Client;
use crate::client::events::Events;
use crate::exit::{Error, Exit};
use crate::render::live::{Live, Words};
use crate::render::{Format, Tone, run as shown};
use crate::wire::{LiveEvent, RunView};
use hale_core::run::StateName;
use std::time::Duration;

/// How to follow.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    pub words: Words,
    /// At most this long.
    pub wait: Option<Duration>,
}

/// Why the watching ended.
enum Over {
    Ended(Box<RunView>),
    Elapsed,
    Interrupted,
}

/// Shows the run until it ends, and its answer.
///
/// # Errors
/// When the run is not known or the server stays away.
pub async fn follow(ctx: &mut Ctx, client: &Client, run: &RunView, manner: Manner) -> Result<Exit, Error> {
    let mut live = Live::new(&ctx.screen, manner.words);
    live.begin(&mut ctx.screen, run);
    let over = watch(ctx, client, &run.id, (&mut live, manner)).await;
    live.clear();
    match over? {
        Over::Ended(run) => ended(ctx, &mut live, &run),
        Over::Elapsed => {
            let now: RunView = client.get(format!("/api/v1/runs/{}", run.id)).await?;
            if now.ended_at.is_some() {
                return ended(ctx, &mut live, &now);
            }
            answer(ctx, &now);
            ctx.screen.note(&format!("{} goes on; --wait elapsed", run.id));
            ctx.screen.note(&format!("  watch it: hale runs watch {}", run.id));
            Ok(Exit::StillRunning)
        }
        Over::Interrupted => {
            ctx.screen.say(&format!("\ndetached; {} goes on", run.id));
            ctx.screen.say(&format!("  watch it: hale runs watch {}", run.id));
            ctx.screen.say(&format!("  end it:   hale runs cancel {}", run.id));
            Ok(Exit::Detached)
        }
    }
}

/// Shows the run until it ends, without its answer; none when the watching ended before.
///
/// # Errors
/// As [`follow`].
pub async fn to_its_end(
    ctx: &mut Ctx,
    client: &Client,
    run: &RunView,
    manner: Manner,
) -> Result<Option<Box<RunView>>, Error> {
    let mut live = Live::new(&ctx.screen, manner.words);
    live.begin(&mut ctx.screen, run);
    let over = watch(ctx, client, &run.id, (&mut live, manner)).await;
    live.clear();
    match over? {
        Over::Ended(run) => {
            if ctx.screen.format().is_human() {
                live.end(&mut ctx.screen, &run);
            }
            Ok(Some(run))
        }
        Over::Elapsed | Over::Interrupted => {
            ctx.screen.note(&format!("{} goes on; watch it: hale runs watch {}", run.id, run.id));
            Ok(None)
        }
    }
}

async fn watch(ctx: &mut Ctx, client: &Client, id: &str, how: (&mut Live, Manner)) -> Result<Over, Error> {
    let (live, manner) = how;
    let mut events = Events::of_run(client, id);
    // Without a wish the run's own limit ends the wait; a month stands for "no limit of ours".
    let wait = tokio::time::sleep(manner.wait.unwrap_or(Duration::from_secs(30 * 86_400)));
    tokio::pin!(wait);
    let interrupt = tokio::signal::ctrl_c();
    tokio::pin!(interrupt);
    loop {
        let event = tokio::select! {
            event = events.next() => event?,
            () = &mut wait => return Ok(Over::Elapsed),
            _ = &mut interrupt => return Ok(Over::Interrupted),
        };
        let Some(event) = event else {
            return Err(Error::new(Exit::Failed, format!("follow run {id}: its stream ended early")));
        };
        if ctx.screen.format() == Format::Jsonl {
            ctx.screen.print_line(&event);
        } else if ctx.screen.format().is_human() {
            live.show(&mut ctx.screen, &event);
        }
        if let LiveEvent::End { run } = event {
            return Ok(Over::Ended(run));
        }
    }
}

fn ended(ctx: &mut Ctx, live: &mut Live, run: &RunView) -> Result<Exit, Error> {
    if ctx.screen.format().is_human() {
        live.end(&mut ctx.screen, run);
    }
    answer(ctx, run);
    let exit = Exit::of_run(run);
    if exit != Exit::Done && ctx.screen.format().is_human() {
        ctx.screen.note(&Tone::Dim.paint(&format!("why: hale why {}", run.id)));
    }
    Ok(exit)
}

/// The run's answer alone for people, the whole document for machines.
fn answer(ctx: &mut Ctx, run: &RunView) {
    match ctx.screen.format() {
        // The end event, printed already, holds the run.
        Format::Jsonl if run.ended_at.is_some() => {}
        Format::Table | Format::Wide => {
            if let Some(output) = &run.output {
                let text = shown::answer(output);
                if !text.is_empty() {
                    ctx.screen.print(&format!("{}\n", text.trim_end_matches('\n')));
                }
            }
        }
        _ => ctx.screen.one(run, &run.id, |_| String::new()),
    }
}

/// Whether the run has ended.
pub fn is_over(run: &RunView) -> bool {
    run.state.parse::<StateName>().is_ok_and(StateName::is_terminal)
}
