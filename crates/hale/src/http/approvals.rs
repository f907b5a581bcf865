//! Approvals over HTTP: who waits for a person, and the person's word.
//!
//! Read next: `hale-engine/src/facade/approvals.rs`.

use super::App;
use super::extract::{Input, Segment, id};
use super::guard::By;
use super::problem::Refusal;
use super::view;
use crate::wire::waits::{ApprovalView, ChildView, Decide, WaitView};
use crate::wire::{Page, RunView};
use axum::Json;
use axum::extract::State;
use hale_core::code::Code;
use hale_core::id::RunId;
use hale_core::limits;
use hale_core::run::{self, Run, Wait};
use hale_core::time::Timestamp;
use hale_engine::{Caller, Decision, Word};
use std::sync::Arc;

/// `GET /api/v1/approvals`: the longest wait first, at most a page.
pub async fn list(State(app): State<Arc<App>>) -> Result<Json<Page<ApprovalView>>, Refusal> {
    let (now, asking) = (app.engine.now(), app.engine.approvals().await?);
    let items = asking.iter().take(limits::PAGE_MAX as usize).filter_map(|run| shown(run, now));
    Ok(Json(view::page("approvals", items.collect(), None)))
}

/// `POST /api/v1/runs/{id}/approve`.
pub async fn approve(
    State(app): State<Arc<App>>,
    By(caller): By,
    Segment(run): Segment,
    Input(order): Input<Decide>,
) -> Result<Json<RunView>, Refusal> {
    decide(&app, (&run, Word::Approve), order, &caller).await
}

/// `POST /api/v1/runs/{id}/deny`.
pub async fn deny(
    State(app): State<Arc<App>>,
    By(caller): By,
    Segment(run): Segment,
    Input(order): Input<Decide>,
) -> Result<Json<RunView>, Refusal> {
    decide(&app, (&run, Word::Deny), order, &caller).await
}

async fn decide(
    app: &App,
    (run, word): (&str, Word),
    order: Decide,
    caller: &Caller,
) -> Result<Json<RunView>, Refusal> {
    let run: RunId = id(run)?;
    let decision = Decision { word, reason: order.reason, step: order.index };
    let decided = app.engine.decide(run, decision, caller).await.map_err(|failure| {
        let fix = match failure.code {
            Code::E011 => Some("hale approvals list"),
            Code::E010 => Some("hale runs list"),
            _ => None,
        };
        let refusal = Refusal::from(failure).run(run.to_string());
        fix.map_or_else(|| refusal.clone(), |fix| refusal.clone().fix(fix))
    })?;
    Ok(Json(view::run(&decided, app.engine.now())))
}

/// What a run waits for; none while it does not wait, or waits for its next try only.
pub(super) fn wait(run: &Run) -> Option<WaitView> {
    let (run::State::Waiting { since, until, .. }, Some(awaits)) = (&run.state, &run.awaits) else {
        return None;
    };
    let mut shown = WaitView {
        index: awaits.index,
        kind: String::new(),
        name: awaits.name.clone(),
        since: since.rfc3339(),
        until: until.rfc3339(),
        child: None,
        question: None,
        effect: None,
    };
    let kind = match &awaits.wait {
        Wait::Timer => "timer",
        Wait::Child { run } => {
            shown.child = Some(run.to_string());
            "child"
        }
        Wait::Approval { question, effect } => {
            shown.question = Some(question.clone());
            shown.effect = Some(effect.clone());
            "approval"
        }
        Wait::Parked => "parked",
    };
    shown.kind = kind.to_owned();
    Some(shown)
}

fn shown(run: &Run, now: Timestamp) -> Option<ApprovalView> {
    let waits = wait(run)?;
    let since = run.state.since();
    let parked = || format!("{} was in flight at a crash: shall it be repeated?", waits.name);
    Some(ApprovalView {
        schema: "hale.approval/1".to_owned(),
        run: run.id.to_string(),
        pack: run.pack.name.to_string(),
        version: run.pack.version.to_string(),
        question: waits.question.clone().unwrap_or_else(parked),
        kind: waits.kind,
        index: waits.index,
        tool: waits.name,
        effect: waits.effect,
        since: waits.since,
        waits_ms: now.since(since).0,
        until: waits.until,
        stalled: now.since(since) >= limits::APPROVAL_STALL,
    })
}

pub(super) fn child(run: &Run) -> ChildView {
    ChildView {
        id: run.id.to_string(),
        index: run.parent.map_or(0, |parent| parent.index),
        pack: run.pack.name.to_string(),
        version: run.pack.version.to_string(),
        state: run.state.name().to_string(),
    }
}
