//! Deadline and cancellation stop a tool in the middle of its work, within a second.

use crate::place::Place;
use hale_sandbox::{Control, Resolver, call};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Long enough to be in the middle of the work.
const BEFORE: Duration = Duration::from_millis(300);
const WITHIN: Duration = Duration::from_secs(1);

/// Patterns that keep as many states alive as fit, in sets that no automaton's cache can remember; one for each row of
/// `SEARCH_PIECES`, with lines as long as its piece.
fn costly() -> [(String, usize); 3] {
    let alternatives = |count: usize, length: usize| {
        let one = |number| {
            format!("{}[ab]{{{length}}}", format!("{number:04b}").replace('0', "a").replace('1', "b"))
        };
        format!("(?-u)(?:{})[c-z]", (0..count).map(one).collect::<Vec<_>>().join("|"))
    };
    [(alternatives(1, 220), 8000), (alternatives(2, 450), 4000), (alternatives(8, 420), 2000)]
}

fn slow((pattern, line): &(String, usize)) -> (Place, Value) {
    let place = Place::new();
    let mut text = String::new();
    let mut state = 1u32;
    for at in 0..16 << 20 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text.push(if at % line == line - 1 { '\n' } else { char::from(b'a' + (state >> 31) as u8) });
    }
    place.write("slow", text);
    (place, json!({"path": "slow", "pattern": pattern}))
}

#[test]
fn a_deadline_ends_the_most_costly_searches() {
    for cost in costly() {
        let (place, args) = slow(&cost);
        let began = Instant::now();
        let ctl = Control::until(began + BEFORE);
        let ended = call("files.search", &args, &[place.folder(Resolver::Kernel)], &ctl);
        let took = began.elapsed();
        let failure = ended.expect_err("the search was over before its deadline").failure("files.search");
        assert_eq!((failure.code.to_string().as_str(), failure.cause.as_str()), ("E003", "tool.timeout"));
        assert!(took >= BEFORE, "it never got to work");
        assert!(took < BEFORE + WITHIN, "it stopped only after {took:?}");
    }
}

#[test]
fn a_cancellation_ends_the_most_costly_searches() {
    for cost in costly() {
        let (place, args) = slow(&cost);
        let ctl = Control::until(Instant::now() + Duration::from_secs(600));
        let (done, ended) = mpsc::channel();
        let theirs = ctl.clone();
        std::thread::spawn(move || {
            let result = call("files.search", &args, &[place.folder(Resolver::Kernel)], &theirs);
            done.send(result.map_err(|error| error.failure("files.search").cause)).unwrap();
        });
        let early = ended.recv_timeout(BEFORE);
        assert_eq!(
            early,
            Err(mpsc::RecvTimeoutError::Timeout),
            "the search was over before it could be cancelled"
        );
        ctl.cancelled.store(true, Ordering::Relaxed);
        assert_eq!(
            ended.recv_timeout(WITHIN).expect("it should stop in time"),
            Err("tool.cancelled".to_owned())
        );
    }
}

#[test]
fn a_tool_that_is_stopped_before_it_begins_does_nothing() {
    let place = Place::new();
    let late = Control::until(Instant::now());
    let cancelled = Control::until(Instant::now() + WITHIN);
    cancelled.cancelled.store(true, Ordering::Relaxed);
    for tool in ["files.list", "files.read", "files.search"] {
        for (ctl, cause) in [(&late, "tool.timeout"), (&cancelled, "tool.cancelled")] {
            let error =
                call(tool, &json!({"path": "a.txt", "pattern": "x"}), &[place.folder(Resolver::Kernel)], ctl);
            assert_eq!(error.unwrap_err().failure(tool).cause, cause);
        }
    }
}
