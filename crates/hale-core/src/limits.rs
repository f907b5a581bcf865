//! Every bound in one file, each with its reason.
//!
//! A bound that an operator may move has the same name in the configuration; the value here is its default.
//! Read next: [`crate::code`].

use crate::time::Millis;

/// A run's whole time unless its pack says otherwise (`AGENT_TIMEOUT`).
pub const RUN_TIMEOUT: Millis = Millis::seconds(60);
/// The longest limit a pack may ask for: a day, so that a lost zero cannot hold a slot for a year.
pub const RUN_TIMEOUT_MAX: Millis = Millis::seconds(86_400);
/// A lease without renewal; short, so that the work of a dead worker is taken over within seconds.
pub const LEASE: Millis = Millis::seconds(15);
/// A third of the lease: one lost renewal must not lose the run.
pub const LEASE_RENEW: Millis = Millis::seconds(5);
/// The bound on time without progress, apart from the lease (`QUEUE_VISIBILITY_TIMEOUT`).
pub const VISIBILITY: Millis = Millis::seconds(300);
/// Inputs that one turn of the loop decides; more would delay the first answer of the batch.
pub const LOOP_BATCH: usize = 512;
/// The inbox of the loop; full means that callers wait, and are refused at the door after `INBOX_WAIT`.
pub const INBOX: usize = 4096;
/// How long a caller waits for a place in the inbox before 503.
pub const INBOX_WAIT: Millis = Millis::seconds(5);
/// Runs that one worker executes at a time (`WORKER_CONCURRENCY`).
pub const WORKER_CONCURRENCY: u32 = 5;
/// The most slots one worker may have; beyond it the two-digit-core machine is the bottleneck anyway.
pub const WORKER_CONCURRENCY_MAX: u32 = 1024;
/// Worker processes that one server may keep; each is a process of some ten megabytes, and more belong on machines of
/// their own.
pub const WORKER_PROCESSES_MAX: u32 = 64;
/// The first wait before an ended worker process is started again; it doubles from end to end.
pub const RESTART_MIN: Millis = Millis::seconds(1);
/// The longest wait before a restart: a cause that went away is noticed within a minute.
pub const RESTART_MAX: Millis = Millis::seconds(60);
/// Ends within [`BREAKER_WINDOW`] that open the breaker of a seat: by then it is a loop and not bad luck.
pub const BREAKER_ENDS: usize = 5;
/// The span that the breaker looks at; a process that lived longer begins the waits anew.
pub const BREAKER_WINDOW: Millis = Millis::seconds(300);
/// Ended workers that are remembered: weeks of deploys.
pub const ENDED_WORKERS_KEPT: usize = 1000;
/// Between two notes of when workers were last heard of; all of them go into one commit. Leases do not rest on it.
pub const SEEN_STORED: Millis = LEASE;
/// The longest time between two heartbeats of a worker process; two that are lost leave the lease standing.
pub const BEAT_MAX: Millis = Millis::seconds(4);
/// The shortest one: beats of many workers spread over the difference.
pub const BEAT_MIN: Millis = Millis::seconds(3);
/// Between two heartbeats of a worker process that has nothing in hand, so nothing to lose: orders come at once all the
/// same, over the poll that it keeps open.
pub const IDLE_BEAT_MAX: Millis = Millis::seconds(30);
/// The shortest such time.
pub const IDLE_BEAT_MIN: Millis = Millis::seconds(25);
/// How long a worker with nothing in hand is believed alive without a word.
pub const IDLE_LEASE: Millis = Millis::seconds(45);
/// Model calls that a worker process tells in one request; the rest goes with the next, some seconds later.
pub const WORKER_CALLS: usize = 256;
/// Bytes of a name (model, provider, cause) in what a worker tells of its calls: longer ones are not kept.
pub const CALL_NAME_BYTES: usize = 256;
/// Retries after the first try (`MAX_RETRIES`).
pub const RETRIES_MAX: u32 = 3;
/// Times that a run may be leased again after its worker died; then it fails as a poison run.
pub const LEASES_MAX: u32 = 5;
/// Turns of model and tools in one run unless its pack says otherwise.
pub const TURNS: u32 = 12;
/// The most turns a pack may ask for.
pub const TURNS_MAX: u32 = 1000;
/// Tokens one run may use unless its pack says otherwise.
pub const TOKENS: u64 = 200_000;
/// Steps in a run's journal; a loop that gets here is stopped, since replay reads them all.
pub const STEPS_MAX: u32 = 10_000;
/// Input of one run; larger input belongs into an artifact.
pub const INPUT_BYTES: usize = 1 << 20;
/// Result of one step kept inline in the journal; larger ones become artifacts.
pub const STEP_BYTES: usize = 64 << 10;
/// One artifact.
pub const ARTIFACT_BYTES: u64 = 256 << 20;
/// Runs that may wait; a longer queue is a fault to be shown, not memory to be used.
pub const QUEUE_DEPTH: u64 = 10_000_000;
/// The farthest moment that a run may be delayed to: a year and a day; later is a slip of the keyboard.
pub const DUE_MAX: Millis = Millis::seconds(366 * 86_400);
/// Delayed runs that join their lines in one commit: a commit of its usual size, and the next follows at once.
pub const RIPEN_BATCH: u32 = 512;
/// How often an empty queue is compared with the store: the net below the counters, one cheap read.
pub const QUEUE_CHECK: Millis = Millis::seconds(10);
/// Before a store that refused a batch is handed the next one: long for a loop, short for whoever waits for an answer.
pub const STORE_REST: Millis = Millis(100);
/// Schedules of one server: each is looked at when one of them fires.
pub const SCHEDULES_MAX: usize = 1000;
/// Missed firings that a schedule may make up after a downtime; more would be a flood.
pub const CATCH_UP_MAX: u32 = 100;
/// A firing that comes later than this was missed.
pub const FIRING_LATE: Millis = Millis::seconds(60);
/// Idempotency keys of firings are remembered this long: a server that was down for weeks fires nothing twice.
pub const FIRINGS_KEPT: Millis = Millis::seconds(90 * 86_400);
/// A weight of a class; more than this is "always first", which starves.
pub const WEIGHT_MAX: u32 = 1000;
/// Runs that one purge or clean-up takes in one request; more is asked for again.
pub const CLEAR_MAX: usize = 10_000;
/// Queues that one worker may name.
pub const WORKER_QUEUES: usize = 64;
/// Calls of one tool at a time that may be set; a worker has no more slots.
pub const TOOL_CONCURRENCY_MAX: u32 = 1024;
/// Bytes of a pack file; larger is a mistake or an attack.
pub const PACK_BYTES: usize = 1 << 20;
/// Versions of one pack that are kept for roll-back: months of daily deploys. An older one stays while a run of it has
/// not ended.
pub const PACK_VERSIONS_KEPT: usize = 100;
/// Normal time in PENDING; later the run is late (AO-12, CONF-09).
pub const PENDING_NORMAL: Millis = Millis::seconds(30);
/// Alert in PENDING (CONF-09).
pub const PENDING_ALERT: Millis = Millis::seconds(60);
/// Normal time in INITIALIZING (AO-13).
pub const INITIALIZING_NORMAL: Millis = Millis::seconds(60);
/// Normal time in COMPLETING (AO-15).
pub const COMPLETING_NORMAL: Millis = Millis::seconds(30);
/// Cancellation reaches a running step within this.
pub const CANCEL_WITHIN: Millis = Millis::seconds(1);
/// Drain at shutdown: work in progress gets this long before it is left to the next process.
pub const DRAIN: Millis = Millis::seconds(10);
/// Idempotency keys are remembered this long.
pub const IDEMPOTENCY_KEPT: Millis = Millis::seconds(86_400);
/// Warnings before the time limit, as parts of 60: `50s of 60s` and `55s of 60s`.
pub const TIME_WARNINGS: [u64; 2] = [50, 55];
/// The file that is given up when the disk is full, so that states, dead letters and audit can still be written.
pub const BALLAST_BYTES: u64 = 8 << 20;
/// Free space below which new work is refused.
pub const DISK_FLOOR_BYTES: u64 = 4 << 20;
/// Gathering evidence for a diagnosis; the whole triage is promised within 2 s (AX-02), and judging and the way to the
/// caller need some of it.
pub const TRIAGE: Millis = Millis(1500);
/// Runs that one bulk operation acts on; it says when there would have been more, and is asked for again.
pub const BULK_ITEMS: u64 = 100_000;
/// Runs of a bulk operation that are acted on at a time: enough to share commits, few enough to pause at once.
pub const BULK_BATCH: u32 = 64;
/// Runs that a preview counts before it says "at least".
pub const PREVIEW_RUNS: u64 = 100_000;
/// Ids that one bulk operation takes instead of a filter.
pub const BULK_IDS: usize = 1000;
/// Workers that a pack's runs may end in a row; then the pack is quarantined.
pub const QUARANTINE_KILLS: usize = 3;
/// Runs that statistics are made of, the newest that fit: more would keep a reader of the store for a second.
pub const STATS_RUNS: u32 = 10_000;
/// Journals that statistics of steps read.
pub const STATS_JOURNALS: u32 = 500;
/// Rows of the audit trail are kept at least this long.
pub const AUDIT_KEPT: Millis = Millis::seconds(365 * 86_400);
/// Runs in one page of a list.
pub const PAGE: u32 = 100;
/// The largest page a caller may ask for.
pub const PAGE_MAX: u32 = 1000;
/// Values in the front matter of a pack; real ones have fewer than a hundred.
pub const PACK_NODES: usize = 10_000;
/// Nesting in the front matter of a pack; the deepest of ours is four.
pub const PACK_DEPTH: usize = 32;
/// Letters in the name of a pack, a step, a field or a queue: it is a key of tables and a word in log lines.
pub const NAME_CHARS: usize = 64;
/// Named steps of a pack; each is at least one model call.
pub const PACK_STEPS_MAX: usize = 100;
/// Retries that a pack may ask for; more would hammer a service that is down.
pub const PACK_RETRIES_MAX: u32 = 10;
/// Processes and threads that a job may ask for; more would take those of its neighbours.
pub const JOB_PROCESSES_MAX: u64 = 4096;
/// Tokens that a pack may ask for in one run; a lost zero must not cost a fortune.
pub const PACK_TOKENS_MAX: u64 = 100_000_000;
/// Bytes of an answer from the web unless a call asks for more: with its envelope what a step keeps inline in the journal,
/// and about 14,000 tokens of a model's window.
pub const WEB_BYTES: usize = STEP_BYTES - (8 << 10);
/// The most bytes of an answer from the web that are read: as for arms, since it becomes a step in the journal.
pub const WEB_BYTES_MAX: usize = 1 << 20;
/// Bytes of an address that is called: what common servers take. A longer one carries data out.
pub const WEB_URL_BYTES: usize = 8 << 10;
/// Redirects that one call follows; honest ones are at most three: to https, to the canonical host, to the language.
pub const WEB_REDIRECTS: usize = 5;
/// One call to the web with all its redirects; never longer than what is left of the run's own limit.
pub const WEB_TIMEOUT: Millis = Millis::seconds(30);
/// Generations of children below a run: deeper is a circle of packs that call each other, not a division of work.
pub const CHILD_DEPTH_MAX: u32 = 8;
/// Children of one run, one after another: each is a run with steps of its own, and a loop must end.
pub const CHILDREN_MAX: u32 = 100;
/// How long a question to a person stands unless the pack says otherwise: one day, so that every shift saw it.
pub const APPROVAL_TIMEOUT: Millis = Millis::seconds(86_400);
/// The longest a question may stand: after a month nobody knows what it was about.
pub const APPROVAL_TIMEOUT_MAX: Millis = Millis::seconds(30 * 86_400);
/// A question that waits longer is told as a warning: an hour is longer than a person who looks needs.
pub const APPROVAL_STALL: Millis = Millis::seconds(3600);
/// Letters of the one line that a person is asked; the exact effect stands beside it whole.
pub const QUESTION_CHARS: usize = 200;
/// Letters of a reason that a person gives; it goes into journal, audit and the model's next turn.
pub const REASON_CHARS: usize = 1000;
/// Characters of a message to people: what the chat services take.
pub const NOTICE_CHARS: usize = 4_000;
/// Times that a message is tried.
pub const NOTICE_TRIES: u32 = 3;
/// All tries of a message together.
pub const NOTICE_WITHIN: Millis = Millis::seconds(20);
