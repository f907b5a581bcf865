//! The way of a call over its fallbacks.

use crate::script::{Act, HELLO, Server, answer, events, gateway, hello, request};
use hale_core::time::Timestamp;
use hale_gateway::provider::unheard;
use hale_gateway::stats::Window;
use hale_gateway::{Chunk, Failed, Route, Served};
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::Instant;

fn route() -> Route {
    Route { primary: "a/m".to_owned(), fallback: vec!["b/n".to_owned(), "c/o".to_owned()] }
}

fn status(status: u16) -> Act {
    answer(&format!("{status} Oh"), "", "")
}

/// A call over three servers; how many requests each got.
async fn over(scripts: [Act; 3]) -> (Result<Served, Failed>, [usize; 3]) {
    let [a, b, c] = scripts;
    let (a, b, c) = (Server::play(vec![a]).await, Server::play(vec![b]).await, Server::play(vec![c]).await);
    let gateway = gateway(vec![a.config("a"), b.config("b"), c.config("c")]);
    let result = gateway.chat(&route(), request(), &unheard).await;
    (result, [&a, &b, &c].map(|server| server.requests().len()))
}

// covers: AX-128, OL-150
#[tokio::test]
async fn a_fallback_serves_what_another_try_could_mend() {
    let cut = events(&[HELLO]);
    let garbled = events(&["oops"]);
    for trouble in [status(429), status(500), status(503), cut, garbled] {
        let (served, asked) = over([trouble, hello(), hello()]).await;
        let served = served.unwrap();
        assert_eq!((served.served_by.as_str(), asked), ("b/n", [1, 1, 0]));
        assert_eq!((served.reply.text.as_str(), served.reply.provider.as_str()), ("hello", "b"));
        assert_eq!(served.tried.iter().map(|tried| tried.model.as_str()).collect::<Vec<_>>(), ["a/m"]);
    }
}

#[tokio::test]
async fn fallbacks_are_tried_in_order_and_the_failure_is_the_primarys() {
    let (failed, asked) = over([status(429), status(500), status(503)]).await;
    let failed = failed.unwrap_err();
    assert_eq!(asked, [1, 1, 1]);
    assert_eq!(
        (failed.failure.cause.as_str(), failed.failure.origin.as_str()),
        ("llm.rate_limited", "provider:a")
    );
    let causes: Vec<&str> = failed.tried.iter().map(|tried| tried.failure.cause.as_str()).collect();
    assert_eq!(causes, ["llm.rate_limited", "llm.server_error", "llm.server_error"]);
    assert!(
        failed.failure.chain.iter().any(|line| line.starts_with("fallback b/n: ")),
        "{:?}",
        failed.failure.chain
    );
}

// covers: TRAP-16
#[tokio::test]
async fn a_refused_key_or_request_never_falls_back() {
    for code in [400, 401, 403, 404, 422] {
        let (failed, asked) = over([status(code), hello(), hello()]).await;
        assert_eq!((failed.unwrap_err().failure.http_status, asked), (Some(code), [1, 0, 0]));
    }
    let (failed, asked) = over([status(500), status(401), hello()]).await;
    assert_eq!(asked, [1, 1, 0]);
    assert_eq!(failed.unwrap_err().tried[1].failure.cause, "llm.key_refused");
}

#[tokio::test]
async fn a_fallback_is_not_begun_without_time_to_answer() {
    let (a, b) = (Server::play(vec![status(500)]).await, Server::play(vec![hello()]).await);
    let gateway = gateway(vec![a.config("a"), b.config("b")]);
    let mut request = request();
    request.deadline = Instant::now() + Duration::from_millis(900);
    let route = Route { primary: "a/m".to_owned(), fallback: vec!["b/n".to_owned()] };
    let failed = gateway.chat(&route, request, &unheard).await.unwrap_err();
    assert!(b.requests().is_empty());
    assert_eq!(failed.tried.len(), 1);
    assert!(failed.failure.chain.last().unwrap().contains("not tried"), "{:?}", failed.failure.chain);
}

#[tokio::test]
async fn a_listener_is_told_when_what_it_heard_is_void() {
    let (a, b) = (Server::play(vec![events(&[HELLO])]).await, Server::play(vec![hello()]).await);
    let gateway = gateway(vec![a.config("a"), b.config("b")]);
    let heard = Mutex::new(Vec::new());
    let listen = |chunk: Chunk<'_>| heard.lock().unwrap().push(format!("{chunk:?}"));
    let route = Route { primary: "a/m".to_owned(), fallback: vec!["b/n".to_owned()] };
    gateway.chat(&route, request(), &listen).await.unwrap();
    let told = [r#"Text("hello")"#, r#"Restart { model: "b/n" }"#, r#"Text("hello")"#];
    assert_eq!(*heard.lock().unwrap(), told);
}

// covers: OL-132
#[tokio::test]
async fn every_attempt_is_counted() {
    let (a, b) = (Server::play(vec![status(429)]).await, Server::play(vec![hello()]).await);
    let gateway = gateway(vec![a.config("a"), b.config("b")]);
    let route = Route { primary: "a/m".to_owned(), fallback: vec!["b/n".to_owned()] };
    gateway.chat(&route, request(), &unheard).await.unwrap();
    let stats = gateway.stats();
    let window = Window { since: Timestamp(0), until: Timestamp(1_000_000) };
    assert_eq!((stats.count(window), stats.served_by_fallback(window)), (2, 1));
    assert_eq!(
        stats.failures_by_cause(window).into_iter().collect::<Vec<_>>(),
        [("llm.rate_limited".to_owned(), 1)]
    );
    assert_eq!(stats.calls()[1].instead_of.as_deref(), Some("a/m"));
}

#[tokio::test]
async fn providers_are_replaced_while_the_gateway_lives() {
    let (old, new) = (Server::play(vec![status(500)]).await, Server::play(vec![hello()]).await);
    let gateway = gateway(vec![old.config("a")]);
    gateway.chat(&Route::to("a/m"), request(), &unheard).await.unwrap_err();
    gateway.configure(vec![new.config("a")]).unwrap();
    gateway.chat(&Route::to("a/m"), request(), &unheard).await.unwrap();
    assert_eq!((old.requests().len(), new.requests().len()), (1, 1));
}

// covers: OL-139, AX-125
#[tokio::test]
async fn a_probe_lists_the_models_and_is_not_counted_as_a_call() {
    let list =
        answer("200 OK", "content-type: application/json\r\n", r#"{"data":[{"id":"m-1"},{"id":"m-2"}]}"#);
    let server = Server::play(vec![list, status(401)]).await;
    let gateway = gateway(vec![server.config("a")]);
    let deadline = Instant::now() + Duration::from_secs(20);
    assert_eq!(gateway.probe("a", deadline).await.unwrap(), ["m-1", "m-2"]);
    assert!(server.requests()[0].starts_with("GET /v1/models HTTP/1.1"));
    assert_eq!(gateway.probe("a", deadline).await.unwrap_err().cause, "llm.key_refused");
    assert!(gateway.stats().calls().is_empty());
}
