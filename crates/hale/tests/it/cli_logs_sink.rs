//! How lines are written: together, at once where it matters, none in silence.

use crate::cli_world::World;
use hale::logs::lane::{Lane, Worth};
use hale::logs::sink::{Entry, GATHER, HELD_BYTES, Output, Pace, Sink};
use std::io::Write;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// Keeps what is written, and counts the writes.
#[derive(Clone, Default)]
struct Counting(Arc<Mutex<(Vec<u8>, usize)>>);

impl Counting {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().0.clone()).unwrap()
    }

    fn writes(&self) -> usize {
        self.0.lock().unwrap().1
    }
}

impl Write for Counting {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut kept = self.0.lock().unwrap();
        kept.0.extend_from_slice(bytes);
        kept.1 += 1;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A disk that says when it is written to, and takes its time until it is told.
struct Slow {
    to: Counting,
    begins: Sender<()>,
    go_on: Receiver<()>,
}

impl Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let _ = self.begins.send(());
        // The other end is gone when the test has seen enough.
        let _ = self.go_on.recv();
        self.to.write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn put(sink: &Sink, line: &str, worth: Worth) {
    sink.put(Entry { file: Some(line.as_bytes()), terminal: None, worth });
}

fn to_file(pace: Pace) -> (Sink, Counting) {
    let file = Counting::default();
    (Sink::start(Some(Output::json(file.clone())), None, pace), file)
}

fn numbered(range: std::ops::Range<u32>) -> String {
    range.map(|number| format!("line {number}\n")).collect()
}

#[test]
fn a_thousand_lines_are_a_few_writes_and_none_is_lost_at_the_end() {
    let (sink, file) = to_file(Pace::Gathered);
    let begun = Instant::now();
    for number in 0..1000 {
        put(&sink, &format!("line {number}\n"), Worth::Common);
    }
    drop(sink);
    // One write for each time to gather that the machine let pass, the first and the last.
    let most = 2 + usize::try_from(begun.elapsed().as_millis() / GATHER.as_millis()).unwrap();
    assert!(file.writes() <= most, "{} writes, at most {most} wanted", file.writes());
    assert_eq!(file.text(), numbered(0..1000));
}

#[test]
fn a_line_is_written_without_another_one_behind_it() {
    let (begins, begun) = channel();
    let (_go, go_on) = channel();
    let slow = Slow { to: Counting::default(), begins, go_on };
    let sink = Sink::start(Some(Output::json(slow)), None, Pace::Gathered);
    put(&sink, "alone\n", Worth::Common);
    begun.recv_timeout(std::time::Duration::from_secs(10)).expect("the line is written");
    drop(_go);
}

#[test]
fn a_warning_is_written_before_its_call_returns_and_takes_the_lines_before_it_along() {
    let (sink, file) = to_file(Pace::Gathered);
    put(&sink, "first\n", Worth::Common);
    put(&sink, "second\n", Worth::Common);
    put(&sink, "warning\n", Worth::Urgent);
    assert_eq!(file.text(), "first\nsecond\nwarning\n");
    put(&sink, "third\n", Worth::Common);
    sink.flush();
    assert!(file.text().ends_with("third\n"), "whoever reads the log in the process can have it whole");
}

#[test]
fn lines_of_one_thread_keep_their_order() {
    let (sink, file) = to_file(Pace::Gathered);
    std::thread::scope(|scope| {
        for name in ["a", "b", "c", "d"] {
            let sink = &sink;
            scope.spawn(move || {
                for number in 0..500 {
                    let worth = if number % 50 == 0 { Worth::Urgent } else { Worth::Common };
                    put(sink, &format!("{name} {number}\n"), worth);
                }
            });
        }
    });
    drop(sink);
    let text = file.text();
    assert_eq!(text.lines().count(), 2000);
    for name in ["a", "b", "c", "d"] {
        let numbers = text.lines().filter_map(|line| line.strip_prefix(name)?.trim().parse::<u32>().ok());
        assert!(numbers.eq(0..500), "lines of {name} are out of order");
    }
}

#[test]
fn too_many_lines_cost_the_oldest_and_the_log_says_how_many() {
    let (begins, begun) = channel();
    let (go, go_on) = channel();
    let file = Counting::default();
    let slow = Slow { to: file.clone(), begins, go_on };
    let sink = Sink::start(Some(Output::json(slow)), None, Pace::Gathered);
    put(&sink, "stuck\n", Worth::Common);
    begun.recv().unwrap();
    let line = |number: usize| format!("{number:07} {}\n", "x".repeat(991));
    let fits = HELD_BYTES / line(0).len();
    let sent = fits + 100;
    for number in 0..sent {
        put(&sink, &line(number), Worth::Common);
    }
    drop(go);
    drop(sink);
    let text = file.text();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("stuck"));
    let note: serde_json::Value = serde_json::from_str(lines.next().unwrap()).unwrap();
    assert_eq!((&note["level"], &note["event"]), (&"warn".into(), &"log_lines_dropped".into()));
    let told = note["msg"].as_str().unwrap();
    let kept: Vec<usize> = lines.map(|line| line[..7].parse().unwrap()).collect();
    let dropped = sent - kept.len();
    assert!(dropped > 0 && told.starts_with(&format!("{dropped} log lines dropped")), "{dropped}: {told}");
    assert!(kept.iter().copied().eq(dropped..sent), "the newest are whole and in order");
}

#[test]
fn a_full_lane_gives_up_common_lines_only() {
    let mut lane = Lane::new(100);
    lane.push(b"warning 1\n", Worth::Urgent);
    for number in 0..50 {
        lane.push(format!("common {number:02}\n").as_bytes(), Worth::Common);
        assert!(lane.len() <= 100);
    }
    lane.push(b"warning 2\n", Worth::Urgent);
    let bundle = lane.take(Vec::new());
    let text = String::from_utf8(bundle.bytes).unwrap();
    assert!(text.starts_with("warning 1\n") && text.ends_with("common 49\nwarning 2\n"), "{text}");
    assert_eq!(bundle.dropped as usize + text.lines().count(), 52);
    assert!(lane.is_empty());
}

#[test]
fn a_place_without_a_thread_gets_each_line_at_once() {
    let (sink, file) = to_file(Pace::Each);
    put(&sink, "one\n", Worth::Common);
    put(&sink, "two\n", Worth::Common);
    assert_eq!((file.text().as_str(), file.writes()), ("one\ntwo\n", 2));
}

#[test]
fn a_detached_server_writes_a_line_once_and_its_log_can_be_read_at_once() {
    let world = World::new();
    let data = world.cwd().join(".hale");
    std::fs::create_dir(&data).unwrap();
    world.up();
    let run = world.expect(0, &["run", "hello", "--input", "name=Ada", "--json"]);
    let run: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    let id = run["id"].as_str().unwrap();
    let lines = world.expect(0, &["logs", "--run", id, "-o", "jsonl"]).out;
    assert!(lines.contains("\"event\":\"completed\""), "the last line of the run is there: {lines}");
    world.expect(0, &["down"]);
    let all = std::fs::read_to_string(data.join("logs/hale.jsonl")).unwrap();
    assert!(all.contains(id) && all.contains("/api/v1/shutdown"), "lines of the end are there: {all}");
    let said = std::fs::read_to_string(data.join("logs/up.log")).unwrap();
    assert!(said.contains("http://127.0.0.1:"), "the start is said: {said}");
    assert!(!said.contains("\"level\":\"info\""), "no second copy: {said}");
}
