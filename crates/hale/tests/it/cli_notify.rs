//! Messages to people from the command line, against a real webhook.

use crate::cli_world::World;
use crate::world::until;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What came in: the idempotency key and the body.
type Heard = Arc<Mutex<Vec<(String, Value)>>>;

/// A chat service that answers with these, one after the other, and then with 200.
pub fn webhook(answers: &'static [&'static str]) -> (String, Heard) {
    slow_webhook(answers, Duration::ZERO)
}

/// One that takes its time before it answers.
fn slow_webhook(answers: &'static [&'static str], pause: Duration) -> (String, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hooks/T0/secret-part", listener.local_addr().unwrap());
    let heard = Heard::default();
    let all = heard.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let n = all.lock().unwrap().len();
            let Some(message) = read(&stream) else { continue };
            all.lock().unwrap().push(message);
            std::thread::sleep(pause);
            let status = answers.get(n).unwrap_or(&"200 OK");
            let _ = write!(&stream, "HTTP/1.1 {status}\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
        }
    });
    (url, heard)
}

fn read(stream: &TcpStream) -> Option<(String, Value)> {
    let mut lines = BufReader::new(stream);
    let (mut length, mut key) = (0, String::new());
    loop {
        let mut line = String::new();
        lines.read_line(&mut line).ok()?;
        let line = line.trim().to_ascii_lowercase();
        match line.split_once(": ") {
            Some(("content-length", value)) => length = value.parse().ok()?,
            Some(("idempotency-key", value)) => key = value.to_owned(),
            _ if line.is_empty() => break,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    lines.read_exact(&mut body).ok()?;
    Some((key, serde_json::from_slice(&body).ok()?))
}

/// Stores the address of a channel as a person would.
pub fn channel(world: &World, name: &str, url: &str) {
    let mut set = world.program(crate::cli_world::HALE);
    let secret = format!("notify-{name}");
    set.args(["secrets", "set", &secret, "--stdin"]).stdin(std::process::Stdio::piped());
    let mut child = set.stdout(std::process::Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(url.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

// covers: AO-146
#[test]
fn a_message_reaches_its_channel_and_stands_in_the_audit_trail() {
    let world = World::new();
    world.up();
    let missing = world.expect(3, &["notify", "--channel", "ops", "--message", "hello"]);
    for part in ["there is no such channel", "hale secrets set notify-ops", "HALE_SECRET_NOTIFY_OPS"] {
        assert!(missing.err.contains(part), "{part}: {}", missing.err);
    }
    let (url, heard) = webhook(&["503 Service Unavailable"]);
    channel(&world, "ops", &url);
    assert_eq!(world.expect(0, &["notify", "--list"]).out, "ops\n");
    let sent = world.expect(0, &["notify", "--channel", "ops", "--message", "pack wild is off", "--json"]);
    let sent: Value = serde_json::from_str(&sent.out).unwrap();
    assert_eq!((&sent["status"], &sent["tries"]), (&Value::from(200), &Value::from(2)), "{sent}");
    let heard = heard.lock().unwrap().clone();
    assert_eq!(heard.len(), 2, "{heard:?}");
    assert_eq!(heard[0].0, heard[1].0, "both tries carry one key");
    assert_eq!(heard[0].1["text"], "pack wild is off");
    assert_eq!(heard[0].1["id"], sent["operation"]);
    let trail = world.expect(0, &["audit", "list", "--json"]).out;
    assert!(trail.contains("pack wild is off (answered 200, try 2)"), "{trail}");
    assert!(!trail.contains("secret-part") && !trail.contains("hooks"), "the address is a secret: {trail}");
}

// covers: AO-146
#[test]
fn a_webhook_that_does_not_take_a_message_is_told_without_its_address() {
    let world = World::new();
    world.up();
    let (url, heard) = webhook(&["404 Not Found"]);
    channel(&world, "ops", &url);
    let gone = world.expect(1, &["notify", "--channel", "ops", "--message", "hello"]);
    assert!(gone.err.contains("127.0.0.1 answers 404"), "{}", gone.err);
    assert_eq!(heard.lock().unwrap().len(), 1, "a refusal is not tried again");
    channel(&world, "odd", "ftp://chat.example/secret-part");
    let odd = world.expect(6, &["notify", "--channel", "odd", "--message", "hello"]);
    assert!(odd.err.contains("only http and https"), "{}", odd.err);
    for did in [&gone, &odd] {
        assert!(!did.err.contains("secret-part"), "{}", did.err);
    }
    world.expect(6, &["notify", "--channel", "ops", "--message", " "]);
    world.expect(6, &["notify", "--channel", "ops", "--message", &"x".repeat(4001)]);
    world.expect(2, &["notify", "--channel", "ops"]);
    let log = world.expect(0, &["logs", "-n", "10000", "-o", "jsonl"]).out;
    assert!(log.contains("/api/v1/notify") && !log.contains("secret-part"), "{log}");
}

/// What was intended gets its outcome, whoever waits for it.
#[test]
fn a_deed_goes_on_when_its_caller_goes_away() {
    let world = World::new();
    world.up();
    let (url, heard) = slow_webhook(&[], Duration::from_millis(1500));
    channel(&world, "ops", &url);
    let notify = [crate::cli_world::HALE, "notify", "--channel", "ops", "--message", "goes on"];
    let gone = world.program("timeout").args(["-s", "KILL", "0.7"]).args(notify).output().unwrap();
    assert!(!gone.status.success(), "the caller was not gone: {gone:?}");
    assert_eq!(heard.lock().unwrap().len(), 1, "it had not begun");
    until("the outcome is told", Duration::from_secs(10), || {
        world
            .expect(0, &["audit", "list", "--json"])
            .out
            .contains("goes on (answered 200, try 1)")
            .then_some(())
    });
}
