//! The run of an arm's pack: one step that sends the task to a service elsewhere and takes its answer.
//!
//! Guarantees: a note is durable before a task goes out that must not be sent twice, so that after a crash in between a
//! person decides; every try of the step has the same idempotency key.
//! Read next: `hale-gateway/src/arm.rs`.

use super::host::{Done, Halt, Host};
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::run::{Dispatch, StepKind, StepSpec};
use hale_gateway::arm::{Repeat, Target, Task};
use serde_json::{Map, Value, json};

/// Sends the run's input, with the run's id as `task_id`, and answers with what the arm answers.
///
/// # Errors
/// [`Halt`], as every step may end the run.
pub async fn run(host: &Host<'_>) -> Result<Value, Halt> {
    let manifest = &host.manifest;
    let Some(endpoint) = manifest.endpoint.as_deref() else {
        let message = format!("call arm {}: its pack has no endpoint", manifest.name);
        return Err(Halt::failed(Failure::new(Code::E015, "arm.no_endpoint", "worker", message)));
    };
    let (repeat, dispatch) = match manifest.idempotent {
        true => (Repeat::Harmless, Dispatch::Idempotent),
        false => (Repeat::Harmful, Dispatch::Park),
    };
    let index = host.next_index()?;
    let body = body(host)?;
    let spec = StepSpec {
        index,
        kind: StepKind::Arm,
        name: manifest.name.clone(),
        dispatch,
        request: json!({ "endpoint": endpoint, "goal": body.get("goal") }),
    };
    let body = Value::Object(body);
    let key = format!("{}-{index}", host.run.id);
    let target = Target { arm: &manifest.name, endpoint, deadline: host.deadline };
    let task = Task {
        body: &body,
        idempotency_key: &key,
        correlation_id: &host.run.correlation,
        traceparent: host.run.traceparent.as_deref(),
    };
    host.step(spec, |_| async move {
        let answer = host.worker.gateway.arms().execute(target, task).await;
        let value = answer.map_err(|error| error.failure(repeat))?;
        Ok(Done { value, waiting_on: format!("arm:{}", target.arm), usage: None, is_error: false })
    })
    .await
}

fn body(host: &Host<'_>) -> Result<Map<String, Value>, Halt> {
    let mut body = match host.input()? {
        Value::Object(fields) => fields,
        other => Map::from_iter([("input".to_owned(), other)]),
    };
    body.insert("task_id".to_owned(), Value::from(host.run.id.to_string()));
    Ok(body)
}
