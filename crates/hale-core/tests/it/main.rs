//! Tests of the centre at its border: values in, decisions out. Nothing here touches a clock, a disk or a socket.
//!
//! Read next: `run_properties.rs`, which throws random histories at the run table.

mod artifact_filters;
mod arms;
mod codes;
mod crons;
mod faults;
mod guard_quality;
mod guard_splits;
mod guards;
mod filters;
mod ids;
mod journal_samples;
mod kills;
mod limit_clock;
mod limiters;
mod log_lines;
mod offers;
mod operations;
mod kill_causes;
mod killswitches;
mod pack_errors;
mod pack_jobs;
mod pack_imports;
mod pack_inputs;
mod packs;
mod profiles;
mod retries;
mod routing;
mod run_properties;
mod run_table;
mod runs;
mod supervise;
mod times;
mod turns;
mod webs;
