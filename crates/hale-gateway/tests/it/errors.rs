//! Every class of error: what a run is told of it.

use crate::script::{
    Act, HELLO, STOP, Server, answer, bad_address, call, config, events, gateway, nobody, request, send,
};
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::retry::RetryClass;
use hale_core::time::Millis;
use hale_gateway::provider::unheard;
use hale_gateway::{Gateway, Route};
use std::time::Duration;
use tokio::time::Instant;

async fn failure(script: Act) -> Failure {
    call(vec![script]).await.unwrap_err().failure
}

#[track_caller]
fn check(failure: &Failure, code: Code, cause: &str, retry: RetryClass, status: Option<u16>) {
    assert_eq!((failure.code, failure.cause.as_str()), (code, cause), "{failure:?}");
    assert_eq!((failure.retry, failure.http_status), (retry, status), "{failure:?}");
    assert_eq!(failure.origin, "provider:a");
}

fn refusal(status: &str, body: &str) -> Act {
    answer(status, "content-type: application/json\r\n", body)
}

// covers: OL-134
#[tokio::test]
async fn a_refused_key_is_e005_and_never_tried_again() {
    for status in ["401 Unauthorized", "403 Forbidden"] {
        let failure = failure(refusal(status, r#"{"error":{"message":"no such key"}}"#)).await;
        check(&failure, Code::E005, "llm.key_refused", RetryClass::Never, status[..3].parse().ok());
        assert_eq!(failure.chain, ["no such key"]);
    }
}

// covers: OL-132, OL-143
#[tokio::test]
async fn a_limited_rate_says_how_long_to_wait() {
    let with = "429 Too Many Requests\r\nretry-after: 2.5";
    let said = failure(refusal(with, "{}")).await;
    check(&said, Code::E006, "llm.rate_limited", RetryClass::Model, Some(429));
    assert_eq!(said.retry_after, Some(Millis(2500)));
    let unsaid = failure(refusal("429 Too Many Requests", "slow down")).await;
    assert_eq!((unsaid.retry_after, unsaid.chain), (None, vec!["slow down".to_owned()]));
}

// covers: OL-133, OL-148
#[tokio::test]
async fn a_failing_server_is_tried_again() {
    for status in [500, 502, 503, 529, 408] {
        let failure = failure(refusal(&format!("{status} Oh"), "")).await;
        check(&failure, Code::E006, "llm.server_error", RetryClass::Model, Some(status));
    }
}

#[tokio::test]
async fn a_refused_request_is_never_tried_again() {
    for status in [400, 404, 413, 422] {
        let failure = failure(refusal(&format!("{status} Oh"), r#"{"error":"bad thing"}"#)).await;
        check(&failure, Code::E006, "llm.bad_request", RetryClass::Never, Some(status));
        assert_eq!(failure.chain, ["bad thing"]);
    }
    let body = r#"{"error":{"message":"The model `m` does not exist","code":"model_not_found"}}"#;
    let failure = failure(refusal("404 Not Found", body)).await;
    check(&failure, Code::E006, "llm.model_not_found", RetryClass::Never, Some(404));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Server::play(vec![crate::script::hello()]).await;
    let to = format!("302 Found\r\nlocation: http://{}/v1/chat/completions", elsewhere.addr);
    check(&failure(refusal(&to, "")).await, Code::E006, "llm.bad_request", RetryClass::Never, Some(302));
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn nobody_listening_is_unreachable() {
    let gateway = gateway(vec![config("a", &format!("http://{}/v1", nobody().await))]);
    let failed = gateway.chat(&Route::to("a/m"), request(), &unheard).await.unwrap_err();
    check(&failed.failure, Code::E006, "llm.unreachable", RetryClass::Model, None);
    assert!(failed.failure.to_string().contains("refused"), "{}", failed.failure);
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_unreachable() {
    let gateway = gateway(vec![config("a", "http://models.invalid/v1")]);
    let failed = gateway.chat(&Route::to("a/m"), request(), &unheard).await.unwrap_err();
    check(&failed.failure, Code::E006, "llm.unreachable", RetryClass::Model, None);
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_unreachable_over_https() {
    let server = Server::play(vec![send("HTTP/1.1 400 Bad Request\r\n\r\n")]).await;
    let gateway = gateway(vec![config("a", &format!("https://{}/v1", server.addr))]);
    let failed = gateway.chat(&Route::to("a/m"), request(), &unheard).await.unwrap_err();
    check(&failed.failure, Code::E006, "llm.unreachable", RetryClass::Model, None);
}

#[tokio::test]
async fn what_is_no_answer_is_garbled() {
    let html = answer("200 OK", "content-type: text/html\r\n", "<html>It works</html>");
    let page = failure(html).await;
    check(&page, Code::E006, "llm.garbled", RetryClass::Model, None);
    assert!(page.to_string().contains("It works"), "{page}");
    let arguments = r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{\"a\":"}}]},"finish_reason":"tool_calls"}]}"#;
    let scripts = [
        events(&["{\"choices\": oops"]),
        events(&[HELLO, "\u{fffd}"]),
        answer("200 OK", "content-type: text/event-stream\r\n", "data: {\"model\":\"\u{0}\"}\n\n"),
        refusal("200 OK", "{\"choices\""),
        events(&[arguments, "[DONE]"]),
        send("SMTP ready\r\n\r\n"),
        answer("200 OK", "", &format!("data: {}\n\n", "x".repeat(1024 * 1024 + 1))),
    ];
    for (at, script) in scripts.into_iter().enumerate() {
        let failure = failure(script).await;
        assert_eq!(
            (failure.cause.as_str(), failure.retry),
            ("llm.garbled", RetryClass::Model),
            "{at}: {failure}"
        );
    }
}

#[tokio::test]
async fn an_endless_stream_is_garbled_at_its_bound() {
    let comment = format!(":{}\n", "x".repeat(64 * 1024)).into_bytes();
    let mut pieces = vec![b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec()];
    pieces.extend(std::iter::repeat_n(comment, 300));
    let failure = failure(Act::Send(pieces)).await;
    check(&failure, Code::E006, "llm.garbled", RetryClass::Model, None);
    assert!(failure.to_string().contains("16777216"), "{failure}");
}

#[tokio::test]
async fn a_stream_without_its_end_is_cut() {
    let half =
        answer("200 OK", "content-type: text/event-stream\r\n", &format!("data: {HELLO}\n\ndata: {{\"cho"));
    let chunked =
        send(format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\ndata:\r\nff\r\n{HELLO}"));
    let short = refusal("200 OK\r\ncontent-length: 500", "{\"choices\":");
    for (at, script) in
        [events(&[HELLO]), half, chunked, short, send(""), answer("200 OK", "", "")].into_iter().enumerate()
    {
        let failure = failure(script).await;
        assert_eq!(
            (failure.cause.as_str(), failure.retry),
            ("llm.stream_cut", RetryClass::Model),
            "{at}: {failure}"
        );
    }
}

#[tokio::test]
async fn a_stream_that_falls_silent_is_stalled() {
    let begun = format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: {HELLO}\n\n");
    let server = Server::play(vec![Act::Hang(begun.into_bytes())]).await;
    let mut config = server.config("a");
    config.timeouts.stall = Duration::from_millis(150);
    let failed = gateway(vec![config]).chat(&Route::to("a/m"), request(), &unheard).await.unwrap_err();
    check(&failed.failure, Code::E006, "llm.stalled", RetryClass::Model, None);
    assert!(failed.failure.message.contains("150ms"), "{}", failed.failure);
}

// covers: AX-102, OL-135
#[tokio::test]
async fn an_answer_that_never_begins_times_out() {
    for begun in ["", "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"] {
        let server = Server::play(vec![Act::Hang(begun.into())]).await;
        let mut config = server.config("a");
        config.timeouts.first_chunk = Duration::from_millis(150);
        let failed = gateway(vec![config]).chat(&Route::to("a/m"), request(), &unheard).await.unwrap_err();
        check(&failed.failure, Code::E006, "llm.timeout", RetryClass::Model, None);
    }
}

#[tokio::test]
async fn the_deadline_ends_a_call() {
    let server =
        Server::play(vec![Act::Hang(format!("HTTP/1.1 200 OK\r\n\r\ndata: {HELLO}\n\n").into())]).await;
    let mut request = request();
    request.deadline = Instant::now() + Duration::from_millis(150);
    let failed =
        gateway(vec![server.config("a")]).chat(&Route::to("a/m"), request, &unheard).await.unwrap_err();
    check(&failed.failure, Code::E006, "llm.timeout", RetryClass::Model, None);
}

#[tokio::test]
async fn an_error_inside_a_stream_keeps_its_class() {
    let cases = [
        (r#"{"error":{"message":"m","code":429}}"#, "llm.rate_limited"),
        (r#"{"error":{"message":"m","code":"rate_limit_exceeded"}}"#, "llm.rate_limited"),
        (r#"{"error":{"message":"overloaded"}}"#, "llm.server_error"),
        (r#"{"error":{"message":"m","code":"401"}}"#, "llm.key_refused"),
    ];
    for (error, cause) in cases {
        assert_eq!(failure(events(&[HELLO, error])).await.cause, cause, "{error}");
    }
}

#[tokio::test]
async fn an_unknown_provider_is_named_with_those_that_there_are() {
    let gateway = gateway(vec![config("a", "http://127.0.0.1:1/v1")]);
    for model in ["b/m", "m"] {
        let failure = gateway.chat(&Route::to(model), request(), &unheard).await.unwrap_err().failure;
        assert_eq!((failure.cause.as_str(), failure.retry), ("llm.model_not_found", RetryClass::Never));
        assert!(failure.message.contains("there are: a"), "{failure}");
    }
}

#[tokio::test]
async fn a_bad_base_url_is_refused_and_shows_no_password() {
    assert!(bad_address("ftp://host/v1").contains("only http and https"));
    assert!(bad_address("not a url").contains("not a url"));
    let hidden = bad_address("http://user:hunter2@host/v1");
    assert!(!hidden.contains("hunter2"), "{hidden}");
}

#[tokio::test]
async fn a_bad_base_url_replaces_nothing() {
    let gateway: Gateway = gateway(vec![config("a", "http://127.0.0.1:1/v1")]);
    gateway.configure(vec![config("b", "http://127.0.0.1:1/v1"), config("c", "ftp://x")]).unwrap_err();
    assert_eq!(gateway.names(), ["a"]);
}

#[tokio::test]
async fn usage_that_never_comes_is_estimated() {
    for last in [STOP, "[DONE]"] {
        let served = call(vec![events(&[HELLO, last])]).await.unwrap();
        assert_eq!(served.reply.text, "hello");
        assert_eq!(served.reply.usage.counted, hale_gateway::provider::Counted::Estimate);
        assert_eq!((served.reply.usage.input_tokens, served.reply.usage.output_tokens), (1, 2));
    }
}
