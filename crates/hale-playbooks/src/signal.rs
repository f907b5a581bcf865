//! The closed catalogue of signals: what evidence may hold and what expressions may ask.
//!
//! Guarantees: every signal has a type with its unit, a scope and a maximum age; a name that is not here is an error
//! when a playbook is loaded and when evidence is built.
//! Leaves to others: reading them (`hale-engine`), which must fill each as its doc line says.
//! Read next: [`crate::evidence`].

use crate::value::Type;
use hale_core::nearest::nearest;
use hale_core::time::Millis;

/// A typed, named reading that hale knows how to take.
#[derive(Debug, PartialEq, Eq)]
pub struct Signal {
    pub name: &'static str,
    pub ty: Type,
    pub scope: Scope,
    /// Older readings are unknown; `None` for facts that do not age, such as how long a finished run took.
    pub age_max: Option<Millis>,
    pub doc: &'static str,
}

/// Whether a signal is about the whole system or about one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    System,
    Run,
}

/// The signal with this name.
pub fn find(name: &str) -> Option<&'static Signal> {
    SIGNALS.binary_search_by(|signal| signal.name.cmp(name)).ok().map(|at| &SIGNALS[at])
}

/// The signal that was probably meant.
pub fn suggest(name: &str) -> Option<&'static str> {
    nearest(name, SIGNALS.iter().map(|signal| signal.name))
}

/// Probes run every few seconds; three missed rounds make their readings worthless.
const FRESH: Option<Millis> = Some(Millis::seconds(30));
/// What retention could free is counted once a minute, since the count walks the store.
const COUNTED: Option<Millis> = Some(Millis::seconds(120));
/// A fact about the past.
const FACT: Option<Millis> = None;

const fn system(name: &'static str, ty: Type, age_max: Option<Millis>, doc: &'static str) -> Signal {
    Signal { name, ty, scope: Scope::System, age_max, doc }
}

const fn run(name: &'static str, ty: Type, doc: &'static str) -> Signal {
    Signal { name, ty, scope: Scope::Run, age_max: FACT, doc }
}

/// All signals, in the order of their names.
#[rustfmt::skip]
pub static SIGNALS: &[Signal] = &[
    system("approvals.oldest_age", Type::Duration, FRESH, "How long the first of the runs that wait for a person has waited; zero if none does"),
    system("approvals.stalled", Type::Int, FRESH, "Runs that have waited for a person's word for more than an hour"),
    system("approvals.waiting", Type::Int, FRESH, "Runs that wait for a person's word: on a deed, or on a step that was in flight at a crash"),
    system("disk.free", Type::Bytes, FRESH, "Bytes that a process without privileges can still write where the data folder lies, by statvfs"),
    system("disk.free_ratio", Type::Ratio, FRESH, "`disk.free` as a share of `disk.total`"),
    system("disk.inodes_free_ratio", Type::Ratio, FRESH, "Free inodes as a share of all, by statvfs; 100 % where the file system has no such limit"),
    system("disk.path", Type::Text, FACT, "The data folder"),
    system("disk.total", Type::Bytes, FRESH, "Size of the file system that holds the data folder, by statvfs"),
    system("jobs.walls_live", Type::Int, FACT, "Walls around jobs that stand on the server's machine, as a probe at its start found them"),
    system("jobs.walls_missing", Type::Text, FACT, "Walls that this machine does not have, by their names; empty if all stand"),
    system("llm.calls_5m", Type::Int, FRESH, "Model calls that ended in the last 5 minutes, of the affected model"),
    system("llm.error_last_age", Type::Duration, FRESH, "Time since the affected model's last error"),
    system("llm.errors_5m", Type::Int, FRESH, "Model calls that ended in an error in the last 5 minutes, of the affected model"),
    system("llm.fallback_candidate", Type::Text, FRESH, "A configured model of another route that could serve as fallback; empty if there is none"),
    system("llm.fallback_configured", Type::Bool, FRESH, "Whether the affected route has a fallback that is another model than the affected one"),
    system("llm.fallback_ok_5m", Type::Int, FRESH, "Calls that a fallback answered in place of the affected model since its last error, at most 5 minutes back"),
    system("llm.key_refused_5m", Type::Int, FRESH, "Model calls that the provider refused with 401 or 403 in the last 5 minutes"),
    system("llm.key_refused_last_age", Type::Duration, FRESH, "Time since the provider last refused the key"),
    system("llm.key_source", Type::Text, FACT, "Where the key of the affected provider comes from: env, file, store or none"),
    system("llm.model", Type::Text, FRESH, "The affected model: the one with the most errors; for a run, the model of its last failed call"),
    system("llm.ok_since_error", Type::Int, FRESH, "Calls that succeeded on the affected model since its last error of any kind"),
    system("llm.ok_since_key_refused", Type::Int, FRESH, "Calls that succeeded on the affected model since its key was last refused"),
    system("llm.ok_since_rate_limited", Type::Int, FRESH, "Calls that succeeded on the affected model since its last 429"),
    system("llm.p95_latency", Type::Duration, FRESH, "95th percentile of the affected model's call times in the last 5 minutes"),
    system("llm.provider", Type::Text, FRESH, "The provider of the affected model"),
    system("llm.rate_limited_5m", Type::Int, FRESH, "Model calls that the provider answered with 429 in the last 5 minutes"),
    system("llm.rate_limited_last_age", Type::Duration, FRESH, "Time since the last 429"),
    system("llm.slow_share", Type::Ratio, FRESH, "Share of the affected model's calls of the last 5 minutes that took more than 10 s"),
    system("packs.files", Type::Int, FRESH, "Pack files of the watched folder: regular files under one name, no links; zero where no folder is watched"),
    system("packs.folder", Type::Text, FACT, "The watched folder of packs; empty if there is none"),
    system("packs.open", Type::Int, FRESH, "Of them, files that others than the server's user, root and the folder's owner may change, by owner and mode"),
    system("packs.open_first", Type::Text, FRESH, "The first of those by name, with mode and owner; empty if there is none"),
    system("packs.open_mendable", Type::Int, FRESH, "Of those, files whose owner and mode the server's user may set"),
    system("packs.unreadable", Type::Int, FRESH, "Of `packs.files`, those that the server's user may not read by owner and mode; root is judged like any user"),
    system("packs.unreadable_first", Type::Text, FRESH, "The first of those by name, with mode and owner; empty if there is none"),
    system("packs.unreadable_mendable", Type::Int, FRESH, "Of those, files whose owner and mode the server's user may set"),
    system("queues.drained", Type::Int, FRESH, "Queues with runs that wait and that an operator has drained"),
    system("queues.unserved", Type::Int, FRESH, "Queues with runs that wait and that no live worker takes from"),
    run("run.age", Type::Duration, "Time from the run's acceptance to its end, or to now while it lives"),
    run("run.attempts", Type::Int, "Times the run's last step was tried"),
    run("run.cancelled_by", Type::Text, "Who cancelled the run; empty if nobody did"),
    run("run.error_cause", Type::Text, "Cause id of the run's last recorded failure, also while it waits for its next try; empty if there is none"),
    run("run.error_code", Type::Text, "Code of that failure, E001 to E017; empty if there is none"),
    run("run.error_origin", Type::Text, "Component where that failure began: provider:NAME, tool:NAME, worker, store; empty if there is none"),
    run("run.in_state_for", Type::Duration, "Time since the run entered its state"),
    run("run.limit", Type::Duration, "The time limit that the run was given"),
    run("run.model", Type::Text, "The model that the run's pack asks for"),
    run("run.model_share", Type::Ratio, "`run.time_model` as a share of the run's time since it left the queue"),
    run("run.pack", Type::Text, "Name of the run's pack"),
    run("run.pack_limit", Type::Duration, "The time limit that a new run of the same pack would get now"),
    run("run.pack_turns_limit", Type::Int, "The turn limit that a new run of the same pack would get now"),
    run("run.repeated_call_max", Type::Int, "How often the run made its most repeated tool call: same tool, same arguments"),
    run("run.repeated_call_name", Type::Text, "The tool of that call; empty if the run called none"),
    run("run.retry_after", Type::Duration, "What the provider last told the run to wait; zero if it told nothing"),
    run("run.slowest_model_call", Type::Duration, "The longest model call, the one in flight at the end included"),
    run("run.state", Type::Text, "PENDING, INITIALIZING, RUNNING, COMPLETING, COMPLETED, FAILED, TIMEOUT or CANCELLED"),
    run("run.time_model", Type::Duration, "Time in model calls, the one in flight at the end included"),
    run("run.time_queue", Type::Duration, "Time in the queue"),
    run("run.time_tools", Type::Duration, "Time in tool calls, the one in flight at the end included"),
    run("run.tool_calls", Type::Int, "Tool calls that the run made"),
    run("run.tool_share", Type::Ratio, "`run.time_tools` as a share of the run's time since it left the queue"),
    run("run.turns", Type::Int, "Turns of the model that the run began"),
    run("run.turns_limit", Type::Int, "The turn limit that the run was given"),
    run("run.waiting_on", Type::Text, "What the run waits for now: provider:NAME, tool:NAME, worker, timer, approval, run:ID; empty if nothing"),
    system("runs.active", Type::Int, FRESH, "Runs that hold a lease"),
    system("runs.failed_5m", Type::Int, FRESH, "Runs that ended FAILED in the last 5 minutes"),
    system("runs.oldest_pending_age", Type::Duration, FRESH, "How long the oldest waiting run has waited; zero if none waits"),
    system("runs.pending", Type::Int, FRESH, "Runs that wait for a worker"),
    system("runs.timeout_5m", Type::Int, FRESH, "Runs that ended TIMEOUT in the last 5 minutes"),
    system("server.up", Type::Bool, FRESH, "Whether the server answered its health probe"),
    system("store.ballast_released", Type::Bool, FRESH, "Whether the reserve file was given up to keep state changes possible"),
    system("store.full", Type::Bool, FRESH, "Whether the store's last attempt to write data was refused for lack of space"),
    system("store.reserve", Type::Bytes, FRESH, "Room that giving up the reserve file made; zero while it is in place"),
    system("store.retention_freeable", Type::Bytes, COUNTED, "Bytes of runs, artifacts and logs that are past their retention"),
    system("store.write_ok_last_age", Type::Duration, FRESH, "Time since the store last committed"),
    system("workers.breakers_open", Type::Int, FRESH, "Seats in which no worker process is started any more: five ended there in five minutes"),
    system("workers.busy", Type::Int, FRESH, "Slots of live workers that execute a run"),
    system("workers.draining", Type::Int, FRESH, "Workers that end what they have and take no new run"),
    system("workers.ends_5m", Type::Int, FRESH, "Ends of worker processes in the last five minutes that nobody ordered"),
    system("workers.last_end", Type::Text, FRESH, "The last end of a worker process and what it means; empty if none ended since the server began"),
    system("workers.live", Type::Int, FRESH, "Workers with a fresh heartbeat that take runs; a draining one is not counted"),
    system("workers.processes_live", Type::Int, FRESH, "Seats with a worker process in them"),
    system("workers.processes_wanted", Type::Int, FRESH, "Worker processes that the server is told to keep"),
    system("workers.slots", Type::Int, FRESH, "Slots of the live workers"),
];
