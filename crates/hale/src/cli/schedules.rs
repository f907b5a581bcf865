//! `hale schedules …`: runs that start at certain times.

mod create;
mod delete;
mod list;
mod next;
mod pause;
mod resume;
mod show;
mod trigger;

use super::ctx::Ctx;
use crate::client::escape;
use crate::exit::{Error, Exit};
use crate::wire::schedules::ScheduleView;
use clap::Subcommand;
use serde_json::json;

/// Start runs at certain times: create, pause, resume, trigger
#[derive(Debug, Subcommand)]
pub enum Verb {
    List(list::Args),
    Show(show::Args),
    Create(create::Args),
    Pause(pause::Args),
    Resume(resume::Args),
    Trigger(trigger::Args),
    Next(next::Args),
    Delete(delete::Args),
}

impl Verb {
    pub async fn run(self, ctx: &mut Ctx) -> Result<Exit, Error> {
        match self {
            Verb::List(args) => list::run(args, ctx).await,
            Verb::Show(args) => show::run(args, ctx).await,
            Verb::Create(args) => create::run(args, ctx).await,
            Verb::Pause(args) => pause::run(args, ctx).await,
            Verb::Resume(args) => resume::run(args, ctx).await,
            Verb::Trigger(args) => trigger::run(args, ctx).await,
            Verb::Next(args) => next::run(args, ctx).await,
            Verb::Delete(args) => delete::run(args, ctx).await,
        }
    }
}

fn path(name: &str, verb: &str) -> String {
    format!("/api/v1/schedules/{}{verb}", escape(name))
}

/// Moves one lever of a schedule and says so.
async fn lever(ctx: &mut Ctx, name: &str, (verb, done): (&str, &str)) -> Result<Exit, Error> {
    let schedule: ScheduleView = ctx.client().await?.post(path(name, verb), &json!({})).await?;
    told(ctx, &schedule, done);
    Ok(Exit::Done)
}

fn told(ctx: &mut Ctx, schedule: &ScheduleView, done: &str) {
    ctx.screen.one(schedule, &schedule.name, |look| {
        format!("{}\n", look.good(&format!("schedule {} {done}", schedule.name)))
    });
    if let Some(undo) = &schedule.undo {
        ctx.screen.next(undo);
    }
}
