//! The whole life of a run in one table: `(run, event, now) -> (run, effects)`.
//!
//! The only place where a run changes. Synchronous, without IO; the same history always gives the same run.
//! The last arm refuses what does not fit, by name. [`super::transition_table`] prints every pair.
//! Read next: `hale-engine/src/engine.rs`, which stores what is decided here and carries out the effects.

use super::{
    Answer, Awaits, Cancel, Effect, Event, Lease, Order, Outcome, Run, State, StateName, Usage, Wait, WaitOn,
};
use crate::code::Code;
use crate::failure::Failure;
use crate::id::WorkerId;
use crate::limits;
use crate::retry::{Tried, Verdict};
use crate::time::{Millis, Timestamp};

/// The pair of state and event that has no place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("apply event {event} to a run in state {state}")]
pub struct Refused {
    pub state: StateName,
    pub event: &'static str,
}

/// Accepts an order: the run in PENDING with the event that made it.
pub fn accept(order: Order, now: Timestamp) -> (Run, Event, Vec<Effect>) {
    let event = Event::Accepted {
        pack: order.pack.clone(),
        key: order.key.clone(),
        priority: order.priority,
        limit: order.limit,
        trigger: order.trigger,
        correlation: order.correlation.clone(),
        traceparent: order.traceparent.clone(),
        retry_of: order.retry_of,
        queue: order.queue.clone(),
        tenant: order.tenant.clone(),
        due: order.due,
        parent: order.parent,
    };
    // What is not due yet is found by the store when its time comes.
    let effects = match order.due {
        Some(due) if due > now => vec![Effect::WakeAt(due)],
        _ => vec![Effect::Enqueue {
            queue: order.queue.clone(),
            key: order.key.clone(),
            priority: order.priority,
        }],
    };
    let run = Run {
        id: order.id,
        pack: order.pack,
        key: order.key,
        priority: order.priority,
        trigger: order.trigger,
        correlation: order.correlation,
        traceparent: order.traceparent,
        retry_of: order.retry_of,
        queue: order.queue,
        tenant: order.tenant,
        due: order.due,
        parent: order.parent,
        submitted_at: now,
        started_at: None,
        limit: order.limit,
        spent: Millis(0),
        clock_from: None,
        epoch: 0,
        leases_lost: 0,
        seq: 1,
        steps: 0,
        usage: Usage::default(),
        children: 0,
        progress_at: now,
        cancel: None,
        failure: None,
        awaits: None,
        state: State::Pending { since: now },
    };
    (run, event, effects)
}

/// Moves `run` by `event` at `now`.
///
/// # Errors
/// [`Refused`] when the state does not take the event.
pub fn apply(run: &Run, event: &Event, now: Timestamp) -> Result<(Run, Vec<Effect>), Refused> {
    let mut next = run.clone();
    next.seq += 1;
    let effects = table(&mut next, event, now)?;
    Ok((next, effects))
}

fn table(run: &mut Run, event: &Event, now: Timestamp) -> Result<Vec<Effect>, Refused> {
    use State::{Completing, Ended, Initializing, Pending, Running, Waiting};
    let refused = Refused { state: run.state.name(), event: event.name() };
    let lease = run.lease();
    Ok(match (&run.state, event) {
        // Recorded in every state, also after the end; the state stays as it is.
        (_, Event::Fenced { worker, epoch, what }) => fenced(run, (*worker, *epoch), what),
        (Waiting { on, .. }, _) => return waiting(run, *on, event, now).ok_or(refused),
        (Pending { .. }, Event::Leased { worker, epoch }) if *epoch == run.epoch + 1 => {
            leased(run, Lease { worker: *worker, epoch: *epoch }, now)
        }
        (Pending { .. }, Event::Forked { steps, .. }) if run.epoch == 0 && run.steps == 0 && dense(steps) => {
            run.steps = u32::try_from(steps.len()).unwrap_or(u32::MAX);
            run.usage = steps.iter().fold(run.usage, |sum, step| sum.plus(step.usage));
            Vec::new()
        }
        // Told with the acceptance, before anybody works on it.
        (Pending { .. }, Event::Routed { .. }) if run.epoch == 0 => Vec::new(),
        (Initializing { lease, .. }, Event::Initialized) => running(run, *lease, now),
        (Running { .. }, Event::StepDispatched { .. }) => progress(run, now),
        // Steps end in their order, each once: a result that is there already is never stored again.
        (Running { .. }, Event::StepEnded { step }) if step.index == run.steps => {
            run.steps += 1;
            run.usage = run.usage.plus(step.usage);
            progress(run, now)
        }
        (Running { .. }, Event::StageCompleted { n, of, name }) => {
            run.progress_at = now;
            vec![Effect::info("step_completed", format!("Step {n}/{of} completed: {name}"))]
        }
        (Running { .. }, Event::StepFailed { .. }) => step_failed(run, event, now),
        (Running { .. }, Event::Parked { index, name }) => park(run, (*index, name), now),
        (Running { .. }, Event::Awaiting { index, name, wait, until, .. }) if *index == run.steps => {
            let awaits = Awaits { index: *index, name: name.clone(), wait: wait.clone() };
            awaiting(run, awaits, *until, now)
        }
        (Running { lease, .. }, Event::Completing { .. }) => {
            run.progress_at = now;
            run.state = Completing { since: now, lease: *lease };
            Vec::new()
        }
        // Again, when what could not be stored at first is stored by now: the later one names it.
        (Completing { .. }, Event::Completing { .. }) => progressed(run, now),
        (Completing { .. }, Event::Completed { .. }) => end(run, Outcome::Completed, now),
        (Initializing { .. } | Running { .. } | Completing { .. }, Event::Failed { failure }) => {
            end(run, Outcome::Failed { failure: (**failure).clone() }, now)
        }
        (Initializing { .. } | Running { .. } | Completing { .. }, Event::Stopped)
            if run.cancel.is_some() =>
        {
            cancelled(run, now)
        }
        (Initializing { .. } | Running { .. } | Completing { .. }, Event::TimedOut { doing }) => {
            timed_out(run, doing, now)
        }
        (
            Initializing { lease, .. } | Running { lease, .. } | Completing { lease, .. },
            Event::LeaseLost { worker, epoch, why },
        ) if lease.worker == *worker && lease.epoch == *epoch => lease_lost(run, why, now),
        (
            Initializing { lease, .. } | Running { lease, .. } | Completing { lease, .. },
            Event::Released { worker, epoch },
        ) if lease.worker == *worker && lease.epoch == *epoch => requeue(run, now),
        (Pending { .. }, Event::GivenUp { by, reason }) => given_up(run, (by, reason), now),
        (Pending { .. }, Event::CancelAsked { by, reason }) => cancelled_by(run, (by, reason), now),
        (Initializing { .. } | Running { .. } | Completing { .. }, Event::CancelAsked { by, reason }) => {
            run.cancel.get_or_insert_with(|| Cancel { by: by.clone(), at: now, reason: reason.clone() });
            lease.map(|Lease { worker, epoch }| Effect::StopWork { worker, epoch }).into_iter().collect()
        }
        (Pending { .. } | Initializing { .. } | Running { .. } | Completing { .. } | Ended { .. }, _) => {
            return Err(refused);
        }
    })
}

fn progressed(run: &mut Run, now: Timestamp) -> Vec<Effect> {
    run.progress_at = now;
    Vec::new()
}

/// What a waiting run takes; none for what it refuses.
fn waiting(run: &mut Run, on: WaitOn, event: &Event, now: Timestamp) -> Option<Vec<Effect>> {
    match (on, event) {
        (WaitOn::Retry, Event::Woken) => Some(requeue(run, now)),
        (WaitOn::Approval, Event::Resolved { .. }) if is_parked(run) => Some(requeue(run, now)),
        (_, Event::Awaited { index, answer }) if answers(run.awaits.as_ref(), *index, answer) => {
            Some(requeue(run, now))
        }
        (_, Event::TimedOut { doing }) => Some(timed_out(run, doing, now)),
        (_, Event::CancelAsked { by, reason }) => Some(cancelled_by(run, (by, reason), now)),
        _ => None,
    }
}

fn fenced(run: &Run, (worker, epoch): (WorkerId, u64), what: &str) -> Vec<Effect> {
    let text = format!("Write refused: {what} by {worker} under epoch {epoch}, the run is at {}", run.epoch);
    vec![Effect::warn("write_fenced", text)]
}

fn cancelled_by(run: &mut Run, (by, reason): (&String, &Option<String>), now: Timestamp) -> Vec<Effect> {
    run.cancel = Some(Cancel { by: by.clone(), at: now, reason: reason.clone() });
    cancelled(run, now)
}

/// It ends as a dead letter, so that somebody has to look at it and can send it again.
fn given_up(run: &mut Run, (by, reason): (&str, &str), now: Timestamp) -> Vec<Effect> {
    let (queue, waited) = (&run.queue, now.since(run.waits_since()));
    let message = format!("take the run out of queue {queue}: it waited {waited}, {by} gave it up: {reason}");
    end(run, Outcome::Failed { failure: Failure::new(Code::E008, "queue.stuck", "engine", message) }, now)
}

fn leased(run: &mut Run, lease: Lease, now: Timestamp) -> Vec<Effect> {
    run.epoch = lease.epoch;
    run.started_at.get_or_insert(now);
    run.clock_from = Some(now);
    run.progress_at = now;
    run.state = State::Initializing { since: now, lease };
    run.deadline().map(Effect::WakeAt).into_iter().collect()
}

fn running(run: &mut Run, lease: Lease, now: Timestamp) -> Vec<Effect> {
    run.progress_at = now;
    run.state = State::Running { since: now, lease };
    let PackNamed(text) = PackNamed::of(run);
    vec![Effect::info("pack_loaded", format!("Agent pack loaded: {text}"))]
}

struct PackNamed(String);

impl PackNamed {
    fn of(run: &Run) -> Self {
        Self(format!("{} v{}", run.pack.name, run.pack.version))
    }
}

fn progress(run: &mut Run, now: Timestamp) -> Vec<Effect> {
    run.progress_at = now;
    Vec::new()
}

fn step_failed(run: &mut Run, event: &Event, now: Timestamp) -> Vec<Effect> {
    let Event::StepFailed { attempt, failure, policy, chance, .. } = event else { return Vec::new() };
    run.progress_at = now;
    run.failure = Some((**failure).clone());
    let deadline = run.deadline().unwrap_or(now);
    let tried = Tried { tries: *attempt, retry_after: failure.retry_after, deadline, chance: *chance };
    let mut effects = vec![Effect::error("step_failed", failed_line(failure))];
    match policy.decide(tried, now) {
        Verdict::Wait(_) if run.cancel.is_some() => effects.extend(cancelled(run, now)),
        Verdict::Wait(wait) => {
            let until = now + wait;
            run.state = State::Waiting { since: now, on: WaitOn::Retry, until };
            effects
                .push(Effect::error("retry", format!("Retry {attempt}/{} after {wait}", policy.retries_max)));
            effects.push(Effect::WakeAt(until));
        }
        Verdict::Exhausted => {
            if policy.retries_max > 0 {
                effects.push(Effect::error(
                    "retries_exhausted",
                    "All retries exhausted, marking as failed".to_owned(),
                ));
            }
            effects.extend(end(run, Outcome::Failed { failure: (**failure).clone() }, now));
        }
        Verdict::TooLate(wait) => {
            let left = deadline.since(now);
            let mut failure = (**failure).clone();
            failure.chain.push(format!(
                "not retried: the wait of {wait} would end after the time limit, {left} are left"
            ));
            effects.push(Effect::error(
                "retry_too_late",
                format!("No retry: waiting {wait} would pass the limit, {left} are left"),
            ));
            effects.extend(end(run, Outcome::Failed { failure }, now));
        }
    }
    effects
}

/// The guides' line for a failed call, with the target that they leave out.
fn failed_line(failure: &Failure) -> String {
    if failure.code == Code::E006 {
        format!("Failed to connect to external API: {}: {failure}", failure.origin)
    } else {
        format!("Step failed: {}: {failure}", failure.origin)
    }
}

fn dense(steps: &[super::Step]) -> bool {
    steps.iter().enumerate().all(|(place, step)| step.index as usize == place)
}

fn is_parked(run: &Run) -> bool {
    run.awaits.as_ref().is_none_or(|awaits| awaits.wait == Wait::Parked)
}

/// Whether the answer is one to what the run waits for in this step.
fn answers(awaits: Option<&Awaits>, index: u32, answer: &Answer) -> bool {
    let Some(awaits) = awaits.filter(|awaits| awaits.index == index) else { return false };
    match (&awaits.wait, answer) {
        (Wait::Timer, Answer::Fired)
        | (Wait::Approval { .. }, Answer::Approved { .. } | Answer::Denied { .. } | Answer::Expired) => true,
        (Wait::Child { run }, Answer::Child { run: ended, .. }) => run == ended,
        _ => false,
    }
}

/// The run gives back its slot and its lease until what it waits for comes.
fn awaiting(run: &mut Run, awaits: Awaits, until: Timestamp, now: Timestamp) -> Vec<Effect> {
    if run.cancel.is_some() {
        let mut effects = abandoned(&awaits);
        effects.extend(cancelled(run, now));
        return effects;
    }
    run.progress_at = now;
    let deadline = run.deadline().unwrap_or(until);
    if awaits.wait == Wait::Timer && until > deadline {
        let (wait, left) = (until.since(now), deadline.since(now));
        let message = format!("begin to wait {wait}: the run's limit of {} leaves {left}", run.limit);
        let failure = Failure::new(Code::E003, "run.wait_too_long", "engine", message);
        return end(run, Outcome::Failed { failure }, now);
    }
    if matches!(awaits.wait, Wait::Child { .. }) {
        run.children = run.children.saturating_add(1);
    }
    let on = awaits.wait.on();
    if on == WaitOn::Approval {
        // The clock stands while a person thinks.
        stop_clock_at(run, now);
    }
    let text = match &awaits.wait {
        Wait::Timer => format!("Waiting {} ({})", until.since(now), awaits.name),
        Wait::Child { run } => format!("Waiting for {run} ({})", awaits.name),
        Wait::Approval { question, .. } => format!("Waiting for approval: {question}"),
        Wait::Parked => format!("Parked: {}", awaits.name),
    };
    run.awaits = Some(awaits);
    run.state = State::Waiting { since: now, on, until };
    vec![Effect::info("waiting", text), Effect::WakeAt(until)]
}

/// What a wait that nobody continues leaves behind.
fn abandoned(awaits: &Awaits) -> Vec<Effect> {
    match awaits.wait {
        Wait::Child { run } => vec![Effect::CancelChild(run)],
        _ => Vec::new(),
    }
}

fn park(run: &mut Run, (index, name): (u32, &str), now: Timestamp) -> Vec<Effect> {
    if run.cancel.is_some() {
        return cancelled(run, now);
    }
    // The clock stands while a person thinks.
    stop_clock(run, now);
    run.awaits = Some(Awaits { index, name: name.to_owned(), wait: Wait::Parked });
    run.state = State::Waiting { since: now, on: WaitOn::Approval, until: now + limits::RUN_TIMEOUT_MAX };
    let text = format!("Step {name} was in flight at a crash and must not be repeated: a person decides");
    vec![Effect::warn("parked", text), Effect::WakeAt(now + limits::RUN_TIMEOUT_MAX)]
}

fn timed_out(run: &mut Run, doing: &str, now: Timestamp) -> Vec<Effect> {
    let lease = run.lease();
    let limit = run.limit;
    let message = format!("run passed its time limit of {limit} while {doing}");
    let mut failure = Failure::new(Code::E003, "run.timeout", "engine", message);
    if let Some(root) = &run.failure {
        failure.chain.push(root.to_string());
    }
    let mut effects = vec![Effect::error("timeout", format!("Execution timeout exceeded ({limit})"))];
    effects.extend(lease.map(|Lease { worker, epoch }| Effect::StopWork { worker, epoch }));
    effects.extend(end(run, Outcome::Timeout { failure }, now));
    effects
}

fn lease_lost(run: &mut Run, why: &str, now: Timestamp) -> Vec<Effect> {
    run.leases_lost += 1;
    let mut effects = vec![Effect::warn("lease_lost", format!("Lease lost: {why}"))];
    if run.cancel.is_none() && run.leases_lost >= limits::LEASES_MAX {
        let message = format!("run lost its worker {} times; it may be what ends them", run.leases_lost);
        let failure = Failure::new(Code::E008, "run.poison", "worker", message);
        effects.extend(end(run, Outcome::Failed { failure }, now));
    } else {
        effects.extend(requeue(run, now));
    }
    effects
}

fn requeue(run: &mut Run, now: Timestamp) -> Vec<Effect> {
    // Nobody holds it any more, so nobody is left to obey: it ends here, and is not executed again.
    if run.cancel.is_some() {
        return cancelled(run, now);
    }
    stop_clock(run, now);
    run.awaits = None;
    run.state = State::Pending { since: now };
    vec![Effect::Enqueue { queue: run.queue.clone(), key: run.key.clone(), priority: run.priority }]
}

/// A dead worker's time counts until its last sign of progress, a waiting run's until its wait was over: a server that
/// was away meanwhile takes nothing from a run's time.
fn stop_clock(run: &mut Run, now: Timestamp) {
    let until = match run.state {
        State::Waiting { until, .. } => until.min(now),
        _ => run.progress_at,
    };
    stop_clock_at(run, until);
}

fn stop_clock_at(run: &mut Run, until: Timestamp) {
    if let Some(from) = run.clock_from.take() {
        run.spent = run.spent + until.since(from);
    }
}

fn cancelled(run: &mut Run, now: Timestamp) -> Vec<Effect> {
    let cancel = run.cancel.clone().unwrap_or(Cancel { by: "unknown".to_owned(), at: now, reason: None });
    end(run, Outcome::Cancelled { cancel }, now)
}

fn end(run: &mut Run, mut outcome: Outcome, now: Timestamp) -> Vec<Effect> {
    if let (Outcome::Failed { failure } | Outcome::Timeout { failure }, Some(parent)) =
        (&mut outcome, run.parent)
    {
        failure.chain.push(format!("in step {} of its parent {}", parent.index + 1, parent.run));
    }
    let used = run.time_used(now);
    run.spent = used;
    run.clock_from = None;
    let line = match &outcome {
        Outcome::Completed => {
            Effect::info("completed", format!("Execution completed successfully in {}", seconds(used)))
        }
        Outcome::Failed { failure } => Effect::error("failed", format!("Execution failed: {failure}")),
        Outcome::Timeout { failure } => Effect::error("timed_out", failure.to_string()),
        Outcome::Cancelled { cancel } => {
            Effect::info("cancelled", format!("Execution cancelled by {}", cancel.by))
        }
    };
    if let Outcome::Failed { failure } | Outcome::Timeout { failure } = &outcome {
        run.failure = Some(failure.clone());
    }
    let name = outcome.name();
    let mut effects = vec![line, Effect::Ended(name)];
    effects.extend(run.awaits.take().iter().flat_map(abandoned));
    effects.extend(run.parent.map(|parent| Effect::TellParent { parent: parent.run, index: parent.index }));
    run.state = State::Ended { at: now, outcome };
    effects
}

/// One decimal, as the guides' line has it: `45.2s`.
fn seconds(span: Millis) -> String {
    format!("{}.{}s", span.0 / 1000, span.0 % 1000 / 100)
}
