//! How an answer goes out: a list of steps, made beforehand and then played.
//!
//! Guarantees: a fault counts as hit when its step is played, not when it is planned.
//! Leaves to others: which fault ([`super::control`]), which answer ([`super::mind`]).
//! Read next: [`super::http`].

use super::control::{Control, Fault};
use super::wire::Answer;
use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use std::collections::VecDeque;
use std::io;
use std::time::Duration;

pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// What went out before a cut is on its way by then: hyper drops what it has not yet written when a body fails.
const BEFORE_CUT: Duration = Duration::from_millis(20);

/// One thing that happens to a body.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Send(Bytes),
    Sleep(Duration),
    /// Lets what was sent go out by itself.
    Flush,
    /// The fault takes effect here.
    Hit(u64),
    Hang,
    Cut,
}

/// A body in full.
pub(super) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// An answer on the wire, misbehaving if told to: the body and the length to announce, if any.
pub(super) struct Sent {
    pub body: Body,
    pub length: Option<usize>,
}

/// Plans and plays an answer. `fault` is one of those that concern the body.
pub(super) fn send(frames: Vec<Bytes>, fault: Option<(u64, &Fault)>, control: &Control) -> Sent {
    if let ([frame], None) = (frames.as_slice(), fault) {
        return Sent { body: full(frame.clone()), length: None };
    }
    let whole: usize = frames.iter().map(Bytes::len).sum();
    let length = fault.and_then(|(_, fault)| (*fault == Fault::WrongContentLength).then_some(whole));
    Sent { body: play(plan(frames, fault), control.clone()), length }
}

/// The frames of a streamed answer.
pub(super) fn frames(answer: &Answer, with_usage: bool) -> Vec<Bytes> {
    let events = answer.events(with_usage).into_iter().map(|event| format!("data: {event}\n\n"));
    events.chain(["data: [DONE]\n\n".to_owned()]).map(Bytes::from).collect()
}

fn plan(frames: Vec<Bytes>, fault: Option<(u64, &Fault)>) -> VecDeque<Step> {
    let Some((id, fault)) = fault else { return frames.into_iter().map(Step::Send).collect() };
    let middle = (frames.len() / 2).max(1);
    let mut steps = VecDeque::new();
    match fault {
        Fault::Slow { first_token_ms, per_chunk_ms } => {
            steps.extend([Step::Hit(id), Step::Sleep(Duration::from_millis(*first_token_ms))]);
            for frame in frames {
                steps.extend([Step::Send(frame), Step::Sleep(Duration::from_millis(*per_chunk_ms))]);
            }
        }
        Fault::Stall => {
            steps.extend(frames.into_iter().take(1).map(Step::Send));
            steps.extend([Step::Flush, Step::Hit(id), Step::Hang]);
        }
        Fault::CutStream => {
            // A body of one frame is cut inside it.
            let cut = |frame: Bytes| if middle == 1 { frame.slice(..frame.len() / 2) } else { frame };
            steps.extend(frames.into_iter().take(middle).map(cut).map(Step::Send));
            steps.extend([Step::Sleep(BEFORE_CUT), Step::Hit(id), Step::Cut]);
        }
        Fault::Drip => {
            steps.push_back(Step::Hit(id));
            let bytes =
                frames.into_iter().flat_map(|frame| (0..frame.len()).map(move |at| frame.slice(at..=at)));
            steps.extend(bytes.flat_map(|byte| [Step::Send(byte), Step::Flush]));
        }
        Fault::WrongContentLength => {
            // Without the end: a client that saw all events would rightly not mind the missing bytes.
            let sent = if middle == 1 { 0 } else { middle };
            steps.extend(frames.into_iter().take(sent).map(Step::Send));
            steps.extend([Step::Sleep(BEFORE_CUT), Step::Hit(id)]);
        }
        // These do not concern the body.
        Fault::RateLimit { .. }
        | Fault::KeyRefused
        | Fault::ServerError
        | Fault::Garbage
        | Fault::LoopTools => steps.extend(frames.into_iter().map(Step::Send)),
    }
    steps
}

fn play(steps: VecDeque<Step>, control: Control) -> Body {
    let frames = stream::unfold((steps, control), |(mut steps, control)| async move {
        loop {
            let item = match steps.pop_front()? {
                Step::Send(bytes) => Ok(Frame::data(bytes)),
                Step::Cut => Err(io::Error::other("cut on command")),
                Step::Sleep(span) => {
                    tokio::time::sleep(span).await;
                    continue;
                }
                Step::Flush => {
                    tokio::task::yield_now().await;
                    continue;
                }
                Step::Hit(id) => {
                    control.hit(id);
                    continue;
                }
                Step::Hang => std::future::pending().await,
            };
            return Some((item, (steps, control)));
        }
    });
    StreamBody::new(frames).boxed_unsync()
}
