//! The whole API in one table: the router is built from it, and so is `/openapi.json`.
//!
//! A route that is not here does not exist. Read next: [`super::runs`], then [`super::openapi`].

use super::openapi::{self, Shown};
use super::route;
pub use super::route::{Door, Param, Route, Verb};
use super::{
    approvals, arms, artifacts, audit, backtests, bulk, capabilities, chaos, config, dlq, doctor, events,
    health, keys, killswitch, notices, operations, packs, queues, runs, schedules, stats, status, tasks,
    workers,
};
use crate::wire;
use crate::wire::queues as wire_queues;
use crate::wire::schedules as wire_schedules;
use crate::wire::workers as wire_workers;
use axum::routing::on;

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
const ARTIFACTS: Param =
    query("filter", "Which artifacts: `run:RUN pack:hello since:1d size:>1MiB part of the name`.");
const LETTERS: Param = query("filter", "Which letters: `cause:llm.rate_limited pack:hello since:1h`.");
const LAST_EVENT: Param =
    header("Last-Event-ID", "The id of the last event that was seen; the stream goes on after it.");

mod model_door;

/// Every route.
pub static TABLE: &[Route] =
    &route::joined::<{ model_door::TABLE.len() + REST.len() }>(model_door::TABLE, REST);

const REST: &[Route] = &[
    route!(Post "/api/v1/runs" "runs.start" "Start a run; answered when it is durable" runs::start)
        .ends_with_caller()
        .params(&[IDEMPOTENCY, PREFER])
        .takes(json!(wire::StartRun))
        .gives(202, json!(wire::RunView))
        .also(&[200, 404, 409, 422, 429, 503]),
    route!(Get "/api/v1/runs" "runs.list" "Runs, newest first" runs::list)
        .params(&[FILTER, LIMIT, AFTER])
        .gives(200, json!(wire::Page<wire::RunView>))
        .also(&[422]),
    route!(Post "/api/v1/runs/cancel" "runs.cancel_many" "Cancel every run that matches, as one operation" bulk::cancel)
        .takes(json!(wire::bulk::BulkRequest))
        .gives(202, json!(wire::bulk::BulkView))
        .also(&[200, 404, 409, 422, 503]),
    route!(Post "/api/v1/runs/retry" "runs.retry_many" "Retry every run that matches, as one operation" bulk::retry)
        .takes(json!(wire::bulk::BulkRequest))
        .gives(202, json!(wire::bulk::BulkView))
        .also(&[200, 404, 409, 422, 503]),
    route!(Get "/api/v1/dlq" "dlq.list" "Dead letters in the order of their deaths" dlq::list)
        .params(&[LETTERS, LIMIT, AFTER, query("resolved", "`true`: also those that were decided about.")])
        .gives(200, json!(wire::Page<wire::dlq::LetterView>))
        .also(&[422]),
    route!(Get "/api/v1/dlq/groups" "dlq.groups" "Waiting dead letters by cause" dlq::groups)
        .params(&[LETTERS])
        .gives(200, json!(wire::dlq::LetterGroups))
        .also(&[422]),
    route!(Get "/api/v1/dlq/{run}" "dlq.show" "One dead letter with its run" dlq::show)
        .gives(200, json!(wire::dlq::LetterShow))
        .also(&[404, 409]),
    route!(Post "/api/v1/dlq/redrive" "dlq.redrive" "Run dead letters again, as one operation" bulk::redrive)
        .takes(json!(wire::bulk::BulkRequest))
        .gives(202, json!(wire::bulk::BulkView))
        .also(&[200, 404, 409, 422, 503]),
    route!(Post "/api/v1/dlq/discard" "dlq.discard" "Take dead letters out, as one operation" bulk::discard)
        .takes(json!(wire::bulk::BulkRequest))
        .gives(202, json!(wire::bulk::BulkView))
        .also(&[200, 404, 409, 422, 503]),
    route!(Get "/api/v1/bulk" "bulk.list" "Operations over many runs, newest first" bulk::list)
        .params(&[LIMIT])
        .gives(200, json!(wire::Page<wire::bulk::BulkView>))
        .also(&[422]),
    route!(Get "/api/v1/operations/{id}" "operations.show" "One operation, and how far it has come" bulk::show)
        .params(&[query("wait", "Wait for its end, at most this span (up to 60s), such as 30s.")])
        .gives(200, json!(wire::bulk::OperationShow))
        .also(&[404, 422]),
    route!(Get "/api/v1/operations/{id}/items" "operations.items" "What came of each run of an operation" bulk::items)
        .params(&[query("state", "`waiting`, `done`, `left` or `failed`."), LIMIT, AFTER])
        .gives(200, json!(wire::Page<wire::bulk::BulkItemView>))
        .also(&[404, 422]),
    route!(Post "/api/v1/operations/{id}/pause" "operations.pause" "Let an operation rest" bulk::pause)
        .gives(200, json!(wire::bulk::BulkView))
        .also(&[404, 409]),
    route!(Post "/api/v1/operations/{id}/resume" "operations.resume" "Let a paused operation go on" bulk::resume)
        .gives(200, json!(wire::bulk::BulkView))
        .also(&[404, 409]),
    route!(Post "/api/v1/operations/{id}/abort" "operations.abort" "End an operation where it stands" bulk::abort)
        .gives(200, json!(wire::bulk::BulkView))
        .also(&[404, 409]),
    route!(Get "/api/v1/quarantine" "packs.quarantine" "Packs that are held back" dlq::quarantine)
        .gives(200, json!(wire::Page<wire::dlq::QuarantineView>)),
    route!(Post "/api/v1/packs/{name}/release" "packs.release" "Let a pack out of quarantine" dlq::release)
        .gives(200, json!(wire::dlq::QuarantineView))
        .also(&[404, 409]),
    route!(Post "/api/v1/runs/{id}/replay" "runs.replay" "Start a new run that keeps the first steps of one" dlq::replay)
        .takes(json!(wire::dlq::ReplayRun))
        .gives(202, json!(wire::dlq::ReplayView))
        .also(&[404, 409, 422]),
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
    route!(Get "/api/v1/approvals" "approvals.list" "Runs that wait for a person, the longest first" approvals::list)
        .gives(200, json!(wire::Page<wire::waits::ApprovalView>))
        .also(&[503]),
    route!(Post "/api/v1/runs/{id}/approve" "approvals.approve" "Allow the deed that a run asks for" approvals::approve)
        .takes(json!(wire::waits::Decide))
        .gives(200, json!(wire::RunView))
        .also(&[404, 409, 422]),
    route!(Post "/api/v1/runs/{id}/deny" "approvals.deny" "Refuse the deed that a run asks for" approvals::deny)
        .takes(json!(wire::waits::Decide))
        .gives(200, json!(wire::RunView))
        .also(&[404, 409, 422]),
    route!(Post "/api/v1/backtests" "backtests.start" "Start a back-test" backtests::start)
        .params(&[IDEMPOTENCY])
        .takes(json!(wire::backtests::StartBacktest))
        .gives(202, json!(wire::backtests::BacktestView))
        .also(&[200, 404, 409, 422, 429, 503]),
    route!(Get "/api/v1/backtests" "backtests.list" "Back-tests, newest first" backtests::list)
        .params(&[FILTER, LIMIT, AFTER])
        .gives(200, json!(wire::Page<wire::backtests::BacktestView>))
        .also(&[422]),
    route!(Get "/api/v1/backtests/{id}" "backtests.show" "One back-test with its stages and metrics" backtests::show)
        .gives(200, json!(wire::backtests::BacktestView))
        .also(&[404]),
    route!(Post "/api/v1/backtests/{id}/cancel" "backtests.cancel" "End a back-test" backtests::cancel)
        .takes(json!(wire::CancelRun))
        .gives(200, json!(wire::backtests::BacktestView))
        .also(&[404, 409]),
    route!(Get "/api/v1/backtests/{id}/equity" "backtests.equity" "The equity curve" backtests::equity)
        .params(&[query("points", "Points of the curve, 2 to 5000; 500 by default.")])
        .gives(200, json!(wire::backtests::EquityView))
        .also(&[404, 422]),
    route!(Get "/api/v1/backtests/{id}/results" "backtests.results" "The files that a back-test made" backtests::results)
        .gives(200, json!(wire::Page<openapi::ArtifactShape>))
        .also(&[404]),
    route!(Get "/api/v1/backtests/{id}/results/{*name}" "backtests.result" "The bytes of a result" backtests::content)
        .gives(200, Shown::Bytes)
        .also(&[404, 503]),
    route!(Get "/api/v1/runs/{id}/why" "runs.why" "Why a run is as it is" doctor::why)
        .gives(200, json!(wire::Diagnosis))
        .also(&[404]),
    route!(Get "/api/v1/runs/{id}/audit" "runs.audit" "What was done to a run" stats::audit)
        .gives(200, json!(wire::Page<wire::OperationView>))
        .also(&[404]),
    route!(Get "/api/v1/stats" "stats" "Runs, success and durations by pack" stats::packs)
        .params(&[FILTER, LIMIT])
        .gives(200, json!(wire::stats::StatsReport))
        .also(&[422]),
    route!(Get "/api/v1/stats/latency" "stats.latency" "Durations by pack and stage" stats::latency)
        .params(&[FILTER, LIMIT])
        .gives(200, json!(wire::stats::StatsReport))
        .also(&[422]),
    route!(Get "/api/v1/stats/errors" "stats.errors" "Error rates by pack, code and origin" stats::errors)
        .params(&[FILTER, LIMIT])
        .gives(200, json!(wire::stats::StatsReport))
        .also(&[422]),
    route!(Get "/api/v1/stats/slow" "stats.slow" "The slowest runs, with where their time went" stats::slow)
        .params(&[FILTER, LIMIT])
        .gives(200, json!(wire::stats::StatsReport))
        .also(&[422]),
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
        .takes(json!(wire::packs::DeployPack))
        .gives(201, json!(wire::PackView))
        .also(&[200, 403, 409, 422, 503]),
    route!(Post "/api/v1/packs/validate" "packs.validate" "Check a pack file; changes nothing" packs::validate)
        .takes(json!(wire::packs::DeployPack))
        .gives(200, json!(wire::PackView))
        .also(&[403, 409, 422]),
    route!(Get "/api/v1/packs/{name}" "packs.show" "One pack with its versions and source" packs::show)
        .params(&[query("version", "Another version than the current one.")])
        .gives(200, json!(wire::PackView))
        .also(&[404]),
    route!(Post "/api/v1/packs/{name}/rollback" "packs.rollback" "Make an older version current" packs::rollback)
        .takes(json!(wire::packs::RollbackPack))
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
    route!(Get "/api/v1/workers" "workers.list" "The workers, and the processes that the server keeps" workers::list)
        .params(&[query("all", "`true`: also those that ended, the last first."), LIMIT])
        .gives(200, json!(wire_workers::Workers))
        .also(&[422, 503]),
    route!(Post "/api/v1/workers" "workers.join" "A worker process introduces itself" workers::join)
        .ends_with_caller()
        .takes(Shown::Object)
        .gives(200, Shown::Object)
        .also(&[503]),
    route!(Post "/api/v1/workers/{id}/sync" "workers.sync" "Heartbeat, writes and orders of a worker" workers::sync)
        .ends_with_caller()
        .takes(Shown::Object)
        .gives(200, Shown::Object)
        .also(&[404, 503]),
    route!(Post "/api/v1/workers/{id}/leave" "workers.leave" "A worker ends; what is leased to it is released" workers::leave)
        .ends_with_caller()
        .gives(200, Shown::Object)
        .also(&[404]),
    route!(Put "/api/v1/workers/{id}/blobs" "workers.blob" "Keep what a worker's job made" workers::blob)
        .ends_with_caller()
        .params(&[
            query("run", "The run whose job made it; the worker must hold it."),
            query("epoch", "The epoch under which the worker holds the run."),
        ])
        .takes(Shown::Bytes)
        .gives(200, json!(wire::jobs::Kept))
        .also(&[404, 409, 503]),
    route!(Get "/api/v1/workers/{id}" "workers.show" "One worker, by id, by seat, or `embedded`" workers::show)
        .gives(200, json!(wire_workers::WorkerView))
        .also(&[404, 503]),
    route!(Post "/api/v1/workers/scale" "workers.scale" "Set how many worker processes the server keeps" workers::scale)
        .takes(json!(wire_workers::ScaleWorkers))
        .gives(200, json!(wire_queues::Moved))
        .also(&[409, 422]),
    route!(Post "/api/v1/workers/{id}/limits" "workers.limits" "Set how many runs a worker executes at a time" workers::limits)
        .takes(json!(wire_workers::LimitWorker))
        .gives(200, json!(wire_queues::Moved))
        .also(&[404, 422]),
    route!(Post "/api/v1/workers/{id}/restart" "workers.restart" "End a worker process in order and start it anew" workers::restart)
        .takes(json!(wire_workers::RestartWorker))
        .gives(202, json!(wire_workers::SeatView))
        .also(&[404, 409, 422]),
    route!(Post "/api/v1/workers/{id}/drain" "workers.drain" "Give a worker nothing new" workers::drain)
        .gives(200, json!(wire_workers::WorkerView))
        .also(&[404]),
    route!(Post "/api/v1/workers/{id}/resume" "workers.resume" "Give a worker work again" workers::resume)
        .gives(200, json!(wire_workers::WorkerView))
        .also(&[404]),
    route!(Get "/api/v1/queues" "queues.list" "The queues: depth, age, rates, who serves them" queues::list)
        .gives(200, json!(wire_queues::Queues))
        .also(&[503]),
    route!(Get "/api/v1/queues/{name}" "queues.show" "One queue with its classes and keys" queues::show)
        .gives(200, json!(wire_queues::QueueView))
        .also(&[404, 503]),
    route!(Get "/api/v1/queues/{name}/peek" "queues.peek" "The runs that stand first, without taking them" queues::peek)
        .params(&[LIMIT])
        .gives(200, json!(wire::Page<wire::RunView>))
        .also(&[404, 422]),
    route!(Post "/api/v1/queues/{name}/drain" "queues.drain" "Give no run of a queue to workers" queues::drain)
        .gives(200, json!(wire_queues::Moved))
        .also(&[404, 409]),
    route!(Post "/api/v1/queues/{name}/resume" "queues.resume" "Give the runs of a queue to workers again" queues::resume)
        .gives(200, json!(wire_queues::Moved))
        .also(&[404, 409]),
    route!(Post "/api/v1/queues/{name}/weights" "queues.weights" "Set how many turns each class has" queues::weights)
        .takes(json!(wire_queues::SetWeights))
        .gives(200, json!(wire_queues::Moved))
        .also(&[404, 422]),
    route!(Post "/api/v1/queues/{name}/purge" "queues.purge" "Cancel what waits in a queue; `-` is every queue" queues::purge)
        .takes(json!(wire_queues::PurgeQueue))
        .gives(200, json!(wire_queues::Cleared))
        .also(&[404, 422]),
    route!(Post "/api/v1/queues/{name}/move-stuck" "queues.move_stuck" "Move what has waited too long to the dead letters; `-` is every queue" queues::move_stuck)
        .takes(json!(wire_queues::MoveStuck))
        .gives(200, json!(wire_queues::Cleared))
        .also(&[404, 422]),
    route!(Get "/api/v1/limits" "limits.list" "Limits that operators set" queues::limits)
        .gives(200, json!(wire_queues::LimitsSet)),
    route!(Post "/api/v1/limits" "limits.set" "Limit a pack, a key or a tool" queues::limit)
        .takes(json!(wire_queues::SetLimit))
        .gives(200, json!(wire_queues::Moved))
        .also(&[404, 422]),
    route!(Get "/api/v1/schedules" "schedules.list" "The schedules and what they have done" schedules::list)
        .gives(200, json!(wire::Page<wire_schedules::ScheduleView>)),
    route!(Post "/api/v1/schedules" "schedules.create" "Start runs of a pack at certain times" schedules::create)
        .takes(json!(wire_schedules::CreateSchedule))
        .gives(201, json!(wire_schedules::ScheduleView))
        .also(&[404, 409, 422, 429]),
    route!(Get "/api/v1/schedules/{name}" "schedules.show" "One schedule with its next firings" schedules::show)
        .params(&[query("next", "How many of the next firings to tell, 3 by default, up to 100.")])
        .gives(200, json!(wire_schedules::ScheduleView))
        .also(&[404, 422]),
    route!(Delete "/api/v1/schedules/{name}" "schedules.delete" "Forget a schedule; its runs go on" schedules::delete)
        .gives(200, json!(wire_schedules::ScheduleView))
        .also(&[404]),
    route!(Post "/api/v1/schedules/{name}/pause" "schedules.pause" "Start nothing by a schedule" schedules::pause)
        .gives(200, json!(wire_schedules::ScheduleView))
        .also(&[404, 409]),
    route!(Post "/api/v1/schedules/{name}/resume" "schedules.resume" "Start runs by a schedule again" schedules::resume)
        .gives(200, json!(wire_schedules::ScheduleView))
        .also(&[404, 409]),
    route!(Post "/api/v1/schedules/{name}/trigger" "schedules.trigger" "Start a schedule's run now" schedules::trigger)
        .gives(202, json!(wire::RunView))
        .also(&[404, 409, 422]),
    route!(Get "/api/v1/audit" "audit.list" "Rows of the audit trail with their places in the chain" audit::list)
        .params(&[
            query("filter", "`operation:killswitch.on actor:ada target:all since:1h until:10m some text`."),
            query("order", "`newest` first, the default, or `oldest`, which takes no filter."),
            LIMIT,
            AFTER,
        ])
        .gives(200, json!(wire::Page<wire::audit::AuditLine>))
        .also(&[422]),
    route!(Get "/api/v1/audit/verify" "audit.verify" "Whether the chain of the audit trail holds" audit::verify)
        .gives(200, json!(wire::audit::AuditCheck)),
    route!(Post "/api/v1/audit/prune" "audit.prune" "Cut rows that are older than a year, or say how many" audit::prune)
        .takes(json!(wire::audit::PruneAudit))
        .gives(200, json!(wire::audit::AuditCut))
        .also(&[409]),
    route!(Get "/api/v1/killswitch" "killswitch.list" "The kill switches that are on, and what comes back" killswitch::list)
        .gives(200, json!(wire::killswitch::Switches)),
    route!(Post "/api/v1/killswitch/on" "killswitch.on" "Start nothing of a target, and end what runs" killswitch::on)
        .takes(json!(wire::killswitch::Throw))
        .gives(200, json!(wire::killswitch::Thrown))
        .also(&[404, 409, 422]),
    route!(Post "/api/v1/killswitch/off" "killswitch.off" "Let a target go again" killswitch::off)
        .takes(json!(wire::killswitch::TakeOff))
        .gives(200, json!(wire::killswitch::Thrown))
        .also(&[409, 422]),
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
    route!(Get "/api/v1/artifacts" "artifacts.list" "Artifacts across runs, those of the newest run first" artifacts::list)
        .params(&[ARTIFACTS, query("kind", "`input`: what was put; otherwise what runs made."), query("verify", "`true`: read each content and say what is wrong with it."), LIMIT, AFTER])
        .gives(200, json!(wire::Page<wire::artifacts::ArtifactView>)).also(&[422]),
    route!(Put "/api/v1/artifacts" "artifacts.put" "Keep a content that inputs of runs may name" artifacts::put)
        .params(&[query("name", "Its name."), query("media_type", "Such as text/csv.")]).takes(Shown::Bytes)
        .gives(200, json!(wire::artifacts::PutView)).also(&[422, 429, 503]),
    route!(Get "/api/v1/artifacts/{hash}" "artifacts.get" "The bytes of a content, verified" artifacts::get)
        .gives(200, Shown::Bytes).also(&[404, 503]),
    route!(Post "/api/v1/artifacts/failover" "artifacts.failover" "Let new artifacts go to the other store" artifacts::failover)
        .takes(json!(wire::artifacts::FailoverRequest)).gives(200, json!(wire::artifacts::FailoverView)).also(&[404, 409, 422, 503]),
    route!(Post "/api/v1/artifacts/retry" "artifacts.retry" "Store at once what could not be stored" artifacts::retry)
        .takes(json!(wire::artifacts::RetryArtifacts)).gives(200, json!(wire::artifacts::RetriedView)).also(&[422]),
    route!(Get "/api/v1/notify" "notify.channels" "The channels of people that are stored" notices::channels)
        .gives(200, json!(wire::Page<wire::notices::ChannelView>)),
    route!(Post "/api/v1/notify" "notify.send" "Send a message to a channel of people" notices::send)
        .takes(json!(wire::notices::NotifyRequest)).gives(200, json!(wire::notices::NotifiedView)).also(&[404, 422, 502]),
    route!(Post "/api/v1/prune" "prune" "Forget what is past its retention, or tell what would go" artifacts::prune)
        .takes(json!(wire::artifacts::PruneRequest)).gives(200, json!(wire::artifacts::PruneView)).also(&[422, 503]),
    route!(Get "/health/artifacts" "health.artifacts" "The artifact stores, probed now: written, read, removed" artifacts::health)
        .open().gives(200, json!(wire::Health)).also(&[503]),
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
