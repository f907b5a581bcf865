//! What a failed back-test is called, and what to change.
//!
//! The cause is the engine's and was measured; this only puts it into the words of back-tests.

use hale_core::failure::Failure;
use hale_core::run::StateName;

/// What programs write when their own code fails (TR-20).
const CODE_WORDS: [&str; 4] = ["Traceback", "Exception", "ERROR", "panicked"];

/// The class; none while it goes well.
pub fn class(state: StateName, failure: Option<&Failure>) -> Option<&'static str> {
    match state {
        StateName::Timeout => return Some("timeout"),
        StateName::Cancelled => return Some("cancelled"),
        StateName::Completed => return None,
        _ => {}
    }
    let failure = failure?;
    Some(match failure.cause.as_str() {
        "job.oom" | "job.oom_likely" => "oom",
        "job.data_error" => "data_error",
        "job.strategy_error" => "strategy_error",
        "job.usage_error" | "run.invalid_input" => "usage_error",
        "job.no_result" => "no_result",
        "job.hang" => "hang",
        "job.timeout" => "timeout",
        "job.limit" => "limit",
        "job.killed" => "killed",
        "job.crashed" => "engine_crash",
        "job.exit" if speaks_of_code(failure) => "strategy_error",
        "job.exit" => "engine_error",
        "job.program_missing"
        | "job.not_executable"
        | "job.outside_allowed"
        | "job.refused"
        | "job.not_started"
        | "job.unavailable"
        | "pack.grant_refused" => "not_started",
        _ => "other",
    })
}

fn speaks_of_code(failure: &Failure) -> bool {
    let lines = failure.chain.iter().filter(|line| line.starts_with("stderr:"));
    lines.into_iter().any(|line| CODE_WORDS.iter().any(|word| line.contains(word)))
}

/// What to change, most promising first.
pub fn advice(class: &str, cause: Option<&str>) -> Vec<String> {
    let all: &[&str] = match class {
        "oom" => &[
            "raise limits.memory in packs/backtest.md, twofold at a time, raise its version, then: hale packs deploy packs/backtest.md",
            "give it less to do: fewer bars (--from, --to), then shorter windows (--slow, --entry)",
        ],
        "data_error" => &[
            "mend the line that the message names; with gaps that are meant: --gaps allow",
            "check that --from and --to leave more bars than the longest window",
        ],
        "strategy_error" => &["change the parameters that the message names: hale backtests start --help"],
        "usage_error" => &["see what it takes: hale backtests start --help"],
        "no_result" => &[
            "the engine ended with 0 and wrote nothing: read its output with hale logs --run ID",
            "run it by hand with the same arguments; they stand in: hale runs history ID",
        ],
        "hang" => &[
            "it said nothing for limits.silence and was ended; start it again with fewer bars (--from, --to)",
            "if it is slow and not hung, raise limits.silence in packs/backtest.md",
        ],
        "timeout" => &["raise limits.timeout in packs/backtest.md, or use fewer bars (--from, --to)"],
        "limit" => &["raise the limit that the message names in packs/backtest.md"],
        "not_started" if cause == Some("job.program_missing") => &[
            "build the program: cargo build -p hale-backtester",
            "allow it: add its file to jobs.allow in hale.toml, then start the server again",
        ],
        "not_started" => &["see what is allowed: hale config explain jobs.allow"],
        _ => &[],
    };
    all.iter().map(|line| (*line).to_owned()).collect()
}
