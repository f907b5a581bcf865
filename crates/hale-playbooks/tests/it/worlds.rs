//! Hand-made states of the world, each written as a table of readings.

use hale_core::time::{Millis, Timestamp};
use hale_playbooks::evidence::{Evidence, Subject};
use hale_playbooks::signal;
use hale_playbooks::value::{Type, Value};

pub const NOW: Timestamp = Timestamp(1_793_000_000_000);

/// One state of the world and the cause that must be named in it, if any.
pub struct World {
    pub name: &'static str,
    pub subject: Subject,
    pub readings: String,
    pub expect: Option<&'static str>,
}

impl World {
    pub fn evidence(&self) -> Evidence {
        evidence(self.subject.clone(), &self.readings)
    }
}

/// Reads `name: value` lines; the value is read as its signal's type demands.
pub fn evidence(subject: Subject, readings: &str) -> Evidence {
    let mut builder = Evidence::builder(subject, NOW);
    for line in readings.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (name, text) = line.split_once(": ").unwrap_or_else(|| panic!("`{line}` is no reading"));
        builder = builder.known(name, value(name, text), "test");
    }
    builder.build().unwrap()
}

fn value(name: &str, text: &str) -> Value {
    let ty = signal::find(name).unwrap_or_else(|| panic!("no signal {name}")).ty;
    match ty {
        Type::Bool => Value::Bool(text.parse().unwrap()),
        Type::Int => Value::Int(text.parse().unwrap()),
        Type::Num | Type::Ratio => Value::Num(text.parse().unwrap()),
        Type::Text => Value::Text(text.trim_matches('"').to_owned()),
        Type::Duration => Value::Duration(text.parse::<Millis>().unwrap()),
        Type::Bytes => {
            let (count, unit) = text.split_once(' ').unwrap();
            let factor = match unit {
                "B" => 1,
                "KiB" => 1 << 10,
                "MiB" => 1 << 20,
                "GiB" => 1 << 30,
                _ => panic!("unit {unit}"),
            };
            Value::Bytes(count.parse::<u64>().unwrap() * factor)
        }
    }
}

pub fn run() -> Subject {
    Subject::try_from("run:run_01JD4ABCDEFGHJKMNPQRSTVWXY".to_owned()).unwrap()
}

/// A table where later lines replace earlier ones of the same name.
fn with(base: &str, changes: &str) -> String {
    let name = |line: &str| line.split_once(": ").map(|(name, _)| name.trim().to_owned());
    let changed: Vec<_> = changes.lines().filter_map(name).collect();
    let kept = base.lines().filter(|line| name(line).is_none_or(|name| !changed.contains(&name)));
    kept.chain(changes.lines()).collect::<Vec<_>>().join("\n")
}

/// A system where all is well, with some traffic.
pub const HEALTHY: &str = "
    server.up: true
    workers.live: 2
    workers.slots: 8
    workers.busy: 3
    workers.draining: 0
    runs.pending: 1
    runs.oldest_pending_age: 20ms
    runs.active: 3
    runs.timeout_5m: 0
    runs.failed_5m: 0
    llm.calls_5m: 40
    llm.errors_5m: 0
    llm.error_last_age: 1h
    llm.ok_since_error: 900
    llm.rate_limited_5m: 0
    llm.rate_limited_last_age: 2h
    llm.ok_since_rate_limited: 1800
    llm.key_refused_5m: 0
    llm.key_refused_last_age: 3d
    llm.ok_since_key_refused: 9000
    llm.model: \"sim/researcher\"
    llm.provider: \"sim\"
    llm.key_source: \"env\"
    llm.fallback_configured: false
    llm.fallback_candidate: \"sim/backup\"
    llm.fallback_ok_5m: 0
    llm.slow_share: 0.01
    llm.p95_latency: 800ms
    packs.folder: \"/srv/hale/packs\"
    packs.files: 4
    packs.unreadable: 0
    packs.unreadable_first: \"\"
    packs.unreadable_mendable: 0
    packs.open: 0
    packs.open_first: \"\"
    packs.open_mendable: 0
    disk.path: \"/srv/hale\"
    disk.total: 100 GiB
    disk.free: 60 GiB
    disk.free_ratio: 0.6
    disk.inodes_free_ratio: 0.97
    store.full: false
    store.ballast_released: false
    store.reserve: 0 B
    store.retention_freeable: 2 GiB
    store.write_ok_last_age: 200ms";

/// A run that did its work.
pub const GOOD_RUN: &str = "
    run.state: \"COMPLETED\"
    run.pack: \"research\"
    run.model: \"sim/researcher\"
    run.age: 21s
    run.in_state_for: 3m
    run.limit: 60s
    run.pack_limit: 60s
    run.turns: 3
    run.turns_limit: 12
    run.pack_turns_limit: 12
    run.error_code: \"\"
    run.error_cause: \"\"
    run.error_origin: \"\"
    run.waiting_on: \"\"
    run.cancelled_by: \"\"
    run.attempts: 1
    run.time_queue: 20ms
    run.time_model: 12s
    run.time_tools: 8s
    run.model_share: 0.6
    run.tool_share: 0.4
    run.tool_calls: 4
    run.repeated_call_max: 1
    run.repeated_call_name: \"files.read\"
    run.slowest_model_call: 5s
    run.retry_after: 0ms";

const RATE_LIMITED: &str = "
    llm.calls_5m: 6
    llm.errors_5m: 5
    llm.error_last_age: 4s
    llm.ok_since_error: 0
    llm.rate_limited_5m: 5
    llm.rate_limited_last_age: 4s
    llm.ok_since_rate_limited: 0";

const KEY_REFUSED: &str = "
    llm.calls_5m: 3
    llm.errors_5m: 3
    llm.error_last_age: 9s
    llm.ok_since_error: 0
    llm.key_refused_5m: 3
    llm.key_refused_last_age: 9s
    llm.ok_since_key_refused: 0";

const NO_WORKER: &str = "
    workers.live: 0
    workers.slots: 0
    workers.busy: 0
    runs.pending: 7
    runs.oldest_pending_age: 92s
    runs.active: 0";

const DISK_FULL: &str = "
    disk.free: 4 MiB
    disk.free_ratio: 0.00004
    store.full: true
    store.write_ok_last_age: 40s";

const PACK_UNREADABLE: &str = "
    packs.unreadable: 1
    packs.unreadable_first: \"research.md (mode 0000, owner 998:998)\"
    packs.unreadable_mendable: 1";

const PACK_OPEN: &str = "
    packs.open: 2
    packs.open_first: \"research.md (mode 0666, owner 998:998)\"
    packs.open_mendable: 2";

const TIMEOUT: &str = "
    run.state: \"TIMEOUT\"
    run.age: 60s
    run.error_code: \"E003\"
    run.error_cause: \"run.timeout\"
    run.error_origin: \"worker\"";

const SLOW: &str = "
    run.turns: 2
    run.time_model: 57s
    run.model_share: 0.95
    run.time_tools: 2s
    run.tool_share: 0.03
    run.tool_calls: 1
    run.slowest_model_call: 41s";

const LOOP: &str = "
    run.turns: 12
    run.tool_calls: 11
    run.repeated_call_max: 10
    run.repeated_call_name: \"files.search\"
    run.time_model: 9s
    run.model_share: 0.5
    run.slowest_model_call: 1s";

fn failed(cause: &str, code: &str) -> String {
    format!(
        "
    run.state: \"FAILED\"
    run.error_cause: \"{cause}\"
    run.error_code: \"{code}\"
    run.error_origin: \"provider:sim\"
    run.attempts: 5"
    )
}

pub fn worlds() -> Vec<World> {
    let mut worlds = model_systems();
    worlds.extend(other_systems());
    worlds.extend(model_runs());
    worlds.extend(other_runs());
    worlds
}

fn system(name: &'static str, changes: &str, expect: Option<&'static str>) -> World {
    World { name, subject: Subject::System, readings: with(HEALTHY, changes), expect }
}

fn model_systems() -> Vec<World> {
    vec![
        system("healthy", "", None),
        system("rate_limited", RATE_LIMITED, Some("llm.rate_limited")),
        system(
            "rate_limited_among_other_errors",
            &with(RATE_LIMITED, "llm.errors_5m: 6"),
            Some("llm.rate_limited"),
        ),
        system(
            "rate_limit_recovered",
            &with(
                RATE_LIMITED,
                "llm.errors_5m: 1\n llm.rate_limited_5m: 1\n llm.ok_since_error: 1\n llm.ok_since_rate_limited: 1",
            ),
            None,
        ),
        system(
            "rate_limited_but_fallback_serves",
            &with(RATE_LIMITED, "llm.fallback_configured: true\n llm.fallback_ok_5m: 2"),
            None,
        ),
        system("key_refused", KEY_REFUSED, Some("llm.key_refused")),
        system(
            "key_refused_once_then_ok",
            &with(
                KEY_REFUSED,
                "llm.errors_5m: 1\n llm.key_refused_5m: 1\n llm.ok_since_error: 4\n llm.ok_since_key_refused: 4",
            ),
            None,
        ),
        system("provider_down", "llm.errors_5m: 9\n llm.error_last_age: 1s\n llm.ok_since_error: 0", None),
    ]
}

fn other_systems() -> Vec<World> {
    vec![
        system("no_live_worker", NO_WORKER, Some("queue.no_live_worker")),
        system("worker_draining", &with(NO_WORKER, "workers.draining: 1"), Some("queue.no_live_worker")),
        system(
            "worker_busy",
            "workers.live: 1\n workers.slots: 5\n workers.busy: 5\n runs.pending: 40\n runs.oldest_pending_age: 95s\n runs.active: 5",
            None,
        ),
        system(
            "worker_idle_while_runs_wait",
            "workers.busy: 0\n runs.pending: 4\n runs.oldest_pending_age: 95s\n runs.active: 0",
            None,
        ),
        system(
            "nothing_to_do_and_no_worker",
            "workers.live: 0\n workers.slots: 0\n workers.busy: 0\n runs.pending: 0\n runs.oldest_pending_age: 0ms\n runs.active: 0",
            None,
        ),
        system("disk_full", DISK_FULL, Some("store.disk_full")),
        system(
            "disk_full_reserve_given_up",
            &with(
                DISK_FULL,
                "disk.free: 36 MiB\n store.reserve: 32 MiB\n store.ballast_released: true\n store.full: false\n store.write_ok_last_age: 1s",
            ),
            Some("store.disk_full"),
        ),
        system(
            "disk_out_of_inodes",
            &with(DISK_FULL, "disk.free: 60 GiB\n disk.free_ratio: 0.6\n disk.inodes_free_ratio: 0.0"),
            Some("store.disk_full"),
        ),
        system("disk_nearly_full", "disk.free: 2 GiB\n disk.free_ratio: 0.02", None),
        system("pack_unreadable", PACK_UNREADABLE, Some("packs.unreadable")),
        system(
            "pack_unreadable_and_not_ours",
            &with(PACK_UNREADABLE, "packs.unreadable_mendable: 0"),
            Some("packs.unreadable"),
        ),
        system("packs_strict_but_readable", "packs.files: 4", None),
        system("pack_open", PACK_OPEN, Some("packs.writable_by_others")),
        system("packs_shared_with_the_own_group", "packs.files: 4", None),
        system("quota_gives_the_same_words", "store.full: true\n store.write_ok_last_age: 40s", None),
    ]
}

/// A run in a system, each with its changes.
fn of_run(name: &'static str, system: &str, changes: &str, expect: Option<&'static str>) -> World {
    let readings = format!("{}\n{}", with(HEALTHY, system), with(GOOD_RUN, changes));
    World { name, subject: run(), readings, expect }
}

fn model_runs() -> Vec<World> {
    vec![
        of_run("good_run", "", "", None),
        of_run(
            "run_failed_by_429",
            RATE_LIMITED,
            &failed("llm.rate_limited", "E006"),
            Some("llm.rate_limited"),
        ),
        of_run(
            "run_failed_by_429_an_hour_ago",
            "",
            &failed("llm.rate_limited", "E006"),
            Some("llm.rate_limited"),
        ),
        of_run(
            "run_timed_out_on_429",
            RATE_LIMITED,
            &with(&failed("llm.rate_limited", "E006"), "run.state: \"TIMEOUT\""),
            Some("llm.rate_limited"),
        ),
        of_run(
            "run_waits_for_its_next_try",
            RATE_LIMITED,
            &with(&failed("llm.rate_limited", "E006"), "run.state: \"RUNNING\""),
            Some("llm.rate_limited"),
        ),
        of_run(
            "run_got_over_a_429",
            RATE_LIMITED,
            &with(&failed("llm.rate_limited", "E006"), "run.state: \"COMPLETED\""),
            None,
        ),
        of_run("run_failed_by_401", KEY_REFUSED, &failed("llm.key_refused", "E005"), Some("llm.key_refused")),
        of_run("run_failed_by_500", "", &failed("llm.unavailable", "E006"), None),
        of_run(
            "run_waits_without_worker",
            NO_WORKER,
            "run.state: \"PENDING\"\n run.in_state_for: 92s",
            Some("queue.no_live_worker"),
        ),
        of_run(
            "run_waits_for_a_busy_worker",
            "workers.busy: 8",
            "run.state: \"PENDING\"\n run.in_state_for: 92s",
            None,
        ),
    ]
}

fn other_runs() -> Vec<World> {
    let slow = with(TIMEOUT, SLOW);
    let looped = with(TIMEOUT, LOOP);
    vec![
        of_run("model_slow", "", &slow, Some("run.model_slow")),
        of_run(
            "model_call_timed_out",
            "",
            &with(&slow, &failed("llm.timeout", "E003")),
            Some("run.model_slow"),
        ),
        of_run("model_fell_silent", "", &with(&slow, &failed("llm.stalled", "E006")), Some("run.model_slow")),
        of_run("slow_within_limit", "", &with(SLOW, "run.age: 59s"), None),
        of_run("tool_loop", "", &looped, Some("run.tool_loop")),
        of_run(
            "tool_loop_to_the_last_turn",
            "",
            &with(
                &looped,
                "run.state: \"FAILED\"\n run.error_code: \"E004\"\n run.error_cause: \"run.turns\"",
            ),
            Some("run.tool_loop"),
        ),
        of_run(
            "tool_loop_of_a_slowish_model",
            "",
            &with(&looped, "run.model_share: 0.9\n run.slowest_model_call: 16s"),
            Some("run.tool_loop"),
        ),
        of_run("many_different_calls", "", &with(&looped, "run.repeated_call_max: 1"), None),
        of_run(
            "run_stopped_by_full_disk",
            DISK_FULL,
            &with(&failed("store.disk_full", "E007"), "run.error_origin: \"store\""),
            Some("store.disk_full"),
        ),
        of_run(
            "run_stopped_by_a_disk_that_has_room_again",
            "",
            &with(&failed("store.disk_full", "E007"), "run.error_origin: \"store\""),
            Some("store.disk_full"),
        ),
    ]
}
