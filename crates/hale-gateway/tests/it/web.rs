//! The way to the web: what is refused before anything is sent, redirects, and what comes back.

use crate::script::{Act, Server, answer, send};
use crate::spellings;
use hale_core::code::Code;
use hale_core::limits;
use hale_core::retry::RetryClass;
use hale_core::time::Millis;
use hale_core::web::Site;
use hale_gateway::egress::guard::{Guard, Lookup};
use hale_gateway::egress::policy::Policy;
use hale_gateway::web::{Ask, Error, Page, Request, Web, next};
use reqwest::Method;
use reqwest::dns::Resolve;
use reqwest::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderValue};
use serde_json::json;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

fn sites(texts: &[&str]) -> Arc<[Site]> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn open(allow: &[&str]) -> Web {
    let web = Web::default();
    web.allow(sites(allow).iter().cloned());
    web
}

fn get(url: &str) -> Request<'_> {
    let deadline = Instant::now() + Duration::from_secs(20);
    Request { url, method: Method::GET, bytes_max: 1 << 20, headers: HeaderMap::new(), deadline }
}

/// A fetch by a pack that is granted all that the operator allows.
async fn fetch(allow: &[&str], url: &str) -> Result<Page, Error> {
    open(allow).fetch(sites(allow), get(url)).await
}

/// A listener that nobody may reach, and how many did.
struct Trap {
    listener: TcpListener,
    port: u16,
}

impl Trap {
    fn set() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        Self { listener, port }
    }

    /// The kernel completes connections by itself, so that each one that was begun is counted.
    fn connections(&self) -> usize {
        std::iter::from_fn(|| self.listener.accept().ok()).count()
    }
}

#[tokio::test]
async fn a_trap_counts_what_reaches_it() {
    let trap = Trap::set();
    let socket = std::net::TcpStream::connect(("127.0.0.1", trap.port)).unwrap();
    assert_eq!(trap.connections(), 1);
    drop(socket);
    assert_eq!(trap.connections(), 0);
}

#[tokio::test]
async fn no_spelling_of_an_address_inside_is_called() {
    let trap = Trap::set();
    let urls = spellings::all(trap.port);
    let mut distinct = urls.clone();
    distinct.sort();
    distinct.dedup();
    assert!(distinct.len() >= 500, "{}", distinct.len());
    let any_port = format!("*:{}", trap.port);
    let (mut policy, mut unreadable) = (0, 0);
    for url in &urls {
        // Public hosts are open on every port that is tried, so that it is the address that is refused.
        let error = fetch(&["*", &any_port], url).await.expect_err(url);
        assert!(matches!(error, Error::Refused { .. }), "{url}: {error:?}");
        let failure = error.failure();
        assert_eq!((failure.code, failure.retry), (Code::E013, RetryClass::Never), "{url}");
        match failure.chain[0].starts_with("call ") {
            true => policy += 1,
            false => unreadable += 1,
        }
    }
    assert_eq!(trap.connections(), 0);
    assert!(policy > 500, "{policy} by the policy, {unreadable} were no address of the web");
}

#[tokio::test]
async fn a_redirect_to_any_of_them_is_not_followed() {
    let trap = Trap::set();
    let any_port = format!("*:{}", trap.port);
    let written = |url: &String| url.bytes().all(|byte| byte > 0x20 && byte != 0x7f);
    let urls: Vec<String> = spellings::all(trap.port).into_iter().filter(written).collect();
    let hops = urls.iter().map(|url| answer("302 Found", &format!("location: {url}\r\n"), "")).collect();
    let server = Server::play(hops).await;
    let (here, from) = (server.addr.to_string(), format!("http://{}/", server.addr));
    for (n, url) in urls.iter().enumerate() {
        // What is no address by itself is a path below the first server, which is granted.
        let joined = reqwest::Url::parse(&from).unwrap().join(url);
        if joined.as_ref().is_ok_and(|joined| joined.origin() == reqwest::Url::parse(&from).unwrap().origin())
        {
            fetch(&["*", &any_port, &here], &from).await.expect_err(url);
            continue;
        }
        let error = fetch(&["*", &any_port, &here], &from).await.expect_err(url);
        assert!(matches!(error, Error::Refused { .. } | Error::Location { .. }), "{n} {url}: {error:?}");
    }
    assert_eq!(trap.connections(), 0);
}

fn given(answer: impl Fn(&str) -> Vec<IpAddr> + Send + Sync + 'static) -> Lookup {
    Lookup::Given(Arc::new(answer))
}

const GOOD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const BAD: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// A server on an address that is granted, and a trap on the same port of one that is not.
async fn twins() -> (Arc<AtomicUsize>, Trap) {
    let trap = Trap::set();
    let good = tokio::net::TcpListener::bind(SocketAddr::from((GOOD, trap.port))).await.unwrap();
    let served = Arc::new(AtomicUsize::new(0));
    let count = served.clone();
    #[expect(clippy::disallowed_methods, reason = "the test's own server, ends with its runtime")]
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        loop {
            let (mut socket, _) = good.accept().await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            let mut buffer = [0; 4096];
            let _ = socket.read(&mut buffer).await;
            // Kept open, as a server would: a later call must not speak over this connection.
            let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await;
            std::mem::forget(socket);
        }
    });
    (served, trap)
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_the_next_time_gains_nothing() {
    let (served, trap) = twins().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let web = Web::looking_up(given(move |_| {
        let first = count.fetch_add(1, Ordering::SeqCst) == 0;
        vec![IpAddr::V4(if first { GOOD } else { BAD })]
    }));
    let granted = sites(&[&format!("*:{}", trap.port), &format!("{GOOD}:{}", trap.port)]);
    web.allow(granted.iter().cloned());
    let url = format!("http://rebinds.example:{}/", trap.port);
    let page = web.fetch(granted.clone(), get(&url)).await.unwrap();
    assert_eq!((page.text.as_str(), asked.load(Ordering::SeqCst)), ("hi", 1), "looked up once");
    for _ in 0..3 {
        let error = web.fetch(granted.clone(), get(&url)).await.unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{error:?}");
        assert_eq!(error.failure().code, Code::E013);
        assert!(error.failure().to_string().contains("127.0.0.1"), "{error:?}");
    }
    assert_eq!((served.load(Ordering::SeqCst), trap.connections()), (1, 0));
}

#[tokio::test]
async fn of_a_name_with_two_addresses_only_the_granted_one_is_called() {
    let (served, trap) = twins().await;
    for order in [[BAD, GOOD], [GOOD, BAD]] {
        let web = Web::looking_up(given(move |_| order.map(IpAddr::V4).to_vec()));
        let granted = sites(&[&format!("*:{}", trap.port), &format!("{GOOD}:{}", trap.port)]);
        web.allow(granted.iter().cloned());
        let url = format!("http://two.example:{}/", trap.port);
        assert_eq!(web.fetch(granted, get(&url)).await.unwrap().text, "hi");
    }
    assert_eq!((served.load(Ordering::SeqCst), trap.connections()), (2, 0));
}

#[tokio::test]
async fn a_name_is_led_inside_only_where_both_lists_name_the_address() {
    let trap = Trap::set();
    let (name, here) = (format!("a.example:{}", trap.port), format!("127.0.0.1:{}", trap.port));
    let other_port = "127.0.0.1:1".to_owned();
    // The operator's list, the pack's, and whether the connection is made.
    let cases: [(&[&str], &[&str], bool); 6] = [
        (&[&name], &[&name], false),
        (&[&name, &here], &[&name], false),
        (&[&name], &[&name, &here], false),
        (&[&name, &other_port], &[&name, &other_port], false),
        (&[&name, "127.0.0.1"], &[&name, "127.0.0.1"], false),
        (&[&name, &here], &[&name, &here], true),
    ];
    for (allow, grants, reaches) in cases {
        let web = Web::looking_up(given(|_| vec![IpAddr::V4(BAD)]));
        web.allow(sites(allow).iter().cloned());
        let url = format!("http://{name}/");
        let mut request = get(&url);
        request.deadline = Instant::now() + Duration::from_millis(300);
        let error = web.fetch(sites(grants), request).await.unwrap_err();
        assert_eq!(matches!(error, Error::Refused { .. }), !reaches, "{allow:?} {grants:?} {error:?}");
        assert_eq!(trap.connections(), usize::from(reaches), "{allow:?} {grants:?}");
    }
}

#[tokio::test]
async fn answers_of_the_resolver_are_judged_one_by_one() {
    let inside =
        ["10.1.2.3", "127.0.0.1", "169.254.169.254", "::1", "fd00::1", "::ffff:10.0.0.1", "64:ff9b::7f00:1"];
    let lookup =
        given(move |_| ["8.8.8.8"].into_iter().chain(inside).map(|ip| ip.parse().unwrap()).collect());
    let policy = Policy { allow: sites(&["*"]), grants: sites(&["*"]) };
    let guard = Guard::of_pack(policy, 80, lookup);
    let found: Vec<SocketAddr> = guard.resolve("a.example".parse().unwrap()).await.unwrap().collect();
    assert_eq!(found, ["8.8.8.8:0".parse().unwrap()]);
}

fn verdict(allow: &[&str], grants: &[&str], url: &str) -> Result<(), String> {
    let policy = Policy { allow: sites(allow), grants: sites(grants) };
    policy.check(url).map(drop).map_err(|error| error.to_string())
}

#[test]
fn both_lists_must_say_yes() {
    let yes: [(&[&str], &[&str], &str); 14] = [
        (&["*"], &[], "https://docs.example.com/a?b=c#d"),
        (&["*"], &["*"], "http://8.8.8.8/"),
        (&["*"], &["example.com"], "https://example.com/"),
        (&["*"], &["example.com"], "https://EXAMPLE.com./"),
        (&["*.rust-lang.org"], &["doc.rust-lang.org"], "https://doc.rust-lang.org/std/"),
        (&["*.rust-lang.org"], &["*.rust-lang.org"], "https://a.b.rust-lang.org/"),
        (&["example.com:8443"], &["example.com:8443"], "https://example.com:8443/"),
        (&["*:8443"], &["example.com:8443"], "https://example.com:8443/"),
        (&["10.0.0.7:8080"], &["10.0.0.7:8080"], "http://10.0.0.7:8080/"),
        (&["10.0.0.7:8080"], &["10.0.0.7:8080"], "http://0xa.7:8080/"),
        (&["[fd00::7]:8080"], &["[fd00::7]:8080"], "http://[fd00:0::7]:8080/"),
        (&["wiki.internal"], &["wiki.internal"], "http://wiki.internal/"),
        (&["localhost:3000"], &["localhost:3000"], "http://localhost:3000/"),
        (&["*"], &["*"], "http://[64:ff9b::808:808]/"),
    ];
    for (allow, grants, url) in yes {
        assert_eq!(verdict(allow, grants, url), Ok(()), "{allow:?} {grants:?} {url}");
    }
    let no: [(&[&str], &[&str], &str); 20] = [
        (&["*"], &["*"], "https://user@example.com/"),
        (&["*"], &["*"], "https://:secret@example.com/"),
        (&[], &[], "https://example.com/"),
        (&[], &["example.com"], "https://example.com/"),
        (&["example.com"], &[], "https://example.com/"),
        (&["*"], &["example.com"], "https://other.example/"),
        (&["*"], &["*.example.com"], "https://example.com/"),
        (&["*"], &["*.example.com"], "https://evilexample.com/"),
        (&["*"], &["*"], "https://example.com:8443/"),
        (&["*"], &["*"], "http://10.0.0.7/"),
        (&["*", "10.0.0.7"], &["*"], "http://10.0.0.7/"),
        (&["*", "10.0.0.7"], &[], "http://10.0.0.7/"),
        (&["10.0.0.7"], &["10.0.0.7"], "http://10.0.0.7:8080/"),
        (&["*", "wiki.internal"], &["*"], "http://wiki.internal/"),
        (&["*"], &["*"], "http://localhost/"),
        (&["169.254.169.254"], &["169.254.169.254"], "http://169.254.169.254/"),
        (&["metadata.google.internal"], &["metadata.google.internal"], "http://metadata.google.internal/"),
        (&["fe80::1"], &["fe80::1"], "http://[fe80::1]/"),
        (&["64:ff9b::a9fe:a9fe"], &["64:ff9b::a9fe:a9fe"], "http://[64:ff9b::a9fe:a9fe]/"),
        (&["*"], &["*"], "ftp://example.com/"),
    ];
    for (allow, grants, url) in no {
        assert!(verdict(allow, grants, url).is_err(), "{allow:?} {grants:?} {url}");
    }
    let told =
        |allow: &[&str], grants: &[&str]| verdict(allow, grants, "https://a.example:8443/").unwrap_err();
    assert!(
        told(&["*"], &[]).contains("granted every public host; add \"a.example:8443\""),
        "{}",
        told(&["*"], &[])
    );
    assert!(told(&["a.example:8443"], &[]).contains("granted no host"));
    assert!(told(&["*"], &["b.example"]).contains("granted b.example"));
    assert!(told(&["*"], &["a.example:8443"]).contains("web.allow"));
    let long = format!("https://example.com/{}", "a".repeat(limits::WEB_URL_BYTES));
    assert!(verdict(&["*"], &["*"], &long).is_err());
}

#[test]
fn a_grant_is_bounded_by_what_the_operator_allows() {
    let grants = |allow: &[&str], asked: &str| open(allow).may_grant(&asked.parse().unwrap()).is_ok();
    for (allow, asked) in [
        ("*", "example.com"),
        ("*", "*.example.com"),
        ("*", "8.8.8.8"),
        ("*", "*"),
        ("*.example.com", "a.example.com"),
        ("*.example.com", "*.a.example.com"),
        ("example.com", "example.com:443"),
        ("10.0.0.7:8080", "10.0.0.7:8080"),
        ("wiki.internal", "wiki.internal"),
    ] {
        assert!(grants(&[allow], asked), "{allow} {asked}");
    }
    for (allow, asked) in [
        ("*", "10.0.0.7"),
        ("*", "127.0.0.1"),
        ("*", "::1"),
        ("*", "localhost"),
        ("*", "wiki.internal"),
        ("*", "*.internal"),
        ("*", "example.com:8443"),
        ("*.example.com", "*"),
        ("*.example.com", "example.com"),
        ("*.internal", "wiki.internal"),
        ("example.com", "a.example.com"),
        ("example.com", "example.com:8443"),
        ("example.com:443", "example.com"),
        ("10.0.0.7", "10.0.0.7:8080"),
    ] {
        assert!(!grants(&[allow], asked), "{allow} {asked}");
    }
    assert!(!grants(&[], "example.com"));
    assert!(open(&["*"]).is_open() && !open(&["example.com"]).is_open() && !Web::default().is_open());
}

/// What a server was asked with.
fn heads(server: &Server) -> Vec<String> {
    server.requests().iter().map(|request| request.to_lowercase()).collect()
}

#[tokio::test]
async fn headers_of_the_caller_stay_with_their_origin() {
    let other = Server::play(vec![answer("200 OK", "content-type: text/plain\r\n", "there")]).await;
    let away = format!("location: http://{}/b\r\n", other.addr);
    let near = "location: /near\r\n";
    let first = Server::play(vec![answer("301 Moved", near, ""), answer("302 Found", &away, "")]).await;
    let granted = [first.addr.to_string(), other.addr.to_string()];
    let granted: Vec<&str> = granted.iter().map(String::as_str).collect();
    let url = format!("http://{}/a", first.addr);
    let mut request = get(&url);
    request.headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer S3CRET"));
    request.headers.insert(COOKIE, HeaderValue::from_static("sid=S3CRET"));
    request.headers.insert("x-api-key", HeaderValue::from_static("S3CRET"));
    let page = open(&granted).fetch(sites(&granted), request).await.unwrap();
    assert_eq!((page.status, page.text.as_str()), (200, "there"));
    assert_eq!(page.url, format!("http://{}/b", other.addr));
    assert_eq!(page.redirects, [format!("http://{}/near", first.addr), page.url.clone()]);
    let (own, foreign) = (heads(&first), heads(&other));
    assert_eq!((own.len(), foreign.len()), (2, 1));
    for head in own {
        assert!(head.contains("bearer s3cret") && head.contains("cookie: sid"), "{head}");
    }
    assert!(!foreign[0].contains("s3cret"), "{}", foreign[0]);
}

#[tokio::test]
async fn headers_do_not_come_back_with_a_redirect_to_the_first_origin() {
    let both: Arc<Mutex<Vec<String>>> = Arc::default();
    let first = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let home = first.local_addr().unwrap();
    let other =
        Server::play(vec![answer("302 Found", &format!("location: http://{home}/back\r\n"), "")]).await;
    let (away, heard) = (other.addr, both.clone());
    #[expect(clippy::disallowed_methods, reason = "the test's own server, ends with its runtime")]
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        for n in 0.. {
            let (mut socket, _) = first.accept().await.unwrap();
            let mut buffer = vec![0; 4096];
            let read = socket.read(&mut buffer).await.unwrap();
            heard.lock().unwrap().push(String::from_utf8_lossy(&buffer[..read]).into_owned());
            let head =
                if n == 0 { format!("302 Found\r\nlocation: http://{away}/") } else { "200 OK".to_owned() };
            let text = format!("HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
            socket.write_all(text.as_bytes()).await.unwrap();
        }
    });
    let granted = [home.to_string(), away.to_string()];
    let granted: Vec<&str> = granted.iter().map(String::as_str).collect();
    let url = format!("http://{home}/");
    let mut request = get(&url);
    request.headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer S3CRET"));
    open(&granted).fetch(sites(&granted), request).await.unwrap();
    let both = both.lock().unwrap().clone();
    assert_eq!(both.iter().map(|head| head.contains("S3CRET")).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn a_redirect_does_not_lead_from_https_to_http() {
    let policy = Policy { allow: sites(&["*"]), grants: sites(&["*"]) };
    let from: reqwest::Url = "https://a.example/x".parse().unwrap();
    for there in ["http://a.example/", "HTTP:\\\\a.example", "http://b.example/"] {
        let error = next(&policy, &from, there).unwrap_err();
        assert!(matches!(error, Error::Downgrade { .. }), "{there} {error:?}");
        assert_eq!((error.failure().code, error.failure().retry), (Code::E013, RetryClass::Never));
    }
    for (there, url) in [
        ("//b.example/y", "https://b.example/y"),
        ("y?z#part", "https://a.example/y?z"),
        ("https://b.example", "https://b.example/"),
    ] {
        assert_eq!(next(&policy, &from, there).unwrap().as_str(), url);
    }
    let from: reqwest::Url = "http://a.example/x".parse().unwrap();
    assert_eq!(next(&policy, &from, "https://a.example/x").unwrap().scheme(), "https");
}

#[tokio::test]
async fn redirects_end() {
    let server = Server::play(vec![answer("302 Found", "location: /again\r\n", "")]).await;
    let here = server.addr.to_string();
    let error = fetch(&[&here], &format!("http://{here}/")).await.unwrap_err();
    assert!(matches!(error, Error::Redirects { .. }), "{error:?}");
    assert_eq!(error.failure().retry, RetryClass::Never);
    assert_eq!(server.requests().len(), limits::WEB_REDIRECTS + 1);
}

#[tokio::test]
async fn five_redirects_are_followed_and_one_without_a_place_is_an_answer() {
    let mut script = vec![answer("307 Away", "location: /next\r\n", ""); limits::WEB_REDIRECTS];
    script.push(answer("302 Nowhere", "content-type: text/plain\r\n", "stay"));
    let server = Server::play(script).await;
    let here = server.addr.to_string();
    let page = fetch(&[&here], &format!("http://{here}/")).await.unwrap();
    assert_eq!((page.status, page.text.as_str(), page.redirects.len()), (302, "stay", 5));
}

async fn page(act: Act, bytes_max: usize) -> Result<Page, Error> {
    let server = Server::play(vec![act]).await;
    let (here, url) = (server.addr.to_string(), format!("http://{}/", server.addr));
    let mut request = get(&url);
    request.bytes_max = bytes_max;
    open(&[&here]).fetch(sites(&[&here]), request).await
}

#[tokio::test]
async fn what_is_read_is_bounded_and_cut_between_letters() {
    let whole = page(answer("404 No", "content-type: text/html\r\n", "<p>no"), 100).await.unwrap();
    assert_eq!((whole.status, whole.text.as_str(), whole.bytes, whole.truncated), (404, "<p>no", 5, false));
    assert_eq!(whole.content_type.as_deref(), Some("text/html"));
    let cut = page(answer("200 OK", "content-type: text/plain\r\n", "aé€€"), 7).await.unwrap();
    assert_eq!((cut.text.as_str(), cut.bytes, cut.truncated), ("aé€", 7, true));
    let exact = page(answer("200 OK", "content-type: text/plain\r\n", "1234567"), 7).await.unwrap();
    assert_eq!((exact.text.as_str(), exact.truncated), ("1234567", false));
    // One that never ends is left at the bound, whatever the caller asks for.
    let endless = Act::Hang(
        [b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n".as_slice(), &vec![b'x'; 2 << 20]].concat(),
    );
    let page = page(endless, usize::MAX).await.unwrap();
    assert_eq!((page.text.len(), page.bytes, page.truncated), (1 << 20, 1 << 20, true));
}

#[tokio::test]
async fn what_is_no_text_is_told_and_not_given() {
    let picture = "content-type: image/png\r\ncontent-length: 5\r\n";
    let packed = "content-type: text/html\r\ncontent-encoding: gzip\r\ncontent-length: 5\r\n";
    let cases = [
        (answer("200 OK", picture, "\u{1}PNG5"), "image/png, of 5 bytes"),
        (answer("200 OK", packed, "12345"), "packed as gzip"),
        (send(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n\xff\xfe\0\0".to_vec()), "no stated type"),
    ];
    for (act, told) in cases {
        let page = page(act, 100).await.unwrap();
        assert_eq!(page.text, "");
        assert!(page.note.as_deref().is_some_and(|note| note.contains(told)), "{page:?}");
    }
    let plain = page(answer("200 OK", "", "just text"), 100).await.unwrap();
    assert_eq!((plain.text.as_str(), plain.note), ("just text", None));
    let json = page(answer("200 OK", "content-type: application/problem+json\r\n", "{}"), 100).await.unwrap();
    assert_eq!(json.text, "{}");
}

#[tokio::test]
async fn only_what_passes_by_itself_is_tried_again() {
    let cases = [
        (answer("429 Slow", "retry-after: 7\r\n", ""), "web.busy", Some(Millis::seconds(7))),
        (answer("500 Oops", "", ""), "web.server_error", None),
        (answer("503 Busy", "retry-after: 2\r\n", ""), "web.server_error", Some(Millis::seconds(2))),
        (answer("200 OK", "content-length: 9\r\n", "x"), "web.cut", None),
        (Act::Send(Vec::new()), "web.cut", None),
    ];
    for (act, cause, after) in cases {
        let failure = page(act, 100).await.unwrap_err().failure();
        assert_eq!((failure.cause.as_str(), failure.retry), (cause, RetryClass::Tool));
        assert_eq!((failure.code, failure.retry_after), (Code::E006, after));
    }
    let nobody = crate::script::nobody().await.to_string();
    let failure = fetch(&[&nobody], &format!("http://{nobody}/")).await.unwrap_err().failure();
    assert_eq!((failure.cause.as_str(), failure.retry), ("web.unreachable", RetryClass::Tool));
    let server = Server::play(vec![Act::Hang(Vec::new())]).await;
    let (here, url) = (server.addr.to_string(), format!("http://{}/", server.addr));
    let mut request = get(&url);
    request.deadline = Instant::now() + Duration::from_millis(100);
    let failure = open(&[&here]).fetch(sites(&[&here]), request).await.unwrap_err().failure();
    assert_eq!((failure.cause.as_str(), failure.retry), ("web.timeout", RetryClass::Tool));
    let web = Web::looking_up(given(|_| Vec::new()));
    web.allow(sites(&["*"]).iter().cloned());
    let failure = web.fetch(sites(&["*"]), get("http://nowhere.example/")).await.unwrap_err().failure();
    assert_eq!((failure.cause.as_str(), failure.retry), ("web.unknown_host", RetryClass::Never));
}

#[tokio::test]
async fn a_head_has_no_text() {
    let server =
        Server::play(vec![answer("200 OK", "content-type: text/plain\r\ncontent-length: 42\r\n", "")]).await;
    let (here, url) = (server.addr.to_string(), format!("http://{}/x?y=1#part", server.addr));
    let mut request = get(&url);
    request.method = Method::HEAD;
    let page = open(&[&here]).fetch(sites(&[&here]), request).await.unwrap();
    assert_eq!((page.status, page.bytes, page.text.as_str()), (200, 42, ""));
    let asked = server.requests().remove(0);
    assert!(asked.starts_with("HEAD /x?y=1 HTTP/1.1\r\n"), "{asked}");
    for unsaid in ["accept-encoding", "cookie", "authorization", "referer"] {
        assert!(!asked.to_lowercase().contains(unsaid), "{asked}");
    }
}

#[test]
fn arguments_are_an_address_a_method_and_a_bound() {
    let ask = Ask::read(&json!({"url": "https://a.example/"})).unwrap();
    assert_eq!((ask.method, ask.bytes_max), (Method::GET, limits::WEB_BYTES));
    let ask = Ask::read(&json!({"url": "x", "method": "HEAD", "max_bytes": 99_999_999})).unwrap();
    assert_eq!((ask.method, ask.bytes_max), (Method::HEAD, limits::WEB_BYTES_MAX));
    for wrong in [
        json!({}),
        json!("https://a.example/"),
        json!({"url": 7}),
        json!({"url": "x", "method": "POST"}),
        json!({"url": "x", "headers": {"host": "y"}}),
        json!({"url": "x", "body": "y"}),
        json!({"url": "x", "max_bytes": -1}),
    ] {
        assert!(Ask::read(&wrong).is_err(), "{wrong}");
    }
}
