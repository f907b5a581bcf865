//! The transition table as text: every state against every event, computed from [`super::apply`].
//!
//! The snapshot of this text is checked in and shown in `ARCHITECTURE.md`.

use super::*;
use crate::code::Code;
use crate::id::WorkerId;
use crate::retry::RetryClass;
use crate::routing::{Contract, Decision, Reason, Rules};
use serde_json::Value;

const NOW: Timestamp = Timestamp(1_000_000);
const WORKER: WorkerId = WorkerId(7);
const CHILD: RunId = RunId(2);

fn sample_run() -> Run {
    let text = |text: &str| -> Arc<str> { Arc::from(text) };
    let order = Order {
        id: RunId(1),
        pack: PackRef { name: text("pack"), version: text("1.0.0") },
        key: text("pack"),
        priority: Priority::Normal,
        limit: Millis::seconds(60),
        trigger: Trigger::Api,
        correlation: text("c"),
        traceparent: None,
        retry_of: None,
        queue: text(DEFAULT_QUEUE),
        tenant: None,
        due: None,
        parent: None,
    };
    accept(order, NOW).0
}

fn states() -> Vec<(&'static str, Run)> {
    let lease = Lease { worker: WORKER, epoch: 1 };
    let failure = Failure::new(Code::E006, "llm.unreachable", "provider:sim", "call the model");
    let cancel = Cancel { by: "ada".to_owned(), at: NOW, reason: None };
    let ended = |outcome| State::Ended { at: NOW, outcome };
    let with = |state: State| {
        let mut run = sample_run();
        if !matches!(state, State::Pending { .. }) {
            (run.epoch, run.clock_from, run.started_at) = (1, Some(NOW), Some(NOW));
        }
        run.state = state;
        run
    };
    let waiting = |wait: Wait| {
        let mut run = with(State::Waiting { since: NOW, on: wait.on(), until: NOW });
        run.awaits = Some(Awaits { index: 0, name: "step".to_owned(), wait });
        run
    };
    vec![
        ("PENDING", with(State::Pending { since: NOW })),
        ("INITIALIZING", with(State::Initializing { since: NOW, lease })),
        ("RUNNING", with(State::Running { since: NOW, lease })),
        ("RUNNING (waits: retry)", with(State::Waiting { since: NOW, on: WaitOn::Retry, until: NOW })),
        ("RUNNING (waits: parked)", waiting(Wait::Parked)),
        (
            "RUNNING (waits: approval)",
            waiting(Wait::Approval { question: "?".to_owned(), effect: Value::Null }),
        ),
        ("RUNNING (waits: timer)", waiting(Wait::Timer)),
        ("RUNNING (waits: child)", waiting(Wait::Child { run: CHILD })),
        ("COMPLETING", with(State::Completing { since: NOW, lease })),
        ("COMPLETED", with(ended(Outcome::Completed))),
        ("FAILED", with(ended(Outcome::Failed { failure: failure.clone() }))),
        ("TIMEOUT", with(ended(Outcome::Timeout { failure }))),
        ("CANCELLED", with(ended(Outcome::Cancelled { cancel }))),
    ]
}

fn events() -> Vec<Event> {
    let failure = Box::new(Failure::new(Code::E006, "llm.unreachable", "provider:sim", "call the model"));
    let (worker, epoch) = (WORKER, 1);
    let step = Step {
        index: 0,
        attempt: 1,
        kind: StepKind::Echo,
        name: "echo".to_owned(),
        request: Value::Null,
        result: Value::Null,
        took: Millis(1),
        waiting_on: "engine".to_owned(),
        usage: None,
        is_error: false,
    };
    let (name, kind) = ("step".to_owned(), StepKind::Tool);
    let child = Answer::Child { run: CHILD, outcome: StateName::Completed, output: None, failure: None };
    vec![
        Event::Forked { from: CHILD, steps: Vec::new() },
        Event::Routed { decision: Box::new(decision()) },
        Event::Leased { worker, epoch: 1 },
        Event::Initialized,
        Event::StepDispatched { index: 0, attempt: 1, kind, name: name.clone(), policy: Dispatch::Park },
        Event::StepEnded { step: Box::new(step) },
        Event::StepFailed {
            index: 0,
            attempt: 1,
            kind,
            name: name.clone(),
            took: Millis(1),
            failure: failure.clone(),
            policy: RetryClass::Tool.policy(),
            chance: 0,
        },
        Event::StageCompleted { n: 1, of: 3, name: name.clone() },
        Event::Parked { index: 0, name: name.clone() },
        Event::Awaiting { index: 0, kind: StepKind::Timer, name, wait: Wait::Timer, until: NOW },
        Event::Awaited { index: 0, answer: Answer::Fired },
        Event::Awaited { index: 0, answer: child },
        Event::Awaited { index: 0, answer: Answer::Approved { by: "ada".to_owned(), reason: None } },
        Event::Resolved { by: "ada".to_owned() },
        Event::Woken,
        Event::CancelAsked { by: "ada".to_owned(), reason: None },
        Event::Stopped,
        Event::LeaseLost { worker, epoch, why: "late".to_owned() },
        Event::Released { worker, epoch },
        Event::Fenced { worker, epoch, what: "step".to_owned() },
        Event::Completing { artifacts: Vec::new() },
        Event::Completed { output: Value::Null },
        Event::Failed { failure },
        Event::TimedOut { doing: "working".to_owned() },
    ]
}

fn decision() -> Decision {
    Decision {
        arm: "pack".to_owned(),
        reason: Reason::Default,
        contract: Contract::default(),
        scores: Vec::new(),
        relaxed: Vec::new(),
        rules: Rules::default(),
    }
}

/// The event's name, with what it answers where that decides.
fn told(event: &Event) -> &'static str {
    match event {
        Event::Awaited { answer: Answer::Fired, .. } => "awaited (timer)",
        Event::Awaited { answer: Answer::Child { .. }, .. } => "awaited (child)",
        Event::Awaited { .. } => "awaited (person)",
        other => other.name(),
    }
}

fn shown(run: &Run) -> String {
    match &run.state {
        State::Waiting { on: WaitOn::Retry, .. } => "RUNNING (waits: retry)".to_owned(),
        State::Waiting { .. } if run.awaits.as_ref().is_some_and(|awaits| awaits.wait == Wait::Parked) => {
            "RUNNING (waits: parked)".to_owned()
        }
        State::Waiting { on, .. } => format!("RUNNING (waits: {})", on.name()),
        state => state.name().name().to_owned(),
    }
}

fn effects_shown(effects: &[Effect]) -> String {
    let names: Vec<String> = effects
        .iter()
        .map(|effect| match effect {
            Effect::Enqueue { .. } => "enqueue".to_owned(),
            Effect::StopWork { .. } => "stop work".to_owned(),
            Effect::WakeAt(_) => "wake".to_owned(),
            Effect::Ended(_) => "tell".to_owned(),
            Effect::TellParent { .. } => "tell parent".to_owned(),
            Effect::CancelChild(_) => "cancel child".to_owned(),
            Effect::Log(line) => format!("log {}", line.event),
        })
        .collect();
    if names.is_empty() { String::new() } else { format!("  [{}]", names.join(", ")) }
}

/// The table, one line for each pair that is taken, and one for each state with what it refuses.
///
/// `Stopped` needs a cancellation before it, so it is shown for runs that were asked to stop.
pub fn transition_table() -> String {
    let mut text = String::new();
    for (from, run) in states() {
        let mut refused = Vec::new();
        for event in events() {
            let mut run = run.clone();
            if matches!(event, Event::Stopped) {
                run.cancel = Some(Cancel { by: "ada".to_owned(), at: NOW, reason: None });
            }
            match apply(&run, &event, NOW) {
                Ok((next, effects)) => {
                    let (to, effects) = (shown(&next), effects_shown(&effects));
                    text.push_str(&format!("{from:<26} --{:<16}-> {to}{effects}\n", told(&event)));
                }
                Err(_) => refused.push(told(&event)),
            }
        }
        text.push_str(&format!("{from:<26} refuses {}\n\n", refused.join(", ")));
    }
    text
}
