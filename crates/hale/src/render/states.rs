//! A run's states in their order, in the guides' line form.
//!
//! Guarantees: the states are those of the table in core, applied to the journal again; nothing is guessed from the
//! names of events. Leaves to others: what happened within a state ([`super::run`]).

use super::step;
use crate::wire::History;
use hale_core::run::{Event, Record, Run, State, accept, apply};
use serde::Serialize;

/// The states of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct States {
    pub schema: &'static str,
    pub run: String,
    pub states: Vec<Entered>,
}

/// One state, when it was entered, and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entered {
    pub at: String,
    pub state: String,
    pub detail: String,
}

/// The states that the journal tells.
pub fn of(history: &History) -> States {
    let (mut run, mut states) = (None::<Run>, Vec::<Entered>::new());
    for record in &history.records {
        let Some(next) = after(run.as_ref(), record, &history.run) else { break };
        let named = |run: &Run| (run.state.name(), matches!(run.state, State::Waiting { .. }));
        if run.as_ref().map(named) != Some(named(&next)) {
            states.push(Entered {
                at: seconds(&record.at.rfc3339()),
                state: next.state.name().to_string(),
                detail: detail(&record.event, &next),
            });
        }
        run = Some(next);
    }
    States { schema: "hale.states/1", run: history.run.clone(), states }
}

fn after(run: Option<&Run>, record: &Record, id: &str) -> Option<Run> {
    match (run, &record.event) {
        (None, Event::Accepted { .. }) => accepted(record, id),
        (Some(run), event) => apply(run, event, record.at).ok().map(|(next, _)| next),
        (None, _) => None,
    }
}

fn accepted(record: &Record, id: &str) -> Option<Run> {
    let order = record.event.order(id.parse().ok()?)?;
    Some(accept(order, record.at).0)
}

fn detail(event: &Event, run: &Run) -> String {
    match event {
        Event::Accepted { trigger, .. } => format!("queue {}, by {}", run.queue, trigger.name()),
        Event::Leased { worker, .. } => worker.to_string(),
        Event::Initialized => format!("pack {} v{}", run.pack.name, run.pack.version),
        Event::LeaseLost { why, .. } => format!("queue {}, lease lost: {why}", run.queue),
        Event::Completing { artifacts } => format!("{} artifacts", artifacts.len()),
        Event::Completed { .. } => format!("{} steps", run.steps),
        Event::Failed { failure } => step::short(failure),
        Event::CancelAsked { by, .. } => format!("by {by}"),
        Event::Stopped => run.cancel.as_ref().map(|cancel| format!("by {}", cancel.by)).unwrap_or_default(),
        event => match (step::line(event), &run.failure) {
            (Some((_, text)), _) => text,
            (None, Some(failure)) if run.is_terminal() => step::short(failure),
            (None, _) => event.name().to_owned(),
        },
    }
}

/// `2024-12-28T10:00:05Z`: the guides' form has no parts of seconds.
fn seconds(moment: &str) -> String {
    match moment.split_once('.') {
        Some((whole, _)) => format!("{whole}Z"),
        None => moment.to_owned(),
    }
}

/// `2024-12-28T10:00:05Z INITIALIZING -> worker-pod-abc123`
pub fn lines(states: &States) -> String {
    states
        .states
        .iter()
        .map(|entered| format!("{} {} -> {}\n", entered.at, entered.state, entered.detail))
        .collect()
}
