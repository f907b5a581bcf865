//! Metrics: declared once here, counted in atomic cells, rendered by whoever serves them.
//!
//! The registry is closed, so a metric cannot be misspelt and every one has a help text and a unit.
//! Read next: [`crate::operation`].

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// A metric's declaration.
#[derive(Clone, Copy, Debug)]
pub struct Declared {
    pub name: &'static str,
    pub kind: Kind,
    pub help: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
}

macro_rules! meters {
    ($($field:ident: $cell:ident $kind:ident $name:literal $help:literal;)*) => {
        /// All cells of one process.
        #[derive(Debug, Default)]
        pub struct Meters { $(pub $field: $cell,)* }

        impl Meters {
            /// Every declared metric with its present value.
            pub fn read(&self) -> Vec<(Declared, i64)> {
                vec![$((Declared { name: $name, kind: Kind::$kind, help: $help }, self.$field.get()),)*]
            }
        }
    };
}

/// A count that only rises.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }
    pub fn get(&self) -> i64 {
        i64::try_from(self.0.load(Ordering::Relaxed)).unwrap_or(i64::MAX)
    }
}

/// A level that rises and falls.
#[derive(Debug, Default)]
pub struct Level(AtomicI64);

impl Level {
    pub fn set(&self, n: i64) {
        self.0.store(n, Ordering::Relaxed);
    }
    pub fn add(&self, n: i64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

meters! {
    runs_accepted: Count Counter "hale_runs_accepted_total" "Runs accepted: durable and answered with 202.";
    runs_completed: Count Counter "hale_runs_completed_total" "Runs that ended COMPLETED.";
    runs_failed: Count Counter "hale_runs_failed_total" "Runs that ended FAILED.";
    runs_timeout: Count Counter "hale_runs_timeout_total" "Runs that ended TIMEOUT.";
    runs_cancelled: Count Counter "hale_runs_cancelled_total" "Runs that ended CANCELLED.";
    runs_pending: Level Gauge "hale_runs_pending" "Runs that wait for a worker.";
    runs_active: Level Gauge "hale_runs_active" "Runs that are leased or waiting in RUNNING.";
    steps_stored: Count Counter "hale_steps_total" "Steps whose result is in the journal.";
    writes_fenced: Count Counter "hale_writes_fenced_total" "Writes refused because their lease was stale (E009).";
    leases_expired: Count Counter "hale_leases_expired_total" "Leases that ran out or were fenced.";
    worker_restarts: Count Counter "hale_worker_restarts_total" "Worker processes started again after an end that nobody ordered.";
    pack_looks: Count Counter "hale_pack_looks_total" "Looks into the watched folder of packs.";
    loop_turns: Count Counter "hale_loop_turns_total" "Turns of the engine's loop: inputs, commits and moments that were due.";
    store_commits: Count Counter "hale_store_commits_total" "Commits of the store.";
    store_ops: Count Counter "hale_store_ops_total" "Operations in those commits.";
    http_requests: Count Counter "hale_http_requests_total" "HTTP requests answered.";
    http_errors: Count Counter "hale_http_errors_total" "HTTP requests answered with 5xx.";
    http_connections: Level Gauge "hale_http_connections" "Open HTTP connections.";
    http_deadline_closed: Count Counter "hale_http_deadline_closed_total" "Connections closed because a header, body or reader stalled.";
    tasks_routed: Count Counter "hale_tasks_routed_total" "Tasks for which an arm was chosen.";
    tasks_relaxed: Count Counter "hale_tasks_relaxed_total" "Tasks that were routed after optional constraints were given up.";
    tasks_defaulted: Count Counter "hale_tasks_defaulted_total" "Tasks on which no arm scored, so that the default arm took them.";
    routing_failures: Count Counter "hale_routing_failures_total" "Tasks that no arm could take.";
    arm_probes_failed: Count Counter "hale_arm_probes_failed_total" "Probes of arms that failed.";
}
