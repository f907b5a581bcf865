//! The listener against peers that stall, flood or lie: each is cut by a deadline or a bound, and counted.
//!
//! Real sockets with tiny deadlines; the router is a stand-in, so that only the connection layer is judged.

use axum::Router;
use axum::body::Body;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use hale::http::correlation;
use hale::http::extract::Input;
use hale::http::limits::Limits;
use hale::http::listen::{self, BindError, Terms};
use hale::wire::{CancelRun, Problem};
use hale_core::meter::Meters;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Longer than any deadline of a test: reaching it is a failure.
const PATIENCE: Duration = Duration::from_secs(20);
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

struct Server {
    address: SocketAddr,
    meters: Arc<Meters>,
    shutdown: CancellationToken,
    served: tokio::task::JoinHandle<()>,
    /// The handler of `/held` answers when this is told.
    release: Arc<Notify>,
    /// Told when the handler of `/held` has begun.
    begun: Arc<Notify>,
}

impl Server {
    async fn start(limits: Limits) -> Self {
        let meters = Arc::new(Meters::default());
        let (release, begun) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let held = {
            let (release, begun) = (release.clone(), begun.clone());
            move || async move {
                begun.notify_one();
                release.notified().await;
                "held"
            }
        };
        let router = Router::new()
            .route("/", get(|| async { "hello" }))
            .route("/post", post(|Input(order): Input<CancelRun>| async { order.reason.unwrap_or_default() }))
            .route("/held", get(held))
            .route("/huge", get(|| async { Body::from(vec![b'x'; 64 << 20]) }))
            .route("/panic", get(panics))
            .route("/log", get(logs))
            .layer(from_fn_with_state(meters.clone(), correlation::layer));
        let listener = listen::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let terms = Terms { limits, meters: meters.clone() };
        let served =
            hale_engine::tasks::spawn("server", listen::serve(listener, router, terms, shutdown.clone()));
        Self { address, meters, shutdown, served, release, begun }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends and reads until the server closes.
    async fn tell(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        to_end(&mut stream).await
    }

    fn cut(&self) -> i64 {
        self.meters.http_deadline_closed.get()
    }

    /// Waits until no connection is open.
    async fn empty(&self) {
        let gone = async {
            while self.meters.http_connections.get() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, gone).await.expect("connections stay open");
    }
}

async fn panics() -> &'static str {
    panic!("on purpose")
}

async fn logs() -> &'static str {
    tracing::warn!("deep inside");
    "logged"
}

async fn to_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes))
        .await
        .expect("the server keeps the connection open");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads one answer with a `content-length` off a kept-alive connection.
async fn one(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let mut piece = [0u8; 4096];
        let n = timeout(PATIENCE, stream.read(&mut piece)).await.expect("no answer").unwrap();
        bytes.extend_from_slice(&piece[..n]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            assert!(n > 0, "closed before the answer: {text}");
            continue;
        };
        let length = header(head, "content-length").unwrap().parse::<usize>().unwrap();
        if body.len() >= length || n == 0 {
            return text.into_owned();
        }
    }
}

fn header<'t>(answer: &'t str, name: &str) -> Option<&'t str> {
    let head = answer.split("\r\n\r\n").next()?;
    let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")))?;
    Some(line.split_once(':')?.1.trim())
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("no answer")
}

fn problem(answer: &str) -> Problem {
    assert_eq!(header(answer, "content-type"), Some("application/problem+json"), "{answer}");
    let problem: Problem = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(header(answer, "x-correlation-id"), Some(problem.correlation_id.as_str()));
    problem
}

fn tiny() -> Limits {
    Limits { head: Duration::from_millis(200), ..Limits::default() }
}

#[tokio::test]
async fn a_head_that_does_not_end_is_cut() {
    let server = Server::start(tiny()).await;
    assert_eq!(server.tell(b"").await, "");
    assert_eq!(server.tell(b"GET / HTTP/1.1\r\nHost: local").await, "");
    server.empty().await;
    assert_eq!(server.cut(), 2);
}

#[tokio::test]
async fn a_head_that_trickles_is_cut() {
    let server = Server::start(tiny()).await;
    let mut stream = server.connect().await;
    let begun = Instant::now();
    while stream.write_all(b"G").await.is_ok() && begun.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if server.cut() > 0 {
            break;
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "bytes do not move the deadline");
    server.empty().await;
    assert_eq!(server.cut(), 1);
}

#[tokio::test]
async fn a_second_head_on_a_kept_connection_has_its_own_deadline() {
    let server = Server::start(tiny()).await;
    let mut stream = server.connect().await;
    stream.write_all(GET).await.unwrap();
    assert_eq!(status(&one(&mut stream).await), "200");
    // Longer idle than a head may take: idleness is not a stalled head.
    tokio::time::sleep(Duration::from_millis(400)).await;
    stream.write_all(GET).await.unwrap();
    assert_eq!(status(&one(&mut stream).await), "200");
    assert_eq!(server.cut(), 0);
    stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    assert_eq!(to_end(&mut stream).await, "");
    server.empty().await;
    assert_eq!(server.cut(), 1);
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_not_counted_as_stalled() {
    let server = Server::start(Limits { idle: Duration::from_millis(200), ..Limits::default() }).await;
    let mut stream = server.connect().await;
    stream.write_all(GET).await.unwrap();
    assert_eq!(status(&one(&mut stream).await), "200");
    assert_eq!(to_end(&mut stream).await, "");
    server.empty().await;
    assert_eq!(server.cut(), 0);
}

const POST: &str = "POST /post HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";

#[tokio::test]
async fn a_body_that_stalls_is_answered_408() {
    let server = Server::start(Limits { body_gap: Duration::from_millis(200), ..Limits::default() }).await;
    let answer = server.tell(format!("{POST}Content-Length: 100\r\n\r\n{{\"reason\":").as_bytes()).await;
    assert_eq!(status(&answer), "408");
    let problem = problem(&answer);
    assert_eq!((problem.code.as_str(), problem.retryable), ("E003", true));
    assert_eq!(server.cut(), 1);
}

#[tokio::test]
async fn a_body_that_trickles_is_answered_408() {
    let limits = Limits { body_grace: Duration::from_millis(200), body_rate: 100_000, ..Limits::default() };
    let server = Server::start(limits).await;
    let mut stream = server.connect().await;
    stream.write_all(format!("{POST}Content-Length: 100000\r\n\r\n").as_bytes()).await.unwrap();
    let begun = Instant::now();
    while server.cut() == 0 && begun.elapsed() < PATIENCE {
        let _ = stream.write_all(b" ").await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(server.cut(), 1);
    assert_eq!(status(&to_end(&mut stream).await), "408");
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_cut() {
    let server = Server::start(Limits { write_gap: Duration::from_millis(300), ..Limits::default() }).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /huge HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    stream.readable().await.unwrap();
    server.empty().await;
    assert_eq!(server.cut(), 1);
    drop(stream);
}

#[tokio::test]
async fn a_slow_reader_that_takes_something_is_served() {
    let server = Server::start(Limits { write_gap: Duration::from_millis(500), ..Limits::default() }).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /huge HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let (mut piece, mut read) = (vec![0u8; 8 << 20], 0);
    loop {
        let n = timeout(PATIENCE, stream.read(&mut piece)).await.unwrap().unwrap();
        read += n;
        if n == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(read > 64 << 20, "{read}");
    assert_eq!(server.cut(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_stalled_peers_do_not_stop_others() {
    descriptors(8192);
    let server = Server::start(Limits::default()).await;
    let mut stalled = Vec::new();
    for n in 0..1000 {
        let mut stream = server.connect().await;
        let begin = match n % 2 {
            0 => "GET / HTTP/1.1\r\nHost: local".to_owned(),
            _ => format!("{POST}Content-Length: 100\r\n\r\n{{"),
        };
        stream.write_all(begin.as_bytes()).await.unwrap();
        stalled.push(stream);
    }
    let all = async {
        while server.meters.http_connections.get() < 1000 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, all).await.expect("the fault took effect");
    let mut stream = server.connect().await;
    for _ in 0..100 {
        let begun = Instant::now();
        stream.write_all(GET).await.unwrap();
        assert_eq!(status(&one(&mut stream).await), "200");
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    }
}

fn descriptors(wanted: u64) {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(wanted.min(limit.maximum.unwrap_or(wanted)));
    setrlimit(Resource::Nofile, limit).unwrap();
}

#[tokio::test]
async fn peers_beyond_the_cap_are_told_to_come_again() {
    let server = Server::start(Limits { connections: 2, ..Limits::default() }).await;
    let (mut first, mut second) = (server.connect().await, server.connect().await);
    for stream in [&mut first, &mut second] {
        stream.write_all(GET).await.unwrap();
        assert_eq!(status(&one(stream).await), "200");
    }
    let answer = server.tell(GET).await;
    assert_eq!(status(&answer), "503");
    assert_eq!(header(&answer, "retry-after"), Some("1"));
    let problem = problem(&answer);
    assert_eq!((problem.code.as_str(), problem.cause.as_deref()), ("E014", Some("http.connections_full")));
    drop(first);
    let served = async {
        loop {
            let mut stream = server.connect().await;
            stream
                .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                .await
                .unwrap();
            if status(&to_end(&mut stream).await) == "200" {
                break;
            }
        }
    };
    timeout(PATIENCE, served).await.expect("a place that was freed is taken again");
}

#[tokio::test]
async fn heads_beyond_their_bounds_are_refused() {
    let server = Server::start(Limits::default()).await;
    let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nCookie: {}\r\n\r\n", "c".repeat(40 << 10));
    assert_eq!(status(&server.tell(long.as_bytes()).await), "431");
    let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "A: b\r\n".repeat(150));
    assert_eq!(status(&server.tell(many.as_bytes()).await), "431");
    assert_eq!(status(&server.tell(b"nonsense\r\n\r\n").await), "400");
}

#[tokio::test]
async fn bodies_beyond_their_bounds_are_refused() {
    let server = Server::start(Limits::default()).await;
    let body = format!("{{\"reason\":\"{}\"}}", "x".repeat(1 << 20));
    let declared = format!("{POST}Content-Length: {}\r\n\r\n{body}", body.len());
    let chunked = format!("{POST}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    for request in [declared, chunked] {
        let answer = server.tell(request.as_bytes()).await;
        assert_eq!(status(&answer), "413");
        assert_eq!(problem(&answer).code, "E004");
    }
    let begun = Instant::now();
    let lie = server.tell(format!("{POST}Content-Length: 99999999999\r\n\r\n{{").as_bytes()).await;
    assert_eq!(status(&lie), "413");
    assert!(begun.elapsed() < Duration::from_secs(10), "a declared length is not waited for");
}

#[tokio::test]
async fn compressed_bodies_are_refused_unread() {
    let server = Server::start(Limits::default()).await;
    for encoding in ["gzip", "br", "deflate", "zstd", "identity, gzip"] {
        let head = format!("{POST}Content-Encoding: {encoding}\r\nContent-Length: 20\r\n\r\n");
        let answer = server.tell(format!("{head}{}", "\u{1f}".repeat(20)).as_bytes()).await;
        assert_eq!(status(&answer), "415", "{encoding}");
        assert_eq!(problem(&answer).field.as_deref(), Some("Content-Encoding"));
    }
    let mut stream = server.connect().await;
    stream
        .write_all(format!("{POST}Content-Length: 16\r\n\r\n{{\"reason\":\"why\"}}").as_bytes())
        .await
        .unwrap();
    assert!(one(&mut stream).await.ends_with("why"), "a plain body is read");
}

#[tokio::test]
async fn a_shutdown_lets_requests_under_way_end_and_closes_the_rest() {
    let server = Server::start(Limits::default()).await;
    let mut idle = server.connect().await;
    idle.write_all(GET).await.unwrap();
    one(&mut idle).await;
    let mut held = server.connect().await;
    held.write_all(b"GET /held HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    timeout(PATIENCE, server.begun.notified()).await.unwrap();

    server.shutdown.cancel();
    assert_eq!(to_end(&mut idle).await, "");
    assert!(TcpStream::connect(server.address).await.is_err(), "the port is given back while requests end");
    server.release.notify_one();
    let answer = to_end(&mut held).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("held"), "{answer}");
    timeout(PATIENCE, server.served).await.unwrap().unwrap();
    assert_eq!(server.meters.http_connections.get(), 0);
}

#[tokio::test]
async fn a_drain_has_an_end() {
    let server = Server::start(Limits { drain: Duration::from_millis(200), ..Limits::default() }).await;
    let mut held = server.connect().await;
    held.write_all(b"GET /held HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    timeout(PATIENCE, server.begun.notified()).await.unwrap();
    server.shutdown.cancel();
    timeout(PATIENCE, server.served).await.expect("a request that does not end is cut").unwrap();
}

#[tokio::test]
async fn a_taken_port_offers_a_free_one() {
    let taken = listen::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let error = listen::bind(&address.to_string()).await.unwrap_err();
    let BindError::Taken { free: Some(free), .. } = &error else { panic!("{error}") };
    assert_ne!(*free, address.port());
    assert_eq!(error.fix(), format!("hale up --listen 127.0.0.1:{free}"));
    listen::bind(&format!("127.0.0.1:{free}")).await.expect("what is offered can be had");
    for nonsense in ["", "8080", "127.0.0.1", "127.0.0.1:http", "127.0.0.1:99999"] {
        let error = listen::bind(nonsense).await.unwrap_err();
        assert!(matches!(error, BindError::Address { .. }), "{nonsense}: {error}");
    }
}

// covers: TR-37, TR-38
#[tokio::test]
async fn every_answer_carries_its_ids() {
    let server = Server::start(Limits::default()).await;
    let ask = |line: &str, more: &str| {
        format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n")
    };
    for (line, expected) in
        [("GET /", "200"), ("GET /nowhere", "404"), ("DELETE /", "405"), ("GET /panic", "500")]
    {
        let answer =
            server.tell(ask(line, "X-Correlation-ID: abc-1\r\nX-Request-ID: r.1\r\n").as_bytes()).await;
        assert_eq!(status(&answer), expected, "{line}");
        assert_eq!(header(&answer, "x-correlation-id"), Some("abc-1"), "{line}");
        assert_eq!(header(&answer, "x-request-id"), Some("r.1"), "{line}");
        assert_eq!(header(&answer, "traceparent").map(str::len), Some(55), "{line}");
        if expected != "200" {
            assert_eq!(problem(&answer).status.to_string(), expected);
        }
        let made = server.tell(ask(line, "X-Correlation-ID: a b\u{7f}\r\n").as_bytes()).await;
        if status(&made) == expected {
            assert!(header(&made, "x-correlation-id").unwrap().starts_with("cor_"), "{made}");
            assert!(header(&made, "x-request-id").unwrap().starts_with("req_"), "{made}");
        }
    }
    let answer = server.tell(ask("DELETE /", "").as_bytes()).await;
    assert!(header(&answer, "allow").unwrap().contains("GET"), "{answer}");
    assert_eq!(problem(&server.tell(ask("GET /panic", "").as_bytes()).await).code, "E015");
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Kept(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

// covers: AX-90
#[tokio::test]
async fn every_line_of_a_request_has_its_id() {
    for level in [tracing::Level::INFO, tracing::Level::WARN] {
        let kept = Kept::default();
        let writer = kept.clone();
        let sink = tracing_subscriber::fmt().with_max_level(level).with_ansi(false);
        let _here = tracing::subscriber::set_default(sink.with_writer(move || writer.clone()).finish());
        let server = Server::start(Limits::default()).await;
        let head = "GET /log HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
        assert_eq!(status(&server.tell(format!("{head}X-Request-ID: r.7\r\n\r\n").as_bytes()).await), "200");
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        let inside = text.lines().find(|line| line.contains("deep inside")).expect("the handler's line");
        assert!(inside.contains("request_id=r.7") && inside.contains("correlation_id=cor_"), "{inside}");
        let Some(last) = text.lines().find(|line| line.contains("request answered")) else {
            assert_eq!(level, tracing::Level::WARN, "{text}");
            continue;
        };
        for field in [
            "event=\"http_request\"",
            "request_id=r.7",
            "method=GET",
            "path=/log",
            "status=200",
            "duration_ms=",
        ] {
            assert!(last.contains(field), "{field} in {last}");
        }
    }
}

/// In a process of its own, since the bound is the whole process's.
#[test]
fn running_out_of_descriptors_slows_accepting_and_never_ends_it() {
    const CHILD: &str = "HALE_TEST_DESCRIPTORS";
    if std::env::var_os(CHILD).is_none() {
        let name = "http_listen::running_out_of_descriptors_slows_accepting_and_never_ends_it";
        #[expect(
            clippy::disallowed_methods,
            reason = "this very test, in a process whose limit may be lowered"
        )]
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        let out = command.args(["--exact", name, "--nocapture"]).env(CHILD, "1").output().unwrap();
        let text = String::from_utf8_lossy(&out.stdout);
        assert!(
            out.status.success() && text.contains("1 passed"),
            "{text}\n{}",
            String::from_utf8_lossy(&out.stderr)
        );
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let server = Server::start(Limits::default()).await;
        assert_eq!(
            status(&server.tell(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await),
            "200"
        );
        descriptors(200);
        let mut files: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
        files.pop().expect("one descriptor for the client");
        let mut stream = server.connect().await;
        stream.write_all(GET).await.unwrap();
        let mut byte = [0u8; 1];
        let early = timeout(Duration::from_millis(300), stream.read(&mut byte)).await;
        assert!(early.is_err(), "the fault took effect: nobody could accept");
        drop(files);
        assert_eq!(status(&one(&mut stream).await), "200");
    });
}
