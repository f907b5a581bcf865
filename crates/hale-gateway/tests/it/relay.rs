//! Calls of clients, passed on: what comes back whatever the provider does, before and after the first byte.

use crate::script::{Act, HELLO, STOP, Server, USAGE, answer, config, events, gateway, nobody, send};
use hale_core::retry::{Policy, RetryClass};
use hale_core::time::Millis;
use hale_gateway::calls::{Call, Outcome};
use hale_gateway::dialect::{Dialect, Version};
use hale_gateway::relay::{Answer, Endpoint, Incoming, Look, Refused};
use hale_gateway::{Gateway, ProviderConfig, Route};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const WHOLE: &str = r#"{"id":"c","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":3}}"#;
const JSON: &str = "content-type: application/json\r\n";
/// Long enough for a busy machine that sends at once, short enough to wait for.
const PATIENCE: Duration = Duration::from_millis(1500);

pub fn impatient(config: ProviderConfig) -> ProviderConfig {
    let mut config = config;
    config.timeouts.first_chunk = PATIENCE;
    config.timeouts.stall = PATIENCE;
    config
}

pub fn incoming(streamed: bool, fallback: &[&str]) -> Incoming {
    let body = format!(
        r#"{{"model":"x","stream":{streamed},  "messages":[{{"role":"user","content":"h\u00e9"}}],"x_own":[1.50,{{"a":null}}]}}"#
    );
    Incoming {
        dialect: Dialect::OpenAiChat,
        version: Version::default(),
        endpoint: Endpoint::Chat,
        look: Look::at(body.as_bytes()).unwrap(),
        body: body.into(),
        route: Route {
            primary: "a/m".to_owned(),
            fallback: fallback.iter().map(|model| (*model).to_owned()).collect(),
        },
        retry: RetryClass::Never.policy(),
        deadline: Instant::now() + Duration::from_secs(20),
        correlation_id: Arc::from("cor-1"),
        traceparent: None,
        tenant: None,
    }
}

/// What a client has in the end: the text of the answer, or why there is none.
pub async fn heard(gateway: &Gateway, incoming: &Incoming) -> Result<String, Box<Refused>> {
    Ok(match gateway.relay(incoming).await? {
        Answer::Whole { body, .. } => String::from_utf8(body.to_vec()).unwrap(),
        Answer::Stream { mut stream, .. } => {
            let mut bytes = Vec::new();
            while let Some(piece) = stream.next().await {
                bytes.extend_from_slice(&piece);
            }
            String::from_utf8(bytes).unwrap()
        }
    })
}

fn last_call(gateway: &Gateway) -> Call {
    gateway.calls().last(1).pop().expect("the call is recorded")
}

fn good(streamed: bool) -> Act {
    if streamed { events(&[HELLO, STOP, USAGE, "[DONE]"]) } else { answer("200 OK", JSON, WHOLE) }
}

/// One way in which an attempt comes to nothing before the first byte, and what that is called.
struct Fault {
    name: &'static str,
    act: Option<Act>,
    cause: &'static str,
    /// Whether another model may answer instead.
    mends: bool,
}

fn fault(name: &'static str, act: Act, cause: &'static str, mends: bool) -> Fault {
    Fault { name, act: Some(act), cause, mends }
}

fn status(line: &str, body: &str) -> Act {
    answer(line, JSON, body)
}

fn faults(streamed: bool) -> Vec<Fault> {
    let mut faults = vec![
        Fault { name: "nobody listens", act: None, cause: "llm.unreachable", mends: true },
        fault("no answer", Act::Hang(Vec::new()), "llm.timeout", true),
        fault("head, then silence", Act::Hang(b"HTTP/1.1 200 OK\r\n".to_vec()), "llm.timeout", true),
        fault("closed at once", send(""), "llm.stream_cut", true),
        fault("no HTTP", send("SSH-2.0-OpenSSH_9.9\r\n"), "llm.garbled", true),
        fault("408", status("408 Oh", "{}"), "llm.server_error", true),
        fault("409", status("409 Oh", "{}"), "llm.server_error", true),
        fault("425", status("425 Oh", "{}"), "llm.server_error", true),
        fault("429", status("429 Oh", r#"{"error":{"message":"slow"}}"#), "llm.rate_limited", true),
        fault("429 with a wait", status("429 Oh\r\nretry-after: 3600", "{}"), "llm.rate_limited", true),
        fault("500", status("500 Oh", "{}"), "llm.server_error", true),
        fault("502 in HTML", status("502 Oh", "<html>bad gateway</html>"), "llm.server_error", true),
        fault("503", status("503 Oh", ""), "llm.server_error", true),
        fault("504", status("504 Oh", "{}"), "llm.server_error", true),
        fault("529", status("529 Oh", "{}"), "llm.server_error", true),
        fault("401", status("401 Oh", "{}"), "llm.key_refused", false),
        fault("403", status("403 Oh", "{}"), "llm.key_refused", false),
        fault(
            "no such model",
            status("404 Oh", r#"{"error":{"code":"model_not_found"}}"#),
            "llm.model_not_found",
            false,
        ),
        fault("400", status("400 Oh", r#"{"error":{"message":"bad"}}"#), "llm.bad_request", false),
        fault(
            "context window",
            status("400 Oh", r#"{"error":{"code":"context_length_exceeded"}}"#),
            "llm.bad_request",
            false,
        ),
        fault("422", status("422 Oh", "{}"), "llm.bad_request", false),
        fault("redirect", status("302 Found\r\nlocation: http://127.0.0.1:1/", ""), "llm.bad_request", false),
        fault(
            "error in a good answer",
            status("200 OK", r#"{"error":{"message":"x","code":503}}"#),
            "llm.server_error",
            true,
        ),
    ];
    faults.extend(if streamed { of_streams() } else { of_wholes() });
    faults
}

fn of_streams() -> Vec<Fault> {
    let part = format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: {}", &HELLO[..20]);
    vec![
        fault(
            "an error is the first event",
            events(&[r#"{"error":{"code":429}}"#]),
            "llm.rate_limited",
            true,
        ),
        fault("garbage is the first event", events(&["no json"]), "llm.garbled", true),
        fault(
            "no event",
            answer("200 OK", "content-type: text/event-stream\r\n", ""),
            "llm.stream_cut",
            true,
        ),
        fault(
            "comments only",
            answer("200 OK", "content-type: text/event-stream\r\n", ": hi\n\n"),
            "llm.stream_cut",
            true,
        ),
        fault("half an event, then silence", Act::Hang(part.clone().into()), "llm.timeout", true),
        fault("half an event, then the end", send(part), "llm.stream_cut", true),
    ]
}

fn of_wholes() -> Vec<Fault> {
    let cut = format!("HTTP/1.1 200 OK\r\n{JSON}content-length: 500\r\n\r\n{WHOLE}");
    vec![
        fault("no JSON", status("200 OK", "hello"), "llm.garbled", true),
        fault("half a JSON", status("200 OK", &WHOLE[..60]), "llm.garbled", true),
        fault("no choices", status("200 OK", r#"{"id":"c"}"#), "llm.stream_cut", true),
        fault("shorter than it says", send(cut.clone()), "llm.stream_cut", true),
        fault("silence before the end", Act::Hang(cut.into()), "llm.timeout", true),
    ]
}

/// One cell: what was tried, by whom, and what the client has of it.
async fn cell(fault: Fault, streamed: bool, with_fallback: bool) {
    let name = format!("{} streamed={streamed} fallback={with_fallback}", fault.name);
    let first = match &fault.act {
        Some(act) => Some(Server::play(vec![act.clone()]).await),
        None => None,
    };
    let first_config = match &first {
        Some(server) => server.config("a"),
        None => config("a", &format!("http://{}/v1", nobody().await)),
    };
    let second = Server::play(vec![good(streamed)]).await;
    let gateway = gateway(vec![impatient(first_config), second.config("b")]);
    let call = incoming(streamed, if with_fallback { &["b/n"] } else { &[] });
    let answer = heard(&gateway, &call).await;
    let asked = first.as_ref().map_or(0, |server| server.requests().len());
    assert_eq!(asked, usize::from(first.is_some()), "{name}: the first model is asked once");
    let record = last_call(&gateway);
    assert_eq!(record.tried.len(), 1, "{name}: {record:?}");
    assert_eq!(record.tried[0].failure.cause, fault.cause, "{name}: {:?}", record.tried[0].failure);
    let served = fault.mends && with_fallback;
    assert_eq!(second.requests().len(), usize::from(served), "{name}");
    if served {
        let text = answer.unwrap_or_else(|refused| panic!("{name}: {refused:?}"));
        let wanted = if streamed {
            format!("data: {HELLO}\n\ndata: {STOP}\n\ndata: [DONE]\n\n")
        } else {
            WHOLE.to_owned()
        };
        assert_eq!(text, wanted, "{name}");
        assert_eq!((record.outcome, record.served_by.as_deref()), (Outcome::Answered, Some("b/n")), "{name}");
        assert_eq!(
            record.usage.map(|usage| (usage.input_tokens, usage.output_tokens)),
            Some((7, 3)),
            "{name}"
        );
    } else {
        let refused = answer.expect_err(&name);
        assert_eq!(refused.failure.cause, fault.cause, "{name}");
        assert_eq!((record.outcome, record.served_by), (Outcome::Failed, None), "{name}");
    }
}

// covers: OL-131, OL-132, OL-133, TRAP-16
#[tokio::test(flavor = "multi_thread")]
async fn before_the_first_byte_every_fault_has_its_name_and_another_model_answers_where_that_helps() {
    let mut cells = tokio::task::JoinSet::new();
    for streamed in [false, true] {
        for with_fallback in [false, true] {
            for fault in faults(streamed) {
                cells.spawn(cell(fault, streamed, with_fallback));
            }
        }
    }
    assert!(cells.len() >= 110, "{} cells", cells.len());
    while let Some(done) = cells.join_next().await {
        done.unwrap();
    }
}

/// An answer that begins well and then does this.
fn begun(then: &str) -> Vec<u8> {
    let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\n\r\n";
    format!("{head}data: {HELLO}\n\n{then}").into()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_first_byte_no_other_model_answers_and_the_last_event_says_what_went_wrong() {
    let cells = [
        ("silence", Act::Hang(begun("")), "llm.stalled"),
        ("silence in an event", Act::Hang(begun("data: {\"cho")), "llm.stalled"),
        ("the end", send(begun("")), "llm.stream_cut"),
        ("the end in an event", send(begun("data: {\"cho")), "llm.stream_cut"),
        (
            "an error",
            send(begun("data: {\"error\":{\"code\":429,\"message\":\"m\"}}\n\n")),
            "llm.rate_limited",
        ),
        (
            "an error of the server",
            send(begun("data: {\"error\":{\"message\":\"m\"}}\n\n")),
            "llm.server_error",
        ),
        ("garbage", send(begun("data: <html>\n\n")), "llm.garbled"),
        ("a huge event", send(begun(&format!("data: {{\"x\":\"{}", "y".repeat(2 << 20)))), "llm.stream_cut"),
    ];
    for (name, act, cause) in cells {
        for fallback in [&[][..], &["b/n"]] {
            let (first, second) =
                (Server::play(vec![act.clone()]).await, Server::play(vec![good(true)]).await);
            let gateway = gateway(vec![impatient(first.config("a")), second.config("b")]);
            let text = heard(&gateway, &incoming(true, fallback)).await.unwrap();
            let rest =
                text.strip_prefix(&format!("data: {HELLO}\n\n")).unwrap_or_else(|| panic!("{name}: {text}"));
            let event = rest.strip_prefix("data: ").and_then(|rest| rest.strip_suffix("\n\n"));
            let event = event.unwrap_or_else(|| panic!("{name}: one event, no successful end: {rest}"));
            let event: serde_json::Value = serde_json::from_str(event).unwrap();
            assert_eq!(event["error"]["code"], cause, "{name}: {event}");
            assert!(second.requests().is_empty(), "{name}: a stream that has begun is not begun anew");
            let record = last_call(&gateway);
            assert_eq!(record.outcome, Outcome::Failed, "{name}");
            assert_eq!(record.failure.unwrap().cause, cause, "{name}");
            assert_eq!(record.served_by.as_deref(), Some("a/m"), "{name}");
        }
    }
}

#[tokio::test]
async fn the_clients_bytes_are_passed_on_and_the_answers_come_back_as_they_were() {
    let server = Server::play(vec![good(false)]).await;
    let gateway = gateway(vec![server.config("a")]);
    assert_eq!(heard(&gateway, &incoming(false, &[])).await.unwrap(), WHOLE);
    let sent = server.requests().remove(0);
    let body = sent.split_once("\r\n\r\n").unwrap().1;
    let kept = r#"{"model":"m","stream":false,"messages":[{"role":"user","content":"h\u00e9"}],"x_own":[1.50,{"a":null}]}"#;
    assert_eq!(body, kept);
    assert!(sent.starts_with("POST /v1/chat/completions "), "{sent}");
    assert!(sent.contains("x-correlation-id: cor-1\r\n"), "{sent}");
}

#[tokio::test]
async fn usage_is_asked_for_and_shown_only_to_those_who_asked() {
    for (options, shown) in [
        ("", false),
        (r#","stream_options":{"include_usage":true,"x":1}"#, true),
        (r#","stream_options":{"x":1}"#, false),
    ] {
        let server = Server::play(vec![good(true)]).await;
        let gateway = gateway(vec![server.config("a")]);
        let body = format!(r#"{{"model":"x","stream":true{options}}}"#);
        let call =
            Incoming { look: Look::at(body.as_bytes()).unwrap(), body: body.into(), ..incoming(true, &[]) };
        let text = heard(&gateway, &call).await.unwrap();
        assert_eq!(text.contains("prompt_tokens"), shown, "{options}: {text}");
        let sent = server.requests().remove(0);
        assert!(sent.contains(r#""include_usage":true"#), "{sent}");
        assert_eq!(sent.contains(r#""x":1"#), options.contains('x'), "{sent}");
        assert_eq!(last_call(&gateway).usage.unwrap().output_tokens, 3);
    }
}

#[tokio::test]
async fn a_stream_is_the_same_wherever_its_bytes_are_cut() {
    let events = format!(": hi\r\n\r\ndata: {HELLO}\r\n\r\ndata:{HELLO}\n\ndata: {STOP}\n\ndata: [DONE]\n\n");
    let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\n\r\n";
    for at in 0..events.len() {
        let pieces = vec![format!("{head}{}", &events[..at]).into(), events[at..].into()];
        let server = Server::play(vec![Act::Send(pieces)]).await;
        let text = heard(&gateway(vec![server.config("a")]), &incoming(true, &[])).await.unwrap();
        assert_eq!(text, events, "cut at {at}");
    }
}

#[tokio::test]
async fn an_end_that_a_server_left_away_is_said_for_it() {
    for tail in ["\n\n", "\n", ""] {
        let body = format!("data: {HELLO}\n\ndata: {STOP}{tail}");
        let server = Server::play(vec![answer("200 OK", "content-type: text/event-stream\r\n", &body)]).await;
        let text = heard(&gateway(vec![server.config("a")]), &incoming(true, &[])).await.unwrap();
        assert_eq!(text, format!("data: {HELLO}\n\ndata: {STOP}\n\ndata: [DONE]\n\n"), "{tail:?}");
    }
}

fn soon(retries_max: u32) -> Policy {
    Policy { retries_max, wait_min: Millis(5), wait_max: Millis(20), jitter_max: Millis(0) }
}

// covers: OL-140
#[tokio::test]
async fn all_models_are_tried_again_after_a_wait_within_one_budget_of_attempts() {
    let busy = || status("503 Oh", "{}");
    let (first, second) =
        (Server::play(vec![busy(), busy(), good(false)]).await, Server::play(vec![busy()]).await);
    let gateway = gateway(vec![first.config("a"), second.config("b")]);
    let call = Incoming { retry: soon(3), ..incoming(false, &["b/n"]) };
    assert_eq!(heard(&gateway, &call).await.unwrap(), WHOLE);
    let asked: Vec<String> = last_call(&gateway).tried.into_iter().map(|tried| tried.model).collect();
    assert_eq!(asked, ["a/m", "b/n", "a/m", "b/n"]);

    let first = Server::play(vec![busy()]).await;
    let gateway = crate::script::gateway(vec![first.config("a")]);
    let refused = heard(&gateway, &Incoming { retry: soon(50), ..incoming(false, &[]) }).await.unwrap_err();
    assert_eq!((refused.tried.len(), first.requests().len()), (6, 6), "the budget of attempts");
    assert_eq!(refused.failure.cause, "llm.server_error");
}

// covers: OL-143
#[tokio::test]
async fn what_the_provider_asks_for_wins_and_a_wait_past_the_deadline_is_not_begun() {
    let server = Server::play(vec![status("429 Oh\r\nretry-after: 3600", "{}")]).await;
    let gateway = gateway(vec![server.config("a")]);
    let began = Instant::now();
    let refused = heard(&gateway, &Incoming { retry: soon(3), ..incoming(false, &[]) }).await.unwrap_err();
    assert_eq!((server.requests().len(), refused.tried.len()), (1, 1));
    assert_eq!(refused.failure.retry_after, Some(Millis::seconds(3600)));
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn nothing_of_a_failed_attempt_reaches_the_client() {
    let busy = status(
        "503 Oh\r\nx-ratelimit-remaining-requests: 0\r\nx-secret: 1",
        r#"{"error":{"message":"of a"}}"#,
    );
    let (first, second) = (
        Server::play(vec![busy]).await,
        Server::play(vec![answer(
            "200 OK",
            &format!("{JSON}x-ratelimit-remaining-requests: 7\r\nset-cookie: a=b\r\n"),
            WHOLE,
        )])
        .await,
    );
    let gateway = gateway(vec![first.config("a"), second.config("b")]);
    let Answer::Whole { head, .. } = gateway.relay(&incoming(false, &["b/n"])).await.unwrap() else {
        panic!("whole")
    };
    let names: Vec<&str> = head.headers.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["x-ratelimit-remaining-requests"]);
    assert_eq!(head.headers["x-ratelimit-remaining-requests"], "7");
    assert_eq!((head.failed_attempts, head.served_by.as_str()), (1, "b/n"));
}

#[tokio::test]
async fn a_providers_own_words_are_told_for_a_request_that_it_does_not_take_and_for_nothing_else() {
    let words = r#"{"error":{"message":"no temperature","param":"temperature"}}"#;
    for (line, said) in [("400 Oh", true), ("422 Oh", true), ("401 Oh", false), ("500 Oh", false)] {
        let server = Server::play(vec![status(line, words)]).await;
        let refused = heard(&gateway(vec![server.config("a")]), &incoming(false, &[])).await.unwrap_err();
        let told = refused.said.map(|(status, words)| (status, String::from_utf8(words.to_vec()).unwrap()));
        assert_eq!(told, said.then(|| (line[..3].parse().unwrap(), words.to_owned())), "{line}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_is_recorded_and_its_provider_is_let_go() {
    let server = Server::play(vec![Act::Hang(begun(""))]).await;
    let gateway = gateway(vec![server.config("a")]);
    let Answer::Stream { mut stream, .. } = gateway.relay(&incoming(true, &[])).await.unwrap() else {
        panic!("a stream")
    };
    assert!(stream.next().await.is_some());
    assert!(gateway.calls().last(1).is_empty(), "it has not ended");
    drop(stream);
    let record = last_call(&gateway);
    assert_eq!((record.outcome, record.served_by.as_deref()), (Outcome::Left, Some("a/m")));
    assert!(record.first_byte.is_some());
}

#[test]
fn a_body_that_names_no_model_or_a_field_twice_is_refused() {
    for (body, field, says) in [
        ("", None, "JSON object"),
        ("[]", None, "JSON object"),
        ("{\"model\":\"a\"} x", None, "trailing"),
        ("{}", Some("model"), "model"),
        (r#"{"model":null}"#, Some("model"), "model"),
        (r#"{"model":" "}"#, Some("model"), "model"),
        (r#"{"model":7}"#, Some("model"), "string"),
        (r#"{"model":"a","stream":"yes"}"#, Some("stream"), "boolean"),
        (r#"{"model":"a","model":"b"}"#, None, "stands twice"),
        (r#"{"model":"a","mode\u006c":"b"}"#, None, "stands twice"),
    ] {
        let bad = Look::at(body.as_bytes()).unwrap_err();
        assert_eq!(bad.field.as_deref(), field, "{body}: {bad:?}");
        assert!(bad.message.contains(says), "{body}: {bad:?}");
    }
    let deep = format!(r#"{{"model":"a","x":{}{}}}"#, "[".repeat(200_000), "]".repeat(200_000));
    // Bounded whatever the depth: read or refused, but not on the stack.
    let _ = Look::at(deep.as_bytes());
}
