//! The Anthropic dialect, `/v1/messages`, in both its versions and from both sides.
//!
//! Read next: [`asked`], what clients send; [`asking`], what providers get; [`reading`] and [`writing`], the answers.

pub(super) mod asked;
pub(super) mod asking;
pub(super) mod reading;
pub(super) mod writing;

use super::event::Stop;

/// The reason to stop, in and out.
fn stop_of(reason: &str, sequence: Option<&str>) -> Stop {
    match reason {
        "end_turn" => Stop::End,
        "max_tokens" | "model_context_window_exceeded" => Stop::Length,
        "tool_use" => Stop::ToolUse,
        "stop_sequence" => Stop::StopSequence(sequence.map(str::to_owned)),
        "refusal" => Stop::Refusal,
        other => Stop::Other(other.to_owned()),
    }
}

/// The clients' list of reasons is closed.
fn reason_of(stop: &Stop) -> (&'static str, Option<&str>) {
    match stop {
        Stop::End => ("end_turn", None),
        Stop::Length => ("max_tokens", None),
        Stop::ToolUse => ("tool_use", None),
        Stop::StopSequence(sequence) => ("stop_sequence", sequence.as_deref()),
        Stop::ContentFilter | Stop::Refusal => ("refusal", None),
        Stop::Other(reason) if reason == "pause_turn" => ("pause_turn", None),
        Stop::Other(_) => ("end_turn", None),
    }
}
