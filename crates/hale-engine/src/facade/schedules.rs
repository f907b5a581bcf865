//! The levers on schedules: make, pause, resume, trigger, delete.
//!
//! A definition is a setting, so each change is one audited operation that can be undone.
//! Read next: [`crate::schedules`].

use super::Engine;
use crate::facade::operate::Deed;
use crate::input::Caller;
use crate::schedules::{Done, Overlap, Schedule};
use crate::settings::SCHEDULE;
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::OperationId;
use hale_core::limits;
use hale_core::nearest::nearest;
use hale_core::pack::is_name;
use hale_core::run::{Priority, Run};
use serde_json::Value;

/// What a caller wants to start at certain times.
#[derive(Clone, Debug, Default)]
pub struct ScheduleOrder {
    pub name: String,
    pub pack: String,
    pub version: Option<String>,
    pub input: Value,
    pub priority: Option<Priority>,
    pub cron: String,
    pub tz: String,
    pub catch_up: u32,
    pub overlap: Overlap,
}

impl Engine {
    /// One schedule and what it has done.
    ///
    /// # Errors
    /// E010 when there is none.
    pub fn schedule(&self, name: &str) -> Result<(Schedule, Done), Failure> {
        let mut all = self.schedules();
        match all.iter().position(|(known, ..)| known == name) {
            Some(place) => {
                let (_, schedule, done) = all.swap_remove(place);
                Ok((schedule, done))
            }
            None => {
                let known: Vec<&str> = all.iter().map(|(known, ..)| known.as_str()).collect();
                let meant = nearest(name, known.iter().copied());
                let meant = meant.map(|meant| format!(", did you mean {meant}?")).unwrap_or_default();
                let message = format!("find schedule {name:?}{meant}");
                Err(Failure::new(Code::E010, "schedule.not_found", "engine", message))
            }
        }
    }

    /// Makes a schedule, or changes one that has the name; its first firing is the next after now.
    ///
    /// # Errors
    /// E001 and E002 for what was asked: pack, input, name, cron line, time zone, catch-up.
    pub async fn schedule_create(
        &self,
        order: ScheduleOrder,
        caller: &Caller,
    ) -> Result<OperationId, Failure> {
        if !is_name(&order.name) {
            let message = format!(
                "name a schedule {:?}: use 1 to {} of a-z, 0-9, - and _, a letter first",
                order.name,
                limits::NAME_CHARS
            );
            return Err(invalid("schedule.invalid_name", message));
        }
        if order.catch_up > limits::CATCH_UP_MAX {
            let most = limits::CATCH_UP_MAX;
            return Err(invalid(
                "schedule.invalid_catch_up",
                format!("make up {} missed firings: at most {most} are allowed", order.catch_up),
            ));
        }
        let known = self.schedules();
        if known.len() >= limits::SCHEDULES_MAX && known.iter().all(|(name, ..)| *name != order.name) {
            let message =
                format!("make schedule {}: there are {} already", order.name, limits::SCHEDULES_MAX);
            return Err(Failure::new(Code::E004, "schedule.too_many", "engine", message));
        }
        let manifest = self.registry().resolve(&order.pack, order.version.as_deref())?;
        manifest.check_input(&order.input).map_err(|error| {
            invalid("run.invalid_input", format!("check the input of pack {}: {error}", manifest.name))
        })?;
        let schedule = Schedule {
            pack: order.pack,
            version: order.version,
            input: order.input,
            priority: order.priority,
            cron: order.cron,
            tz: order.tz,
            catch_up: order.catch_up,
            overlap: order.overlap,
            paused: false,
            tenant: caller.tenant.clone(),
            by: caller.actor.to_string(),
            since: self.now(),
        };
        schedule.times()?;
        self.put_schedule("schedules.create", (&order.name, &schedule), caller).await
    }

    /// Starts nothing by it until it is resumed.
    ///
    /// # Errors
    /// E010, E011 when it is paused already.
    pub async fn schedule_pause(&self, name: &str, caller: &Caller) -> Result<OperationId, Failure> {
        let (schedule, _) = self.schedule(name)?;
        if schedule.paused {
            return Err(conflict(format!("pause schedule {name}: it is paused already")));
        }
        let schedule = Schedule { paused: true, ..schedule };
        self.put_schedule("schedules.pause", (name, &schedule), caller).await
    }

    /// Fires again, from now on: what passed while it was paused is not made up.
    ///
    /// # Errors
    /// E010, E011 when it is not paused.
    pub async fn schedule_resume(&self, name: &str, caller: &Caller) -> Result<OperationId, Failure> {
        let (schedule, _) = self.schedule(name)?;
        if !schedule.paused {
            return Err(conflict(format!("resume schedule {name}: it is not paused")));
        }
        let schedule = Schedule { paused: false, since: self.now(), ..schedule };
        self.put_schedule("schedules.resume", (name, &schedule), caller).await
    }

    /// Forgets it; runs that it started go on.
    ///
    /// # Errors
    /// E010 when there is none.
    pub async fn schedule_delete(&self, name: &str, caller: &Caller) -> Result<OperationId, Failure> {
        self.schedule(name)?;
        self.change("schedules.delete", (&format!("{SCHEDULE}{name}"), None), caller).await
    }

    /// Starts its run now, beside its times, even when it is paused.
    ///
    /// # Errors
    /// E010, and as [`Engine::submit`].
    pub async fn schedule_trigger(&self, name: &str, caller: &Caller) -> Result<Run, Failure> {
        let (schedule, mut done) = self.schedule(name)?;
        let mut deed = Deed {
            operation: "schedules.trigger",
            target: name.to_owned(),
            detail: String::new(),
            undo: None,
        };
        let id = self.intend(&deed, caller).await?;
        let run = self.fire((name, &schedule), format!("{name}/{id}")).await?;
        deed.detail = run.id.to_string();
        deed.undo = Some(format!("hale runs cancel {}", run.id));
        self.outcome(id, &deed, caller).await?;
        done.run = Some(run.id);
        done.fired += 1;
        self.note_done(name, &done).await?;
        Ok(run)
    }

    async fn put_schedule(
        &self,
        operation: &'static str,
        (name, schedule): (&str, &Schedule),
        caller: &Caller,
    ) -> Result<OperationId, Failure> {
        let value = serde_json::to_string(schedule).map_err(|error| {
            Failure::new(Code::E015, "schedule.not_written", "engine", "write the schedule").caused_by(&error)
        })?;
        self.change(operation, (&format!("{SCHEDULE}{name}"), Some(value)), caller).await
    }
}

fn conflict(message: String) -> Failure {
    Failure::new(Code::E011, "schedule.conflict", "engine", message)
}

fn invalid(cause: &str, message: String) -> Failure {
    Failure::new(Code::E002, cause, "engine", message)
}
