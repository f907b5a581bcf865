//! The way to arms: where they may be, and what their answers mean.

use crate::script::{Act, Server, answer};
use hale_core::code::Code;
use hale_core::retry::RetryClass;
use hale_core::time::Millis;
use hale_gateway::arm::{Arms, Error, Repeat, Target, Task};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

fn refusal(arms: &Arms, endpoint: &str) -> Option<(Code, String)> {
    let failure = arms.check("far", endpoint).err()?.failure(Repeat::Harmless);
    assert_eq!((failure.origin.as_str(), failure.retry), ("arm:far", RetryClass::Never));
    Some((failure.code, failure.to_string()))
}

#[test]
fn loopback_may_be_called_and_nothing_else_unless_it_is_allowed() {
    let arms = Arms::default();
    for here in [
        "http://127.0.0.1:8100",
        "http://[::1]:1",
        "https://localhost/base",
        "http://a.localhost",
        "http://127.9.9.9",
    ] {
        assert_eq!(refusal(&arms, here), None, "{here}");
    }
    let elsewhere =
        ["http://10.0.0.7", "http://planner.internal:8100", "http://8.8.8.8", "http://localhost.evil.com"];
    for there in elsewhere {
        let (code, told) = refusal(&arms, there).expect(there);
        assert_eq!(code, Code::E013);
        assert!(told.contains("arms.allow"), "{told}");
    }
    arms.allow(["10.0.0.7".to_owned(), "Planner.Internal".to_owned(), "169.254.169.254".to_owned()]);
    assert_eq!(refusal(&arms, "http://10.0.0.7:99"), None);
    assert_eq!(refusal(&arms, "http://planner.internal:8100"), None);
    assert!(refusal(&arms, "http://10.0.0.8").is_some());
}

#[test]
fn addresses_of_a_machines_innards_are_never_called_allowed_or_not() {
    let arms = Arms::default();
    let never = [
        "169.254.169.254",
        "0.0.0.0",
        "[::]",
        "224.0.0.1",
        "255.255.255.255",
        "[fe80::1]",
        "[::ffff:169.254.169.254]",
    ];
    arms.allow(never.map(|host| host.trim_matches(['[', ']']).to_owned()));
    for host in never {
        let (code, told) = refusal(&arms, &format!("http://{host}:80")).expect(host);
        assert_eq!(code, Code::E013);
        assert!(told.contains("never called"), "{told}");
    }
    // Other ways to write such an address are the same address.
    for same in ["http://2852039166", "http://0xA9FEA9FE", "http://0"] {
        assert!(refusal(&arms, same).is_some(), "{same}");
    }
}

async fn execute(
    server: &Server,
    repeat: Repeat,
    wait: Duration,
) -> Result<Value, (String, RetryClass, Option<Millis>)> {
    let arms = Arms::default();
    let endpoint = format!("http://{}/base/", server.addr);
    let target = Target { arm: "a", endpoint: &endpoint, deadline: Instant::now() + wait };
    let body = json!({"goal": "x"});
    let task =
        Task { body: &body, idempotency_key: "run-0", correlation_id: "cor-1", traceparent: Some("00-1") };
    let said = |error: Error| {
        let failure = error.failure(repeat);
        (failure.cause, failure.retry, failure.retry_after)
    };
    arms.execute(target, task).await.map_err(said)
}

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_task_goes_out_with_its_key_and_the_answer_comes_back() {
    let server =
        Server::play(vec![answer("200 OK", "content-type: application/json\r\n", "{\"ok\":true}")]).await;
    assert_eq!(execute(&server, Repeat::Harmful, LONG).await, Ok(json!({"ok": true})));
    let request = server.requests().remove(0);
    assert!(request.starts_with("POST /base/execute HTTP/1.1\r\n"), "{request}");
    for line in ["idempotency-key: run-0", "x-correlation-id: cor-1", "traceparent: 00-1"] {
        assert!(request.to_lowercase().contains(line), "{line}: {request}");
    }
    assert!(request.ends_with("{\"goal\":\"x\"}"), "{request}");
}

#[tokio::test]
async fn what_may_have_begun_is_tried_again_only_where_that_is_harmless() {
    use RetryClass::{Never, Tool};
    let cases = [
        (answer("503 Busy", "retry-after: 7\r\n", ""), "arm.busy", [Tool, Tool]),
        (answer("429 Slow down", "", ""), "arm.busy", [Tool, Tool]),
        (answer("500 Oops", "", "it broke"), "arm.server_error", [Tool, Never]),
        (answer("200 OK", "", "<html>"), "arm.garbled", [Tool, Never]),
        (answer("200 OK", "content-length: 99\r\n", "{"), "arm.cut", [Tool, Never]),
        (Act::Send(Vec::new()), "arm.cut", [Tool, Never]),
        (answer("422 No", "", "not my work"), "arm.task_refused", [Never, Never]),
        (
            answer("302 Found", "location: http://169.254.169.254/\r\n", ""),
            "arm.task_refused",
            [Never, Never],
        ),
        (answer("200 OK", "", &format!("\"{}\"", "x".repeat(2 << 20))), "arm.garbled", [Never, Never]),
    ];
    for (act, cause, [harmless, harmful]) in cases {
        let server = Server::play(vec![act]).await;
        for (repeat, retry) in [(Repeat::Harmless, harmless), (Repeat::Harmful, harmful)] {
            let (said, class, after) = execute(&server, repeat, LONG).await.unwrap_err();
            assert_eq!((said.as_str(), class), (cause, retry), "{repeat:?}");
            let asked = server.requests().len();
            assert!(asked <= 2, "one attempt a call");
            if after.is_some() {
                assert_eq!((cause, after), ("arm.busy", Some(Millis::seconds(7))));
            }
        }
    }
}

#[tokio::test]
async fn silence_ends_at_the_deadline_and_a_closed_port_at_once() {
    let server = Server::play(vec![Act::Hang(Vec::new())]).await;
    let (cause, class, _) = execute(&server, Repeat::Harmful, Duration::from_millis(100)).await.unwrap_err();
    assert_eq!((cause.as_str(), class), ("arm.timeout", RetryClass::Never));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let target = Target { arm: "a", endpoint: &endpoint, deadline: Instant::now() + LONG };
    let failure = Arms::default().health(target).await.unwrap_err().failure(Repeat::Harmful);
    assert_eq!((failure.cause.as_str(), failure.retry), ("arm.unreachable", RetryClass::Tool));
}
