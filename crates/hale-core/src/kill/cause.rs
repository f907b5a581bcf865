//! A job's end as the failure of its run: which cause it is filed under, and what is said first.
//!
//! Pure: the verdict, what was measured and the program's last words come in. Words of the program decide only where
//! nothing was measured: an exit code that the pack explains comes before a phrase in its error output.
//! Read next: [`super::classify`], which made the verdict.

use super::{Bound, Facts, Grade, Kind, Verdict};
use crate::code::Code;
use crate::failure::Failure;
use serde_json::Value;
use std::collections::BTreeMap;

/// Programs of other runtimes that met a limit of their own, below ours (TR-18).
const OOM_WORDS: [&str; 3] = ["MemoryError", "OutOfMemory", "out of memory"];
/// What data tools say of data that cannot be used (TR-19).
const DATA_WORDS: [&str; 2] = ["insufficient data", "no data"];
/// The end that looks like too little memory, unproved.
const OOM_LIKELY: &str = "oom_likely";
/// Letters of a last word that are shown.
const SHOWN: usize = 500;

/// All that is known of an end.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// The program's file name.
    pub program: &'a str,
    pub verdict: &'a Verdict,
    pub facts: &'a Facts,
    /// What the pack says of exit codes.
    pub exits: &'a BTreeMap<u8, String>,
    /// The last line on stderr, whole.
    pub last_word: &'a str,
}

/// The failure of the run; none when the program ended with 0.
pub fn failure(told: Told<'_>) -> Option<Failure> {
    let Told { program, verdict, facts, .. } = told;
    let (code, cause) = filed(told)?;
    let origin = format!("job:{program}");
    let said = Said::of(told.last_word);
    let message = match &said {
        Some(said) => format!("run {program}: {}", said.message),
        None if cause == "job.oom" => {
            format!("run {program}: killed by OOM: memory limit exceeded; {}", verdict.says)
        }
        None => format!("run {program}: {}", verdict.says),
    };
    let mut failure = Failure::new(code, &cause, &origin, message);
    if let Some(said) = said {
        failure.chain.push(verdict.says.clone());
        failure.chain.extend(said.fix.map(|fix| format!("fix: {fix}")));
        failure.chain.extend(said.stage.map(|stage| format!("it was in the stage {stage}")));
    }
    if cause.starts_with("job.oom") {
        let doubled = super::Bytes(facts.caps.memory_bytes.saturating_mul(2));
        failure.chain.push(format!(
            "fix: raise limits.memory in the pack, for example to {doubled}, or give it less to do"
        ));
    }
    failure.chain.extend(verdict.evidence.iter().cloned());
    Some(failure)
}

fn filed(told: Told<'_>) -> Option<(Code, String)> {
    let cause = |code, word: &str| Some((code, format!("job.{word}")));
    match told.verdict.kind {
        Kind::OomProved | Kind::OomByUs => cause(Code::E004, "oom"),
        Kind::OomLikely => cause(Code::E004, OOM_LIKELY),
        Kind::Limit { bound: Bound::Memory } if told.verdict.grade == Grade::Proved => {
            cause(Code::E004, "oom")
        }
        Kind::Limit { bound: Bound::Memory } => cause(Code::E004, OOM_LIKELY),
        Kind::Limit { bound: Bound::Wall } => cause(Code::E003, "timeout"),
        Kind::Limit { .. } => cause(Code::E004, "limit"),
        Kind::Stopped | Kind::KilledUnknown => cause(Code::E016, "killed"),
        Kind::Signal { .. } => cause(Code::E016, "crashed"),
        Kind::Exit { code: 0 } => None,
        Kind::Exit { code } => {
            let known = u8::try_from(code).ok().and_then(|code| told.exits.get(&code));
            let word = known.map_or_else(|| phrased(told), String::as_str);
            cause(if word == OOM_LIKELY { Code::E004 } else { Code::E016 }, word)
        }
        Kind::Exit137NotASignal => cause(Code::E016, "exit"),
    }
}

/// What its error output says, where the code says nothing.
fn phrased(told: Told<'_>) -> &'static str {
    let says = |words: &[&str]| {
        let lines = told.facts.stderr_tail.iter().map(String::as_str).chain([told.last_word]);
        lines.into_iter().any(|line| words.iter().any(|word| line.contains(word)))
    };
    if says(&OOM_WORDS) {
        OOM_LIKELY
    } else if says(&DATA_WORDS) {
        "data_error"
    } else {
        "exit"
    }
}

/// A last word in the form that programs for hale write: one JSON object with `message`, and perhaps `fix`, `stage`.
struct Said {
    message: String,
    fix: Option<String>,
    stage: Option<String>,
}

impl Said {
    fn of(line: &str) -> Option<Self> {
        let object: Value = serde_json::from_str(line.trim()).ok()?;
        let text = |name: &str| {
            let text = object.get(name)?.as_str()?;
            let plain = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
            Some(plain.take(SHOWN).collect::<String>())
        };
        object.get("error")?;
        Some(Self { message: text("message")?, fix: text("fix"), stage: text("stage") })
    }
}
