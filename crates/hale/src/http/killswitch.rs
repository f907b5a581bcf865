//! Kill switches over HTTP: what is on, on, off.
//!
//! Read next: `hale-engine/src/facade/killswitch.rs`.

use super::App;
use super::extract::{Input, Shape};
use super::guard::By;
use super::problem::Refusal;
use crate::wire::killswitch::{Returning, SwitchView, Switches, TakeOff, Throw, Thrown};
use axum::Json;
use axum::extract::State;
use hale_core::failure::Failure;
use hale_core::killswitch::{Force, Switch, Target};
use hale_core::time::Timestamp;
use hale_engine::facade::killswitch::Throw as Order;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Shape for Throw {}
impl Shape for TakeOff {}

const THROWN: &str = "hale.killswitch.thrown/1";

/// `GET /api/v1/killswitch`.
pub async fn list(State(app): State<Arc<App>>) -> Json<Switches> {
    Json(shown(&app))
}

/// `POST /api/v1/killswitch/on`.
pub async fn on(
    State(app): State<Arc<App>>,
    By(caller): By,
    Input(order): Input<Throw>,
) -> Result<Json<Thrown>, Refusal> {
    let target = target(&order.target)?;
    let force = if order.immediate { Force::Immediate } else { Force::Graceful };
    let throw = Order { target: target.clone(), reason: order.reason, force, confirm: order.confirm };
    let thrown = app.engine.switch_on(throw, &caller).await.map_err(|failure| refused(failure, &target))?;
    let (switch, operation) = thrown;
    Ok(Json(Thrown {
        schema: THROWN.to_owned(),
        target: target.to_string(),
        on: true,
        operation: operation.to_string(),
        stops_at: Some(switch.stops_at().rfc3339()),
        forced_at: Some(switch.forced_at().rfc3339()),
        returning: Vec::new(),
        undo: off_command(&target),
    }))
}

/// `POST /api/v1/killswitch/off`.
pub async fn off(
    State(app): State<Arc<App>>,
    By(caller): By,
    Input(order): Input<TakeOff>,
) -> Result<Json<Thrown>, Refusal> {
    let target = target(&order.target)?;
    let lifted = app.engine.switch_off(target.clone(), &order.reason, &caller).await;
    let lifted = lifted.map_err(|failure| refused(failure, &target))?;
    Ok(Json(Thrown {
        schema: THROWN.to_owned(),
        target: target.to_string(),
        on: false,
        operation: lifted.operation.to_string(),
        stops_at: None,
        forced_at: None,
        returning: returning(&lifted.returning),
        undo: format!("hale killswitch on {target} --reason TEXT"),
    }))
}

/// What is on, and what comes back.
pub fn shown(app: &App) -> Switches {
    let standing = app.engine.switches();
    Switches {
        schema: "hale.killswitch/1".to_owned(),
        items: standing.on.iter().map(view).collect(),
        returning: returning(&standing.returning),
    }
}

fn view(switch: &Switch) -> SwitchView {
    SwitchView {
        target: switch.target.to_string(),
        by: switch.by.clone(),
        reason: switch.reason.clone(),
        at: switch.at.rfc3339(),
        immediate: switch.force == Force::Immediate,
        stops_at: switch.stops_at().rfc3339(),
        forced_at: switch.forced_at().rfc3339(),
        undo: off_command(&switch.target),
    }
}

fn returning(all: &BTreeMap<Target, Timestamp>) -> Vec<Returning> {
    let one =
        |(target, at): (&Target, &Timestamp)| Returning { target: target.to_string(), at: at.rfc3339() };
    let mut list: Vec<Returning> = all.iter().map(one).collect();
    list.sort_by(|a, b| (&a.at, &a.target).cmp(&(&b.at, &b.target)));
    list
}

fn off_command(target: &Target) -> String {
    format!("hale killswitch off {target} --reason TEXT")
}

fn target(text: &str) -> Result<Target, Refusal> {
    text.parse().map_err(|error: hale_core::killswitch::NoTarget| {
        Refusal::invalid("target", error.to_string()).fix("hale killswitch on pack:NAME --reason TEXT")
    })
}

fn refused(failure: Failure, target: &Target) -> Refusal {
    let cause = failure.cause.clone();
    let refusal = Refusal::from(failure);
    match cause.as_str() {
        "killswitch.no_reason" | "killswitch.long_reason" => refusal.field("reason"),
        "killswitch.unconfirmed" => {
            refusal.field("confirm").fix(format!("hale killswitch on {target} --reason TEXT --yes"))
        }
        "tool.not_found" | "pack.not_found" => refusal.field("target"),
        _ => refusal,
    }
}
