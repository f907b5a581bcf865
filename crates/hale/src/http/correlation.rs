//! One id from the caller's first byte to the last log line: correlation, request and trace ids.
//!
//! Guarantees: every answer of the router, errors and unknown paths included, carries `X-Correlation-ID` and
//! `X-Request-ID`; every log line within a request has `request_id`; one line says how the request ended. An id that
//! does not fit the grammar is replaced, never passed on. A panic becomes a problem (E015), not a closed connection.
//! Leaves to others: what hyper answers before a request exists (a head that is not HTTP).
//! Read next: [`super::problem`].

use super::dialects;
use super::problem::{self, Refusal};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::FutureExt;
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::is_correlation_id;
use hale_core::meter::Meters;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Instant;
use tracing::Instrument;

pub const CORRELATION: HeaderName = HeaderName::from_static("x-correlation-id");
pub const REQUEST: HeaderName = HeaderName::from_static("x-request-id");
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Letters of a path that go into the log: enough for every route with an id, too few to flood it.
const PATH_LOGGED: usize = 256;

/// The ids of one request.
#[derive(Clone, Debug)]
pub struct Ids {
    pub request: Arc<str>,
    pub correlation: Arc<str>,
    /// W3C trace context: the caller's trace with a span of ours, or a new trace.
    pub traceparent: Arc<str>,
}

impl Ids {
    fn of(headers: &HeaderMap) -> Self {
        let given = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let id = |name, prefix: &str| match given(name) {
            Some(id) if is_correlation_id(id) => Arc::from(id),
            _ => Arc::from(new_id(prefix)),
        };
        Self {
            request: id(&REQUEST, "req"),
            correlation: id(&CORRELATION, "cor"),
            traceparent: Arc::from(traceparent(given(&TRACEPARENT))),
        }
    }
}

/// An id that no other request of this process has: a prefix and 16 hexadecimal letters.
pub(super) fn new_id(prefix: &str) -> String {
    format!("{prefix}_{:016x}", draw())
}

/// The next number of a sequence that is seeded once; for ids that need not be secret.
fn draw() -> u64 {
    static NEXT: LazyLock<AtomicU64> = LazyLock::new(|| {
        let mut seed = [0u8; 8];
        // Without random bytes the ids repeat after a restart, which is bad for logs and harmless otherwise.
        let _ = getrandom::fill(&mut seed);
        AtomicU64::new(u64::from_ne_bytes(seed))
    });
    // SplitMix64: a full-period walk, scrambled.
    let mut x = NEXT.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// Continues the caller's trace with a new span; a header that is not version 00 of the format starts a new trace.
fn traceparent(given: Option<&str>) -> String {
    let span = draw() | 1;
    let trace = given.and_then(|header| {
        let mut parts = header.split('-');
        let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let fits = |part: &str, letters: usize| {
            part.len() == letters && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        let known = version == "00" && parts.next().is_none();
        let whole = fits(trace, 32) && fits(parent, 16) && fits(flags, 2);
        let set = |part: &str| part.bytes().any(|byte| byte != b'0');
        (known && whole && set(trace) && set(parent)).then_some((trace, flags))
    });
    match trace {
        Some((trace, flags)) => format!("00-{trace}-{span:016x}-{flags}"),
        None => format!("00-{:016x}{:016x}-{span:016x}-01", draw() | 1, draw()),
    }
}

/// The outermost layer: gives ids, keeps the log, renders refusals.
pub async fn layer(State(meters): State<Arc<Meters>>, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let ids = Ids::of(request.headers());
    let method = request.method().clone();
    let path: String = request.uri().path().chars().take(PATH_LOGGED).collect();
    let dialect = dialects::of(request.uri().path(), request.headers());
    request.extensions_mut().insert(ids.clone());
    // Of the highest level, so that the ids stand on warnings also where only warnings are logged.
    let span = tracing::error_span!("request", request_id = %ids.request, correlation_id = %ids.correlation);
    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().instrument(span).await;
    let mut response = answered.unwrap_or_else(|_| panicked());
    if let Some(refusal) = response.extensions_mut().remove::<Refusal>() {
        response = match dialect {
            Some(dialect) => refusal.render_in(dialect, &ids),
            None => refusal.render(&ids),
        };
    } else if response.status().is_client_error() || response.status().is_server_error() {
        response = problem::adopt(response, dialect, &ids);
    }
    let status = response.status().as_u16();
    meters.http_requests.add(1);
    if status >= 500 {
        meters.http_errors.add(1);
    }
    let headers = response.headers_mut();
    for (name, id) in
        [(CORRELATION, &ids.correlation), (REQUEST, &ids.request), (TRACEPARENT, &ids.traceparent)]
    {
        // The grammar of all three is plain ASCII.
        if let Ok(value) = HeaderValue::from_str(id) {
            headers.insert(name, value);
        }
    }
    let told = (&*ids.request, &*ids.correlation, method.as_str(), &*path, status);
    tell(told, (begun.elapsed().as_secs_f64() * 1e6).round() / 1e3);
    response
}

/// One line an answer. Those that come by the clock and went well are for who looks for them: workers and load
/// balancers would fill the log with them.
fn tell((request, correlation, method, path, status): (&str, &str, &str, &str, u16), took_ms: f64) {
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                event = "http_request",
                request_id = %request,
                correlation_id = %correlation,
                method = %method,
                path = %path,
                status,
                duration_ms = took_ms,
                "request answered"
            )
        };
    }
    if status < 400 && by_the_clock(path) { line!(debug) } else { line!(info) }
}

fn by_the_clock(path: &str) -> bool {
    matches!(path, "/livez" | "/readyz" | "/metrics")
        || path.starts_with("/api/v1/workers/") && path.ends_with("/sync")
}

fn panicked() -> Response {
    let failure =
        Failure::new(Code::E015, "http.panic", "http", "answer the request: a defect of hale stopped it");
    tracing::error!(event = "http_panic", code = "E015", "a request ended in a panic");
    axum::response::IntoResponse::into_response(Refusal::from(failure))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_goes_on_with_a_new_span() {
        let given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let ours = traceparent(Some(given));
        assert_eq!(&ours[..36], &given[..36]);
        assert_eq!(&ours[52..], "-01");
        assert_ne!(&ours[36..52], &given[36..52]);
    }

    #[test]
    fn a_broken_trace_is_replaced() {
        let zero = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
        let upper = "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01";
        for given in [None, Some(""), Some("garbage"), Some(zero), Some(upper), Some("01-a-b-c")] {
            let made = traceparent(given);
            assert_eq!(made.len(), 55, "{made}");
            assert_eq!(traceparent(Some(&made))[..36], made[..36]);
            assert!(given.is_none_or(|given| !given.starts_with(&made[..36])));
        }
    }

    #[test]
    fn ids_differ() {
        let ids: std::collections::HashSet<_> = (0..10_000).map(|_| new_id("req")).collect();
        assert_eq!(ids.len(), 10_000);
        assert!(ids.iter().all(|id| is_correlation_id(id)));
    }
}
