//! What goes over the wire, and what comes back from it.

use crate::script::{
    Act, HELLO, STOP, Server, USAGE, answer, call, events, gateway, hello, request, with_secrets,
};
use hale_core::time::Millis;
use hale_gateway::call::KeySource;
use hale_gateway::openai::refusal::retry_after;
use hale_gateway::provider::{Counted, unheard};
use hale_gateway::secret::Secrets;
use hale_gateway::{ChatReply, Finish, Message, Route, ToolCall, ToolSpec, Usage};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

fn body(request: &str) -> Value {
    serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap()
}

// covers: TR-37
#[tokio::test]
async fn a_request_carries_its_conversation_and_its_ids() {
    let server = Server::play(vec![hello()]).await;
    let mut request = request();
    let call =
        ToolCall { id: "c1".to_owned(), name: "files_read".to_owned(), arguments: json!({"path": "/a"}) };
    request.messages = vec![
        Message::system("be brief"),
        Message::user("hi"),
        Message::Assistant { content: String::new(), tool_calls: vec![call] },
        Message::tool("c1", "text"),
    ];
    let parameters = json!({"type": "object"});
    request.tools =
        vec![ToolSpec { name: "files_read".to_owned(), description: "reads".to_owned(), parameters }];
    (request.max_tokens, request.temperature, request.seed) = (Some(100), Some(0.5), Some(7));
    request.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    gateway(vec![server.config("a")]).chat(&Route::to("a/m/x"), request, &unheard).await.unwrap();
    let sent = server.requests().remove(0);
    assert!(sent.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{sent}");
    for header in [
        "x-correlation-id: corr-1",
        "idempotency-key: run_1/2",
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        concat!("user-agent: hale/", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(sent.contains(&format!("\r\n{header}\r\n")), "{header} in {sent}");
    }
    assert!(!sent.contains("authorization"), "{sent}");
    let function = json!({"name": "files_read", "arguments": "{\"path\":\"/a\"}"});
    let expected = json!({
        "model": "m/x",
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function", "function": function}]},
            {"role": "tool", "tool_call_id": "c1", "content": "text"},
        ],
        "stream": true,
        "stream_options": {"include_usage": true},
        "tools": [{"type": "function", "function": {"name": "files_read", "description": "reads", "parameters": {"type": "object"}}}],
        "max_tokens": 100,
        "temperature": 0.5,
        "seed": 7,
    });
    assert_eq!(body(&sent), expected);
}

#[tokio::test]
async fn an_answer_comes_back_whole_and_reads_back_from_json() {
    let reply = call(vec![hello()]).await.unwrap().reply;
    assert_eq!((reply.text.as_str(), reply.model.as_str(), reply.provider.as_str()), ("hello", "m-1", "a"));
    assert_eq!(reply.usage, Usage { input_tokens: 7, output_tokens: 3, counted: Counted::Provider });
    assert!(reply.time_to_first_chunk.unwrap() <= reply.latency);
    let text = serde_json::to_string(&reply).unwrap();
    assert_eq!(serde_json::from_str::<ChatReply>(&text).unwrap(), reply);
}

#[tokio::test]
async fn tool_calls_are_put_together_from_their_pieces() {
    let delta = |calls: &str| format!(r#"{{"choices":[{{"delta":{{"tool_calls":[{calls}]}}}}]}}"#);
    let pieces = [
        delta(r#"{"index":0,"id":"c1","function":{"name":"f","arguments":""}}"#),
        delta(r#"{"index":1,"id":"c2","function":{"name":"g","arguments":"{\"b\""}}"#),
        delta(r#"{"index":0,"function":{"arguments":"{\"a\":"}},{"index":1,"function":{"arguments":":2}"}}"#),
        delta(r#"{"index":0,"function":{"arguments":"1}"}}"#),
        delta(r#"{"index":2,"id":"c3","function":{"name":"h"}}"#),
        r#"{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}"#.to_owned(),
    ];
    let script = events(&pieces.iter().map(String::as_str).chain(["[DONE]"]).collect::<Vec<_>>());
    let reply = call(vec![script]).await.unwrap().reply;
    let call = |id: &str, name: &str, arguments| ToolCall { id: id.into(), name: name.into(), arguments };
    let expected =
        [call("c1", "f", json!({"a": 1})), call("c2", "g", json!({"b": 2})), call("c3", "h", json!({}))];
    assert_eq!((reply.tool_calls.as_slice(), reply.finish), (&expected[..], Finish::ToolCalls));
}

#[tokio::test]
async fn an_answer_in_one_piece_is_taken_too() {
    let body = r#"{"model":"m","choices":[{"message":{"role":"assistant","content":"whole","tool_calls":[
        {"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}},
        {"id":"c2","type":"function","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"stop"}],
        "usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
    let reply = call(vec![answer("200 OK", "content-type: application/json\r\n", body)]).await.unwrap().reply;
    assert_eq!((reply.text.as_str(), reply.tool_calls.len(), reply.finish), ("whole", 2, Finish::ToolCalls));
}

#[tokio::test]
async fn an_answer_at_its_limit_of_tokens_says_so() {
    let cut = r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{\"a"}}]},"finish_reason":"length"}]}"#;
    let reply = call(vec![events(&[HELLO, cut, "[DONE]"])]).await.unwrap().reply;
    assert_eq!((reply.finish, reply.tool_calls.len()), (Finish::Length, 0));
}

#[tokio::test]
async fn byte_by_byte_with_carriage_returns_and_comments_is_the_same_answer() {
    let body = format!(
        "\u{feff}: hi\r\n\r\ndata: {HELLO}\r\n\r\n:\r\nevent: x\r\ndata:{STOP}\r\n\r\ndata: {USAGE}\r\n\r\ndata: [DONE]"
    );
    let mut pieces = vec![b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec()];
    pieces.extend(body.bytes().map(|byte| vec![byte]));
    let reply = call(vec![Act::Send(pieces)]).await.unwrap().reply;
    assert_eq!((reply.text.as_str(), reply.usage.input_tokens), ("hello", 7));
}

// covers: TRAP-04
#[tokio::test]
async fn a_key_goes_into_its_header_and_nowhere_else() {
    let key = "sk-proj-abcdef0123456789";
    let quoted =
        format!(r#"{{"error":{{"message":"Incorrect API key provided: {key}. And sk-proj*****6789."}}}}"#);
    let server = Server::play(vec![answer("401 Unauthorized", "", &quoted)]).await;
    let mut config = server.config("a");
    config.key = KeySource::Required("a".to_owned());
    let secrets =
        Secrets::new(Arc::new(move |name| (name == "A_API_KEY").then(|| key.to_owned())), "/nonexistent");
    let failed =
        with_secrets(vec![config], secrets).chat(&Route::to("a/m"), request(), &unheard).await.unwrap_err();
    assert!(server.requests()[0].contains(&format!("\r\nauthorization: Bearer {key}\r\n")));
    let shown = serde_json::to_string(&failed).unwrap();
    assert!(shown.contains("Incorrect API key provided: [key]"), "{shown}");
    assert!(!shown.contains("sk-proj") && !shown.contains("6789"), "{shown}");
}

#[tokio::test]
async fn a_missing_key_is_e005_with_the_command_that_sets_it() {
    let server = Server::play(vec![hello()]).await;
    let mut config = server.config("a");
    config.key = KeySource::Required("a".to_owned());
    let failed =
        gateway(vec![config.clone()]).chat(&Route::to("a/m"), request(), &unheard).await.unwrap_err();
    assert_eq!(
        (failed.failure.code.to_string(), failed.failure.cause.as_str()),
        ("E005".to_owned(), "llm.key_missing")
    );
    assert!(failed.failure.message.contains("hale secrets set a"), "{}", failed.failure);
    assert!(server.requests().is_empty());
    config.key = KeySource::Optional("a".to_owned());
    gateway(vec![config]).chat(&Route::to("a/m"), request(), &unheard).await.unwrap();
}

#[test]
fn retry_after_is_read_in_all_its_forms_and_garbage_is_ignored() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_770);
    let cases = [
        ("retry-after", "3", Some(3000)),
        ("retry-after", " 2.5 ", Some(2500)),
        ("retry-after", "0", Some(0)),
        ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT", Some(7000)),
        ("retry-after", "Sunday, 06-Nov-94 08:49:37 GMT", Some(7000)),
        ("retry-after", "Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
        ("retry-after", "99999999999999999999", Some(86_400_000)),
        ("retry-after-ms", "1500", Some(1500)),
        ("retry-after", "soon", None),
        ("retry-after", "-1", None),
        ("retry-after", "inf", None),
        ("retry-after", "NaN", None),
        ("retry-after", "", None),
        ("x-other", "3", None),
    ];
    for (name, value, expected) in cases {
        let pair = (HeaderName::from_static(name), HeaderValue::from_static(value));
        let headers: HeaderMap = [pair].into_iter().collect();
        assert_eq!(retry_after(&headers, now), expected.map(Millis), "{name}: {value}");
    }
}
