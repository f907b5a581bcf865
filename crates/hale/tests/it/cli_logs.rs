//! Log lines: the keys, the text form, and what cannot break out of a line.

use hale::config::value::{LogFormat, LogLevel};
use hale::logs::file::{Rotating, files};
use hale::logs::{FIELD_BYTES, to_writer};
use serde_json::Value;
use std::io::Write;
use std::sync::{Arc, Mutex};
use tracing_subscriber::layer::SubscriberExt;

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What is logged while `act` runs.
fn logged(format: LogFormat, level: LogLevel, act: impl FnOnce()) -> String {
    let buffer = Buffer::default();
    let layer = to_writer(buffer.clone(), level, format);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), act);
    let bytes = buffer.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

fn json(act: impl FnOnce()) -> Value {
    let text = logged(LogFormat::Json, LogLevel::Trace, act);
    assert_eq!(text.lines().count(), 1, "{text}");
    serde_json::from_str(&text).unwrap()
}

// covers: AX-85, AX-86, AX-87, AX-88, AX-89, AX-90, AX-91
#[test]
fn a_line_has_the_keys_of_the_guide_in_their_order() {
    let line = json(|| {
        let span =
            tracing::info_span!(target: "hale", "request", request_id = "req-1", correlation_id = "cor-1");
        let _in_request = span.enter();
        tracing::warn!(target: "hale",
            run = "run_1",
            pack = "hello",
            duration_ms = 12u64,
            error = "refused",
            extra = true,
            "call failed"
        );
    });
    let keys: Vec<&String> = line.as_object().unwrap().keys().collect();
    let expected = [
        "level",
        "ts",
        "caller",
        "msg",
        "request_id",
        "duration_ms",
        "error",
        "run_id",
        "pack",
        "correlation_id",
        "extra",
    ];
    assert_eq!(keys, expected);
    assert_eq!(line["level"], "warn");
    assert_eq!(line["msg"], "call failed");
    assert_eq!(line["request_id"], "req-1");
    assert_eq!(line["run_id"], "run_1");
    assert_eq!(line["duration_ms"], 12);
    let ts = line["ts"].as_str().unwrap();
    assert_eq!(ts.len(), "2026-11-22T03:05:00.000Z".len(), "{ts}");
    assert!(ts.ends_with('Z') && ts.as_bytes()[19] == b'.', "{ts}");
    let caller = line["caller"].as_str().unwrap();
    let (file, number) = caller.rsplit_once(':').unwrap();
    assert!(file.ends_with("cli_logs.rs") && number.parse::<u32>().is_ok(), "{caller}");
}

#[test]
fn the_nearest_span_wins_and_late_fields_count() {
    let line = json(|| {
        let outer = tracing::info_span!(target: "hale", "outer", step = "a", run_id = tracing::field::Empty);
        let _outer = outer.enter();
        outer.record("run_id", "run_late");
        let inner = tracing::info_span!(target: "hale", "inner", step = "b");
        let _inner = inner.enter();
        tracing::info!(target: "hale", "inside");
    });
    assert_eq!((line["step"].as_str(), line["run_id"].as_str()), (Some("b"), Some("run_late")));
}

// covers: AO-118, CONF-12
#[test]
fn the_text_form_is_exactly_the_operators_one() {
    let text = logged(LogFormat::Text, LogLevel::Info, || {
        tracing::info!(target: "hale", run_id = "abc123", "Agent pack loaded: research-pack v1.2.3");
        tracing::error!(target: "hale", "no run here");
        tracing::debug!(target: "hale", run_id = "abc123", "not at this level");
    });
    assert_eq!(text, "INFO [run_id=abc123] Agent pack loaded: research-pack v1.2.3\nERROR no run here\n");
}

// covers: CX-62
#[test]
fn a_hot_reload_is_an_event_of_this_name() {
    let line = json(|| tracing::info!(target: "hale", event = "hot_reload", pack = "hello", "pack reloaded"));
    assert_eq!((line["event"].as_str(), line["pack"].as_str()), (Some("hot_reload"), Some("hello")));
}

#[test]
fn nothing_in_a_field_starts_a_line_or_commands_a_terminal() {
    let evil = "one\n{\"level\":\"error\"}\r\u{1b}[2J";
    let line = json(|| tracing::info!(target: "hale", run_id = evil, "{evil}"));
    assert_eq!(line["msg"], evil, "JSON carries it escaped and whole");
    let text =
        logged(LogFormat::Text, LogLevel::Info, || tracing::info!(target: "hale", run_id = evil, "{evil}"));
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
}

#[test]
fn a_long_field_is_cut_and_says_so() {
    let long = "ä".repeat(FIELD_BYTES);
    let line = json(|| tracing::info!(target: "hale", input = %long, "big"));
    let kept = line["input"].as_str().unwrap();
    assert!(kept.len() < FIELD_BYTES + 40, "{}", kept.len());
    assert!(kept.ends_with("bytes more)"), "{kept}");
}

#[test]
fn values_keep_their_kind_and_a_field_stands_once() {
    let line = json(|| {
        let span = tracing::info_span!(target: "hale", "outer", n = 1u64, level = "spoofed");
        let _in_span = span.enter();
        tracing::info!(target: "hale", n = 2i64, whole = 12.0, odd = f64::NAN, yes = true, "values");
    });
    assert_eq!((&line["n"], &line["whole"], &line["yes"]), (&2.into(), &12.0.into(), &true.into()));
    assert_eq!((&line["odd"], &line["level"]), (&Value::Null, &"info".into()));
    let raw = logged(LogFormat::Json, LogLevel::Info, || {
        let span = tracing::info_span!(target: "hale", "outer", run = "a", level = "spoofed");
        let _in_span = span.enter();
        tracing::info!(target: "hale", run_id = "b", "once");
    });
    assert_eq!((raw.matches("\"run_id\"").count(), raw.matches("\"level\"").count()), (1, 1), "{raw}");
}

#[test]
fn an_error_is_logged_with_its_chain() {
    #[derive(Debug, thiserror::Error)]
    #[error("read the pack")]
    struct Outer(#[source] std::io::Error);
    let error = Outer(std::io::Error::other("disk gone"));
    let line = json(
        || tracing::error!(target: "hale", error = &error as &(dyn std::error::Error + 'static), "failed"),
    );
    assert_eq!(line["error"], "read the pack: disk gone");
}

#[test]
fn the_file_turns_over_by_size_and_keeps_three() {
    let dir = tempfile::TempDir::new().unwrap();
    let mut log = Rotating::with_size(dir.path(), 100).unwrap();
    let line = |number: u32| format!("line {number:02} of the log\n");
    for number in 0..10 {
        log.append(line(number).as_bytes());
    }
    // Many at once turn the file over between two lines.
    log.append((10..40).map(line).collect::<String>().as_bytes());
    let present: Vec<_> = files(dir.path()).into_iter().filter(|path| path.exists()).collect();
    assert_eq!(present.len(), 3);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3);
    let text: String = present.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    assert!(text.ends_with("line 39 of the log\n"), "{text}");
    assert!(present.iter().all(|path| std::fs::metadata(path).unwrap().len() <= 100));
    // Oldest first, without a hole.
    let numbers: Vec<u32> = text.lines().map(|line| line[5..7].parse().unwrap()).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
}
