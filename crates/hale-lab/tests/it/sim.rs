//! The simulated models, asked through hale's own gateway: both ends of the dialect at once.

use hale_core::time::Timestamp;
use hale_gateway::call::{KeySource, Timeouts};
use hale_gateway::provider::unheard;
use hale_gateway::secret::Secrets;
use hale_gateway::{
    ChatReply, ChatRequest, Failed, Finish, Gateway, Message, ProviderConfig, Route, Served, ToolSpec,
};
use hale_lab::sim::{CallLog, Control, Fault, FaultSpec, Script, Server};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

async fn server() -> Server {
    Server::start("127.0.0.1:0".parse().unwrap(), 7, Script::default()).await.unwrap()
}

fn gateway(server: &Server, timeouts: Timeouts) -> Gateway {
    let keyed = Secrets::new(
        Arc::new(|name| (name == "SIM_API_KEY").then(|| "right-key-123".to_owned())),
        "/nonexistent",
    );
    let gateway = Gateway::new(keyed, Arc::new(|| Timestamp(0)));
    let key = KeySource::Optional("sim".to_owned());
    let config = ProviderConfig {
        name: "sim".to_owned(),
        base_url: server.base_url(),
        key,
        speaks: hale_gateway::site::Speaks::OpenAi,
        timeouts,
    };
    gateway.configure(vec![config]).unwrap();
    gateway
}

fn request(messages: Vec<Message>, tools: &[&str]) -> ChatRequest {
    let spec = |name: &&str| ToolSpec {
        name: (*name).to_owned(),
        description: String::new(),
        parameters: json!({}),
    };
    ChatRequest {
        model: String::new(),
        messages,
        tools: tools.iter().map(spec).collect(),
        max_tokens: None,
        temperature: None,
        seed: None,
        deadline: Instant::now() + Duration::from_secs(30),
        correlation_id: "corr-1".to_owned(),
        traceparent: None,
        idempotency_key: "key-1".to_owned(),
    }
}

/// Waits that are longer than any pause of a busy machine.
const PATIENT: Timeouts = Timeouts { first_chunk: Duration::from_secs(20), stall: Duration::from_secs(20) };

/// One call to this model.
async fn ask(server: &Server, model: &str, request: ChatRequest) -> Result<Served, Failed> {
    gateway(server, PATIENT).chat(&Route::to(format!("sim/{model}")), request, &unheard).await
}

async fn reply(server: &Server, messages: Vec<Message>, tools: &[&str]) -> ChatReply {
    ask(server, "small", request(messages, tools)).await.unwrap().reply
}

fn ada() -> Vec<Message> {
    vec![Message::system("You greet."), Message::user(r#"{"name":"Ada"}"#)]
}

#[tokio::test]
async fn the_same_question_gets_the_same_answer() {
    let (one, two) = (server().await, server().await);
    let (first, second) = (reply(&one, ada(), &[]).await, reply(&two, ada(), &[]).await);
    assert!(first.text.starts_with("Hello, Ada. "), "{}", first.text);
    assert!(first.text.contains("Simulated answer of sim/small"), "{}", first.text);
    assert_eq!((&first.text, first.usage), (&second.text, second.usage));
    let input = "You greet.".len() + r#"{"name":"Ada"}"#.len();
    assert_eq!(first.usage.input_tokens, input.div_ceil(4) as u64);
    assert_eq!(first.usage.output_tokens, first.text.len().div_ceil(4) as u64);
}

#[tokio::test]
async fn another_seed_or_model_may_answer_otherwise() {
    let mut texts = std::collections::BTreeSet::new();
    for seed in 0..8 {
        let server = Server::start("127.0.0.1:0".parse().unwrap(), seed, Script::default()).await.unwrap();
        texts.insert(reply(&server, ada(), &[]).await.text);
    }
    assert!(texts.len() > 1, "{texts:?}");
    let backup = ask(&server().await, "backup", request(ada(), &[])).await.unwrap().reply;
    assert_eq!(backup.model, "backup");
}

const LOG: &str = "2026-11-20 10:00:01 status installed libc6:amd64 2.41\n\
    2026-11-20 10:00:02 upgrade zlib:amd64 1.2 1.3\n\
    2026-11-20 10:00:03 status installed zlib:amd64 1.3\n\
    2026-11-20 10:00:09 error processing archive\n";

/// Plays the tools for the model until it answers; the calls it made, and its answer.
async fn work(
    server: &Server,
    tools: &[&str],
    result: impl Fn(&str, &Value) -> Value,
) -> (Vec<(String, Value)>, String) {
    let mut messages = vec![Message::user(r#"{"path":"/var/log/dpkg.log"}"#)];
    let mut calls = Vec::new();
    loop {
        let reply = reply(server, messages.clone(), tools).await;
        messages.push(reply.message());
        if reply.tool_calls.is_empty() {
            assert_eq!(reply.finish, Finish::Stop);
            return (calls, reply.text);
        }
        assert_eq!(reply.finish, Finish::ToolCalls);
        for call in reply.tool_calls {
            messages.push(Message::tool(call.id, result(&call.name, &call.arguments).to_string()));
            calls.push((call.name, call.arguments));
        }
    }
}

#[tokio::test]
async fn a_file_is_read_searched_and_summed_up_from_what_is_in_it() {
    let result = |name: &str, _: &Value| match name {
        "files_read" => json!({"path": "/var/log/dpkg.log", "text": LOG, "truncated": false}),
        _ => {
            json!({"matches": [{"path": "/var/log/dpkg.log", "line": 4, "text": "error processing archive"}]})
        }
    };
    let (calls, text) = work(&server().await, &["files_list", "files_read", "files_search"], result).await;
    let path = json!({"path": "/var/log/dpkg.log"});
    let search = json!({"path": "/var/log/dpkg.log", "pattern": "(?i)error|fail|warn"});
    assert_eq!(calls, [("files_read".to_owned(), path), ("files_search".to_owned(), search)]);
    for fact in [
        "/var/log/dpkg.log: 4 lines",
        "install 2, upgrade 1, remove 0, error 1, warn 0, fail 0",
        "from 2026-11-20 10:00:01 to 2026-11-20 10:00:09",
        "most repeated: \"status installed\" 2 times",
        "found 1 lines, the first: line 4, \"error processing archive\"",
    ] {
        assert!(text.contains(fact), "{fact} in {text}");
    }
}

#[tokio::test]
async fn a_long_file_is_read_on_and_a_part_is_called_a_part() {
    let result = |_: &str, arguments: &Value| {
        let offset = arguments.get("offset").and_then(Value::as_u64).unwrap_or(0);
        json!({"text": LOG, "truncated": true, "next_offset": offset + 1000})
    };
    let (calls, text) = work(&server().await, &["files_read"], result).await;
    let offsets: Vec<Option<u64>> =
        calls.iter().map(|(_, arguments)| arguments.get("offset")?.as_u64()).collect();
    assert_eq!(offsets, [None, Some(1000), Some(2000)]);
    assert!(text.contains("its first 3000 bytes: 12 lines"), "{text}");
}

#[tokio::test]
async fn a_tool_that_failed_is_reported_as_failed() {
    let result =
        |_: &str, _: &Value| json!({"error": {"code": "E013", "message": "outside of the granted folders"}});
    let (calls, text) = work(&server().await, &["files_read", "files_search"], result).await;
    assert_eq!(calls.len(), 1);
    assert!(text.contains("The tool files_read failed: outside of the granted folders."), "{text}");
    assert!(!text.contains("0 lines"), "{text}");
}

#[tokio::test]
async fn a_folder_is_listed() {
    let result = |name: &str, _: &Value| match name {
        "files_read" => json!({"error": "it is a folder"}),
        _ => json!({"entries": [{"path": "/var/log/dpkg.log/a"}, {"path": "/var/log/dpkg.log/b"}]}),
    };
    let (calls, text) = work(&server().await, &["files_read", "files_list"], result).await;
    assert_eq!(calls.last().unwrap().0, "files_list");
    assert!(text.contains("a folder with 2 entries: "), "{text}");
}

#[tokio::test]
async fn a_named_step_builds_on_the_one_before() {
    let server = server().await;
    let mut messages = vec![Message::user(r#"{"topic":"rust"}"#), Message::user("Step 1/2: collection")];
    let first = reply(&server, messages.clone(), &[]).await;
    assert!(
        first.text.starts_with("Step 1/2, collection: the input has 1 field: topic = \"rust\"."),
        "{}",
        first.text
    );
    messages.extend([first.message(), Message::user("Step 2/2: analysis")]);
    let second = reply(&server, messages, &[]).await.text;
    assert!(second.starts_with("Step 2/2, analysis: builds on "), "{second}");
    assert!(second.contains("Step 1/2, collection"), "{second}");
}

#[tokio::test]
async fn a_limit_of_tokens_cuts_the_answer() {
    let mut request = request(ada(), &[]);
    request.max_tokens = Some(3);
    let reply = ask(&server().await, "small", request).await.unwrap().reply;
    assert_eq!((reply.text.as_str(), reply.finish), ("Hello, Ada. ", Finish::Length));
}

/// The cause that one call meets under a fault; the fault must have taken effect.
async fn cause_of(fault: Fault) -> Failed {
    let server = server().await;
    let stall = if fault == Fault::Stall { Duration::from_millis(200) } else { PATIENT.stall };
    let id = server.control.set(fault).unwrap();
    let asked = gateway(&server, Timeouts { stall, ..PATIENT });
    let failed = asked.chat(&Route::to("sim/small"), request(ada(), &[]), &unheard).await.unwrap_err();
    assert_eq!(server.control.hits(id), 1, "the fault did not take effect");
    server.control.clear(id);
    ask(&server, "small", request(ada(), &[])).await.unwrap();
    failed
}

#[tokio::test]
async fn each_fault_is_seen_as_what_it_is_and_ends_when_cleared() {
    let cases = [
        (Fault::RateLimit { retry_after: Some(20) }, "llm.rate_limited"),
        (Fault::RateLimit { retry_after: None }, "llm.rate_limited"),
        (Fault::KeyRefused, "llm.key_refused"),
        (Fault::ServerError, "llm.server_error"),
        (Fault::Garbage, "llm.garbled"),
        (Fault::CutStream, "llm.stream_cut"),
        (Fault::WrongContentLength, "llm.stream_cut"),
        (Fault::Stall, "llm.stalled"),
    ];
    for (fault, cause) in cases {
        let failure = cause_of(fault.clone()).await.failure;
        assert_eq!(failure.cause, cause, "{fault:?}: {failure}");
        let asked_to_wait = failure.retry_after.map(|wait| wait.0);
        let expected = (fault == Fault::RateLimit { retry_after: Some(20) }).then_some(20_000);
        assert_eq!(asked_to_wait, expected, "{fault:?}");
    }
}

#[tokio::test]
async fn a_slow_or_dripping_answer_is_right_in_the_end() {
    let server = server().await;
    let plain = reply(&server, ada(), &[]).await;
    for fault in [Fault::Slow { first_token_ms: 120, per_chunk_ms: 5 }, Fault::Drip] {
        let id = server.control.set(fault.clone()).unwrap();
        let late = reply(&server, ada(), &[]).await;
        assert_eq!((server.control.hits(id), &late.text), (1, &plain.text));
        if matches!(fault, Fault::Slow { .. }) {
            assert!(late.time_to_first_chunk.unwrap().0 >= 120, "{late:?}");
        }
        server.control.clear(id);
    }
}

#[tokio::test]
async fn a_loop_asks_for_the_same_call_again() {
    let server = server().await;
    let id = server.control.set(Fault::LoopTools).unwrap();
    let mut messages = vec![Message::user(r#"{"path":"/a"}"#)];
    let mut seen = Vec::new();
    for _ in 0..3 {
        let reply = reply(&server, messages.clone(), &["files_read"]).await;
        let call = reply.tool_calls[0].clone();
        messages.extend([reply.message(), Message::tool(call.id.clone(), "{\"text\":\"x\"}")]);
        seen.push(call);
    }
    assert!(seen.iter().all(|call| call.name == "files_read" && call.arguments == json!({"path": "/a"})));
    assert!(seen[0].id != seen[1].id && seen[1].id != seen[2].id);
    reply(&server, ada(), &[]).await;
    assert_eq!(server.control.hits(id), 3, "without tools there is nothing to loop on");
}

#[tokio::test]
async fn a_fault_holds_for_its_model_and_its_count() {
    let server = server().await;
    let id = server.control.set(FaultSpec::from(Fault::ServerError).on("small").times(2)).unwrap();
    ask(&server, "backup", request(ada(), &[])).await.unwrap();
    for _ in 0..2 {
        ask(&server, "small", request(ada(), &[])).await.unwrap_err();
    }
    ask(&server, "small", request(ada(), &[])).await.unwrap();
    let view = server.control.faults().remove(0);
    assert_eq!((view.id, view.hits, view.count_left, view.active), (id, 2, Some(0), false));
}

#[tokio::test(start_paused = true)]
async fn a_fault_ends_with_its_time() {
    let control = Control::default();
    control.set(FaultSpec::from(Fault::ServerError).lasting(Duration::from_secs(120))).unwrap();
    tokio::time::advance(Duration::from_secs(119)).await;
    assert_eq!((control.faults()[0].active, control.faults()[0].ms_left), (true, Some(1000)));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(!control.faults()[0].active);
}

#[tokio::test]
async fn calls_are_logged_with_their_ids_and_outcome() {
    let server = server().await;
    server.control.set(FaultSpec::from(Fault::RateLimit { retry_after: None }).times(1)).unwrap();
    ask(&server, "small", request(ada(), &[])).await.unwrap_err();
    ask(&server, "small", request(ada(), &[])).await.unwrap();
    ask(&server, "none", request(ada(), &[])).await.unwrap_err();
    let outcomes: Vec<String> = server.control.calls().into_iter().map(|call| call.outcome).collect();
    assert_eq!(outcomes, ["rate_limit", "answered", "refused 404"]);
    let CallLog { model, idempotency_key, correlation_id, messages, .. } = server.control.calls().remove(1);
    assert_eq!((model.as_str(), messages, server.control.calls_total()), ("small", 2, 3));
    assert_eq!((idempotency_key.as_deref(), correlation_id.as_deref()), (Some("key-1"), Some("corr-1")));
}

#[tokio::test]
async fn a_key_is_asked_for_where_one_is_set() {
    for (wanted, right) in [("right-key-123", true), ("another-key-9", false)] {
        let script = Script { faults: Vec::new(), api_key: Some(wanted.to_owned()) };
        let server = Server::start("127.0.0.1:0".parse().unwrap(), 7, script).await.unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        let probed = gateway(&server, PATIENT).probe("sim", deadline).await;
        let asked = ask(&server, "small", request(ada(), &[])).await;
        match right {
            true => assert_eq!(
                (probed.unwrap(), asked.is_ok()),
                (vec!["small".into(), "large".into(), "backup".into()], true)
            ),
            false => {
                assert_eq!(probed.unwrap_err().cause, "llm.key_refused");
                let shown = asked.unwrap_err().failure.to_string();
                assert!(shown.contains("[key]") && !shown.contains("right-key-123"), "{shown}");
            }
        }
    }
}

#[tokio::test]
async fn what_openai_refuses_is_refused() {
    let server = server().await;
    let orphan = vec![Message::user("hi"), Message::tool("nowhere", "x")];
    for messages in [vec![], orphan] {
        let failure = ask(&server, "small", request(messages, &[])).await.unwrap_err().failure;
        assert_eq!(failure.cause, "llm.bad_request", "{failure}");
    }
    let failure = ask(&server, "gpt", request(ada(), &[])).await.unwrap_err().failure;
    assert_eq!(failure.cause, "llm.model_not_found", "{failure}");
}

#[tokio::test]
async fn a_server_that_was_shut_down_is_unreachable_at_once() {
    let server = server().await;
    let asked = gateway(&server, PATIENT);
    let id = server.control.set(Fault::Stall).unwrap();
    let control = server.control.clone();
    let route = Route::to("sim/small");
    let stalled = asked.chat(&route, request(ada(), &[]), &unheard);
    let down = async {
        while control.hits(id) == 0 {
            tokio::task::yield_now().await;
        }
        server.shutdown().await;
    };
    let (broken, ()) = tokio::join!(stalled, down);
    assert_eq!(broken.unwrap_err().failure.cause, "llm.stream_cut");
    let after = asked.chat(&route, request(ada(), &[]), &unheard).await.unwrap_err();
    assert_eq!(after.failure.cause, "llm.unreachable");
}

/// A request as another process would send it; status and body.
async fn raw(server: &Server, method: &str, path: &str, extra: &str, body: &str) -> (u16, Value) {
    let mut socket = tokio::net::TcpStream::connect(server.addr).await.unwrap();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{extra}content-length: {length}\r\n\r\n"
    );
    socket.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    let status = answer[9..12].parse().unwrap();
    (status, serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap_or_default())
}

#[tokio::test]
async fn another_process_steers_the_faults() {
    let server = server().await;
    let spec = r#"{"fault":{"kind":"rate_limit","retry_after":5},"model":"small","for_ms":60000}"#;
    let (status, made) = raw(&server, "POST", "/sim/faults", "", spec).await;
    assert_eq!((status, &made), (201, &json!({"id": 1})));
    ask(&server, "small", request(ada(), &[])).await.unwrap_err();
    let (_, listed) = raw(&server, "GET", "/sim/faults", "", "").await;
    assert_eq!(
        (&listed["faults"][0]["hits"], &listed["faults"][0]["fault"]["retry_after"]),
        (&json!(1), &json!(5))
    );
    assert_eq!(raw(&server, "DELETE", "/sim/faults/1", "", "").await.0, 204);
    assert_eq!(raw(&server, "DELETE", "/sim/faults/1", "", "").await.0, 404);
    ask(&server, "small", request(ada(), &[])).await.unwrap();
    assert_eq!(raw(&server, "GET", "/sim/calls", "", "").await.1["total"], 2);
    for bad in [r#"{"fault":{"kind":"nonsense"}}"#, r#"{"fault":{"kind":"stall"},"modell":"small"}"#, "{"] {
        assert_eq!(raw(&server, "POST", "/sim/faults", "", bad).await.0, 400, "{bad}");
    }
    let page = raw(&server, "POST", "/sim/faults", "origin: http://evil.example\r\n", spec).await;
    assert_eq!((page.0, server.control.faults().len()), (403, 0));
}

#[tokio::test]
async fn an_answer_is_given_whole_where_no_stream_is_asked_for() {
    let server = server().await;
    let asked = r#"{"model":"small","messages":[{"role":"user","content":[{"type":"text","text":"{\"name\":\"Ada\"}"}]}]}"#;
    let (status, answer) = raw(&server, "POST", "/v1/chat/completions", "", asked).await;
    let text = answer["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(status == 200 && text.starts_with("Hello, Ada."), "{answer}");
    assert!(answer["usage"]["completion_tokens"].as_u64().unwrap() > 0);
}
