//! The whole API in one table: the router is built from it, and so is `/openapi.json`.
//!
//! A route that is not here does not exist. Read next: [`super::runs`], then [`super::openapi`].

use super::openapi::{self, Shown};
use super::{
    App, arms, capabilities, chaos, config, doctor, events, health, keys, operations, packs, runs, status,
    tasks, workers,
};
use crate::wire;
use axum::routing::{MethodFilter, MethodRouter, on};
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Get,
    Post,
    Delete,
}

impl Verb {
    pub const fn name(self) -> &'static str {
        match self {
            Verb::Get => "GET",
            Verb::Post => "POST",
            Verb::Delete => "DELETE",
        }
    }

    const fn filter(self) -> MethodFilter {
        match self {
            Verb::Get => MethodFilter::GET,
            Verb::Post => MethodFilter::POST,
            Verb::Delete => MethodFilter::DELETE,
        }
    }
}

/// Whether a route answers without a key where one is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Probes of load balancers and supervisors; tells states, no details.
    Open,
    Key,
}

/// A parameter of the query or a header, with what it means.
#[derive(Clone, Copy, Debug)]
pub struct Param {
    pub name: &'static str,
    pub place: &'static str,
    pub doc: &'static str,
}

type Handler = fn(MethodFilter) -> MethodRouter<Arc<App>>;

/// One route.
#[derive(Clone, Copy)]
pub struct Route {
    pub verb: Verb,
    pub path: &'static str,
    /// The operation's id in the document.
    pub id: &'static str,
    pub summary: &'static str,
    pub door: Door,
    pub params: &'static [Param],
    pub takes: Option<Shown>,
    /// The status of success with what is answered.
    pub gives: (u16, Shown),
    /// Other statuses than those that every route has.
    pub also: &'static [u16],
    handler: Handler,
}

impl Route {
    const fn new(
        verb: Verb,
        path: &'static str,
        (id, summary): (&'static str, &'static str),
        handler: Handler,
    ) -> Self {
        let gives = (200, Shown::Nothing);
        Self { verb, path, id, summary, door: Door::Key, params: &[], takes: None, gives, also: &[], handler }
    }

    const fn open(mut self) -> Self {
        self.door = Door::Open;
        self
    }

    const fn params(mut self, params: &'static [Param]) -> Self {
        self.params = params;
        self
    }

    const fn takes(mut self, body: Shown) -> Self {
        self.takes = Some(body);
        self
    }

    const fn gives(mut self, status: u16, body: Shown) -> Self {
        self.gives = (status, body);
        self
    }

    const fn also(mut self, statuses: &'static [u16]) -> Self {
        self.also = statuses;
        self
    }

    pub fn handler(&self) -> MethodRouter<Arc<App>> {
        (self.handler)(self.verb.filter())
    }
}

/// A route in one line: verb, path, id, summary, handler.
macro_rules! route {
    ($verb:ident $path:literal $id:literal $summary:literal $handler:path) => {
        Route::new(Verb::$verb, $path, ($id, $summary), |verb| on(verb, $handler))
    };
}

macro_rules! json {
    ($shape:ty) => {
        Shown::Json(|schemas| schemas.subschema_for::<$shape>())
    };
}

const fn query(name: &'static str, doc: &'static str) -> Param {
    Param { name, place: "query", doc }
}

const fn header(name: &'static str, doc: &'static str) -> Param {
    Param { name, place: "header", doc }
}

const LIMIT: Param = query("limit", "Items of the page, 1 to 1000.");
const WAIT: Param = query("wait", "Wait for the run's end, at most this span (up to 60s), such as 30s.");
const PREFER: Param = header("Prefer", "`wait=N`: wait for the run's end, at most N seconds (up to 60).");
const IDEMPOTENCY: Param = header(
    "Idempotency-Key",
    "1 to 255 visible letters: the same key and request within a day give the same run.",
);
const AFTER: Param = query("after", "`next` of the page before.");
const FILTER: Param = query("filter", "Which runs: `status:failed since:1h pack:hello some text`.");
const LAST_EVENT: Param =
    header("Last-Event-ID", "The id of the last event that was seen; the stream goes on after it.");

/// Every route.
pub static TABLE: &[Route] = &[
    route!(Post "/api/v1/runs" "runs.start" "Start a run; answered when it is durable" runs::start)
        .params(&[IDEMPOTENCY, PREFER])
        .takes(json!(wire::StartRun))
        .gives(202, json!(wire::RunView))
        .also(&[200, 404, 409, 422, 429, 503]),
    route!(Get "/api/v1/runs" "runs.list" "Runs, newest first" runs::list)
        .params(&[FILTER, LIMIT, AFTER])
        .gives(200, json!(wire::Page<wire::RunView>))
        .also(&[422]),
    route!(Post "/api/v1/runs/cancel" "runs.cancel_many" "Cancel every run that matches" runs::cancel_many)
        .takes(json!(wire::CancelMany))
        .gives(200, json!(wire::BulkReport))
        .also(&[422]),
    route!(Get "/api/v1/runs/{id}" "runs.show" "One run with input, output and artifacts" runs::show)
        .params(&[WAIT])
        .gives(200, json!(wire::RunView))
        .also(&[404, 422]),
    route!(Get "/api/v1/runs/{id}/history" "runs.history" "The journal of a run" runs::history)
        .params(&[query("from", "First sequence number, 1 by default."), LIMIT])
        .gives(200, json!(wire::History))
        .also(&[404, 422]),
    route!(Get "/api/v1/runs/{id}/events" "runs.events" "The journal and what happens, as it happens" events::stream)
        .params(&[LAST_EVENT])
        .gives(200, Shown::Events)
        .also(&[404, 422]),
    route!(Get "/api/v1/runs/{id}/artifacts" "runs.artifacts" "What a run made" runs::artifacts)
        .gives(200, json!(wire::Page<openapi::ArtifactShape>))
        .also(&[404]),
    route!(Get "/api/v1/runs/{id}/artifacts/{*name}" "runs.artifact" "The bytes of an artifact" runs::artifact)
        .gives(200, Shown::Bytes)
        .also(&[404, 503]),
    route!(Post "/api/v1/runs/{id}/cancel" "runs.cancel" "Cancel a run" runs::cancel)
        .takes(json!(wire::CancelRun))
        .gives(200, json!(wire::RunView))
        .also(&[404, 409]),
    route!(Post "/api/v1/runs/{id}/retry" "runs.retry" "Start a new run of an ended one's pack version" runs::retry)
        .takes(json!(wire::RetryRun))
        .gives(202, json!(wire::RunView))
        .also(&[404, 409, 422]),
    route!(Post "/api/v1/runs/{id}/resolve" "runs.resolve" "Say what became of a parked step" runs::resolve)
        .takes(json!(wire::ResolveRun))
        .gives(200, json!(wire::RunView))
        .also(&[404, 409, 422]),
    route!(Get "/api/v1/runs/{id}/why" "runs.why" "Why a run is as it is" doctor::why)
        .gives(200, json!(wire::Diagnosis))
        .also(&[404]),
    route!(Get "/api/v1/doctor" "doctor" "What ails the system" doctor::doctor).gives(200, json!(wire::Diagnosis)),
    route!(Post "/api/v1/doctor/fix" "doctor.fix" "Apply the fix of a cause, or say what it would do" doctor::fix)
        .takes(json!(wire::FixRequest))
        .gives(200, json!(wire::FixReport))
        .also(&[404, 409, 422]),
    route!(Post "/api/v1/doctor/undo" "doctor.undo" "Take the newest fix of a cause back" doctor::undo_cause)
        .takes(json!(wire::UndoRequest))
        .gives(200, json!(wire::FixReport))
        .also(&[404, 409]),
    route!(Get "/api/v1/evidence" "evidence" "What a diagnosis is made from" doctor::evidence)
        .params(&[query("run", "Of this run; otherwise of the system.")])
        .gives(200, Shown::Object)
        .also(&[404]),
    route!(Get "/api/v1/operations" "operations.list" "What operators did, newest first" operations::list)
        .params(&[LIMIT])
        .gives(200, json!(wire::Page<wire::OperationView>))
        .also(&[422]),
    route!(Post "/api/v1/operations/{id}/undo" "operations.undo" "Take an operation back" doctor::undo)
        .gives(200, json!(wire::FixReport))
        .also(&[404, 409]),
    route!(Get "/api/v1/capabilities" "capabilities.list" "Who offers which capability" capabilities::list)
        .params(&[query("name", "Of this pack, or the capability of this name; otherwise all.")])
        .gives(200, json!(wire::Page<wire::capability::CapabilityView>))
        .also(&[404]),
    route!(Get "/api/v1/packs" "packs.list" "The packs in their current versions" packs::list)
        .gives(200, json!(wire::Page<wire::PackView>)),
    route!(Post "/api/v1/packs" "packs.deploy" "Deploy a pack file" packs::deploy)
        .takes(json!(wire::DeployPack))
        .gives(201, json!(wire::PackView))
        .also(&[200, 403, 409, 422, 503]),
    route!(Post "/api/v1/packs/validate" "packs.validate" "Check a pack file; changes nothing" packs::validate)
        .takes(json!(wire::DeployPack))
        .gives(200, json!(wire::PackView))
        .also(&[403, 409, 422]),
    route!(Get "/api/v1/packs/{name}" "packs.show" "One pack with its versions and source" packs::show)
        .params(&[query("version", "Another version than the current one.")])
        .gives(200, json!(wire::PackView))
        .also(&[404]),
    route!(Post "/api/v1/packs/{name}/rollback" "packs.rollback" "Make an older version current" packs::rollback)
        .takes(json!(wire::RollbackPack))
        .gives(200, json!(wire::PackView))
        .also(&[404, 409]),
    route!(Post "/api/v1/packs/{name}/enable" "packs.enable" "Take new runs of a pack" packs::enable)
        .gives(200, json!(wire::PackView))
        .also(&[404]),
    route!(Post "/api/v1/packs/{name}/disable" "packs.disable" "Take no new runs of a pack" packs::disable)
        .gives(200, json!(wire::PackView))
        .also(&[404]),
    route!(Post "/api/v1/packs/{name}/reload" "packs.reload" "Read a pack's file again" packs::reload)
        .gives(200, json!(wire::PackView))
        .also(&[404, 422]),
    route!(Post "/api/v1/tasks" "tasks.start" "Route a task to an arm, and start its run" tasks::start)
        .params(&[IDEMPOTENCY])
        .takes(json!(wire::tasks::StartTask))
        .gives(202, json!(wire::tasks::TaskView))
        .also(&[409, 422, 429, 503]),
    route!(Post "/api/v1/tasks/route" "tasks.route" "Who would take a task, with all scores; starts nothing" tasks::route)
        .takes(json!(wire::tasks::StartTask))
        .gives(200, json!(wire::tasks::RouteView))
        .also(&[409, 422]),
    route!(Get "/api/v1/tasks/{id}" "tasks.show" "One task with its run, and why this arm" tasks::show)
        .gives(200, json!(wire::tasks::TaskView))
        .also(&[404]),
    route!(Get "/api/v1/arms" "arms.list" "Everything that can be routed to" arms::list)
        .gives(200, json!(wire::Page<wire::arms::ArmView>)),
    route!(Post "/api/v1/arms/register" "arms.register" "A service elsewhere takes tasks from now on" arms::register)
        .takes(json!(wire::arms::RegistrationShape))
        .gives(200, json!(wire::arms::ArmView))
        .also(&[403, 409, 422, 429]),
    route!(Get "/api/v1/arms/conflicts" "arms.conflicts" "Arms that only their names tell apart" arms::conflicts)
        .params(&[query("name", "Of this arm; otherwise all.")])
        .gives(200, json!(wire::Page<wire::arms::ConflictShape>))
        .also(&[404]),
    route!(Get "/api/v1/arms/{name}" "arms.show" "One arm" arms::show)
        .gives(200, json!(wire::arms::ArmView))
        .also(&[404]),
    route!(Delete "/api/v1/arms/{name}" "arms.deregister" "Send an arm that registered no more tasks" arms::deregister)
        .gives(200, json!(wire::arms::ArmView))
        .also(&[404, 409]),
    route!(Get "/capabilities" "arms.capabilities" "As /api/v1/arms" arms::list)
        .gives(200, json!(wire::Page<wire::arms::ArmView>)),
    route!(Get "/api/v1/workers" "workers.list" "The workers" workers::list)
        .gives(200, json!(wire::Page<wire::WorkerView>))
        .also(&[503]),
    route!(Post "/api/v1/workers" "workers.join" "A worker process introduces itself" workers::join)
        .takes(Shown::Object)
        .gives(200, Shown::Object)
        .also(&[503]),
    route!(Post "/api/v1/workers/{id}/sync" "workers.sync" "Heartbeat, writes and orders of a worker" workers::sync)
        .takes(Shown::Object)
        .gives(200, Shown::Object)
        .also(&[404, 503]),
    route!(Post "/api/v1/workers/{id}/leave" "workers.leave" "A worker ends; what is leased to it is released" workers::leave)
        .gives(200, Shown::Object)
        .also(&[404]),
    route!(Post "/api/v1/workers/{id}/drain" "workers.drain" "Give a worker nothing new" workers::drain)
        .gives(200, json!(wire::WorkerView))
        .also(&[404]),
    route!(Post "/api/v1/workers/{id}/resume" "workers.resume" "Give a worker work again" workers::resume)
        .gives(200, json!(wire::WorkerView))
        .also(&[404]),
    route!(Get "/api/v1/keys" "keys.list" "The API keys, without secrets" keys::list)
        .gives(200, json!(wire::Page<wire::KeyView>)),
    route!(Post "/api/v1/keys" "keys.create" "Make an API key; its secret is told once" keys::create)
        .takes(json!(wire::CreateKey))
        .gives(201, json!(wire::KeyView))
        .also(&[409, 422]),
    route!(Delete "/api/v1/keys/{id}" "keys.revoke" "Refuse a key from now on" keys::revoke)
        .gives(200, json!(wire::KeyView))
        .also(&[404]),
    route!(Get "/api/v1/chaos" "chaos.list" "The faults that are injected now" chaos::list)
        .gives(200, json!(wire::Page<wire::FaultView>)),
    route!(Post "/api/v1/chaos" "chaos.inject" "Make a fault happen, for a stated time" chaos::inject)
        .takes(json!(wire::InjectFault))
        .gives(201, json!(wire::FaultView))
        .also(&[403, 409, 422]),
    route!(Delete "/api/v1/chaos" "chaos.clear_all" "End every injected fault" chaos::clear_all)
        .gives(200, json!(wire::Page<wire::FaultView>))
        .also(&[403]),
    route!(Delete "/api/v1/chaos/{id}" "chaos.clear" "End one injected fault" chaos::clear)
        .gives(200, json!(wire::FaultView))
        .also(&[403, 404]),
    route!(Get "/api/v1/config" "config.list" "Every setting with its value's source" config::list)
        .gives(200, json!(wire::Page<wire::ConfigEntry>)),
    route!(Get "/api/v1/config/history" "config.history" "Who changed settings while the server ran" config::history)
        .gives(200, json!(wire::Page<wire::OperationView>)),
    route!(Get "/api/v1/status" "status" "The server at a glance" status::status)
        .gives(200, json!(wire::Status))
        .also(&[503]),
    route!(Post "/api/v1/shutdown" "shutdown" "Drain and end the server" status::shutdown).gives(202, Shown::Object),
    route!(Get "/health" "health" "Health derived from probes; 503 when unhealthy" health::health)
        .open()
        .gives(200, json!(wire::Health))
        .also(&[503]),
    route!(Get "/api/v1/health" "health.api" "As /health" health::health)
        .open()
        .gives(200, json!(wire::Health))
        .also(&[503]),
    route!(Get "/orchestrator/health" "health.orchestrator" "As /health" health::health)
        .open()
        .gives(200, json!(wire::Health))
        .also(&[503]),
    route!(Get "/livez" "livez" "The process answers" health::livez).open().gives(200, Shown::Object),
    route!(Get "/readyz" "readyz" "Whether work is taken" health::readyz).open().gives(200, Shown::Object).also(&[503]),
    route!(Get "/metrics" "metrics" "Metrics in the text format of Prometheus" health::metrics).gives(200, Shown::Text),
    route!(Get "/openapi.json" "openapi" "This API as an OpenAPI 3.1 document" openapi::serve).gives(200, Shown::Object),
];
