//! The integration tests of the doors: one binary.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails at once")]

mod http_listen;
mod http_house;
mod http_access;
mod http_api;
mod http_waits;
mod cli_waits;
mod cli_workers;
mod http_tasks;
mod cli_world;
mod cli_config;
mod cli_parse;
mod cli_queues;
mod cli_render;
mod cli_client;
mod cli_logs;
mod cli_logs_sink;
mod cli_transcript;
mod cli_exit;
mod cli_guard;
mod cli_dlq;
mod cli_killswitch;
mod cli_audit;
mod cli_contexts;
mod surfaces;
mod cli_tasks;
mod world;
mod proof_kill;
mod proof_bulk;
mod proof_sigstop;
mod proof_trouble;
mod proof_disk_full;
mod proof_evidence;
mod cli_hints;
mod cli_notify;
mod cli_operate;
mod proof_leave;
mod proof_workers;
mod http_queues;
mod http_artifacts;
mod cli_artifacts;
mod proof_artifacts;
mod proof_jobs;
mod proof_backtests;
mod proc_agentos;
