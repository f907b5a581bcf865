//! Every error of the door as one document: RFC 9457 with our code, cause and the next command.
//!
//! A handler answers with a [`Refusal`]; [`super::correlation`] renders it, since only there the ids are known.
//! Read next: [`super::extract`].

use super::correlation::Ids;
use crate::wire::Problem;
use axum::Json;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::CallId;
use hale_core::retry::RetryClass;
use hale_gateway::dialect::Dialect;
use hale_gateway::dialect::trouble::Trouble;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};

/// Retry-After of a 503 that names none: most causes (a full disk, a drain) last seconds.
const RETRY_UNAVAILABLE_SECONDS: u64 = 2;
/// Retry-After of a 429 that names none.
const RETRY_LIMITED_SECONDS: u64 = 5;

/// Why a request is not answered as asked.
#[derive(Clone, Debug)]
pub struct Refusal(Box<Told>);

#[derive(Clone, Debug)]
struct Told {
    failure: Failure,
    status: u16,
    field: Option<String>,
    run: Option<String>,
    fix: Option<String>,
    connection: Connection,
    /// The call to a model that came to this; trying it again is our affair, and was.
    call: Option<CallId>,
    /// What a provider said itself, in the dialect of the caller.
    said: Option<Bytes>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Connection {
    Kept,
    /// The rest of the request is not wanted.
    Closed,
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        let status = failure.code.meaning().http_status;
        Self(Box::new(Told {
            failure,
            status,
            field: None,
            run: None,
            fix: None,
            connection: Connection::Kept,
            call: None,
            said: None,
        }))
    }
}

impl Refusal {
    /// Refused by the door itself.
    pub fn new(code: Code, cause: &str, message: impl Into<String>) -> Self {
        Failure::new(code, cause, "http", message).into()
    }

    /// What was sent does not fit: E002, and where.
    pub fn invalid(field: &str, message: impl Into<String>) -> Self {
        Self::new(Code::E002, "request.invalid", message).field(field)
    }

    pub fn status(mut self, status: StatusCode) -> Self {
        self.0.status = status.as_u16();
        self
    }

    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.0.field = Some(field.into());
        self
    }

    pub fn run(mut self, run: impl Into<String>) -> Self {
        self.0.run = Some(run.into());
        self
    }

    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.0.fix = Some(fix.into());
        self
    }

    /// Closes the connection after the answer.
    pub fn closing(mut self) -> Self {
        self.0.connection = Connection::Closed;
        self
    }

    /// What was to be tried has been tried: the caller's library need not.
    pub fn spent(mut self, call: CallId) -> Self {
        self.0.call = Some(call);
        self
    }

    /// In a provider's own words.
    pub fn saying(mut self, status: StatusCode, words: Bytes) -> Self {
        self.0.said = Some(words);
        self.status(status)
    }

    pub fn code(&self) -> Code {
        self.0.failure.code
    }

    fn retryable(&self) -> bool {
        self.0.failure.retry != RetryClass::Never || matches!(self.0.status, 408 | 429 | 503)
    }

    /// The document itself.
    pub fn problem(&self, correlation_id: &str) -> Problem {
        let Told { failure, status, field, run, fix, .. } = &*self.0;
        Problem {
            r#type: format!("urn:hale:error:{}", failure.code),
            title: failure.code.meaning().title.to_owned(),
            status: *status,
            detail: failure.message.clone(),
            code: failure.code.to_string(),
            cause: Some(failure.cause.clone()),
            field: field.clone(),
            run_id: run.clone(),
            correlation_id: correlation_id.to_owned(),
            retryable: self.retryable(),
            fix: Some(fix.clone().unwrap_or_else(|| next_command(failure, run.as_deref()))),
            playbook: playbook(&failure.cause),
            chain: failure.chain.clone(),
        }
    }

    /// As a problem document.
    pub(super) fn render(&self, ids: &Ids) -> Response {
        let mut response = Json(self.problem(&ids.correlation)).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        self.headed(response)
    }

    /// As the caller's library knows errors.
    pub(super) fn render_in(&self, dialect: Dialect, ids: &Ids) -> Response {
        let problem = self.problem(&ids.correlation);
        let trouble = Trouble {
            status: problem.status,
            code: &problem.code,
            cause: problem.cause.as_deref().unwrap_or_default(),
            message: &problem.detail,
            correlation_id: &ids.correlation,
            field: problem.field.as_deref(),
        };
        let ours = self.0.said.is_none();
        let body = self.0.said.clone().unwrap_or_else(|| dialect.error_body(&trouble).into());
        let mut response = Response::new(Body::from(body));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let source = if ours { "gateway" } else { "provider" };
        headers.insert("x-hale-error-source", HeaderValue::from_static(source));
        if let Some(call) = self.0.call {
            headers.insert("x-should-retry", HeaderValue::from_static("false"));
            if let Ok(call) = HeaderValue::from_str(&call.to_string()) {
                headers.insert("x-hale-call-id", call);
            }
        }
        self.headed(response)
    }

    fn headed(&self, mut response: Response) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        let asked = self.0.failure.retry_after.map(|wait| wait.0.div_ceil(1000));
        let wait = match status {
            StatusCode::SERVICE_UNAVAILABLE => Some(asked.unwrap_or(RETRY_UNAVAILABLE_SECONDS)),
            StatusCode::TOO_MANY_REQUESTS => Some(asked.unwrap_or(RETRY_LIMITED_SECONDS)),
            _ => asked,
        };
        if let Some(seconds) = wait {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(r#"Bearer realm="hale""#));
        }
        if self.0.connection == Connection::Closed {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// The refusal travels in the extensions; the outermost layer renders it.
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.extensions_mut().insert(self);
        response
    }
}

/// The playbook of a cause, if the catalogue has one.
fn playbook(cause: &str) -> Option<String> {
    hale_playbooks::explain(cause).map(|_| cause.to_owned())
}

/// What to type next when the failure's author did not say.
fn next_command(failure: &Failure, run: Option<&str>) -> String {
    match failure.cause.as_str() {
        "dlq.not_dead" => return "hale dlq list".to_owned(),
        "dlq.resolved" => return "hale dlq list --flat --resolved".to_owned(),
        "killswitch.on" | "killswitch.already_on" | "killswitch.not_on" => {
            return "hale killswitch list".to_owned();
        }
        "killswitch.unhealthy" => return "hale doctor".to_owned(),
        "pack.quarantined" => return "hale packs quarantine list".to_owned(),
        "operation.conflict" | "operation.not_found" => return "hale operations list --many".to_owned(),
        _ => {}
    }
    match (failure.code, run) {
        (Code::E003 | Code::E006, Some(run)) => format!("hale why {run}"),
        (Code::E001, _) => "hale packs list".to_owned(),
        (Code::E010, None) => "hale runs list".to_owned(),
        (Code::E010 | Code::E011, Some(run)) => format!("hale runs show {run}"),
        (Code::E005, _) => "hale keys create NAME".to_owned(),
        (Code::E007 | Code::E008 | Code::E014, _) => "hale doctor".to_owned(),
        (code, _) => format!("hale explain {code}"),
    }
}

/// Turns an error that a library answered into a problem; its own text becomes the detail if it is short.
pub(super) fn adopt(response: Response, dialect: Option<Dialect>, ids: &Ids) -> Response {
    let is_ours = |kind: &HeaderValue| kind.as_bytes().ends_with(b"json");
    if response.headers().get(CONTENT_TYPE).is_some_and(is_ours) {
        return response;
    }
    let status = response.status();
    let allow = response.headers().get(ALLOW).cloned();
    let refusal = of_status(status);
    let mut adopted = match dialect {
        Some(dialect) => refusal.render_in(dialect, ids),
        None => refusal.render(ids),
    };
    if let Some(allow) = allow {
        adopted.headers_mut().insert(ALLOW, allow);
    }
    adopted
}

/// The refusal that stands for a bare status.
pub(super) fn of_status(status: StatusCode) -> Refusal {
    let (code, cause, message) = match status {
        StatusCode::NOT_FOUND => {
            (Code::E010, "http.no_such_path", "find this path: the API is below /api/v1")
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            (Code::E002, "http.method", "use this method here: see the Allow header")
        }
        StatusCode::REQUEST_TIMEOUT => (Code::E003, "http.slow_body", "read the request in time"),
        StatusCode::PAYLOAD_TOO_LARGE => (Code::E004, "http.body_too_large", "read a body of this size"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => (Code::E002, "http.media_type", "read a body of this type"),
        status if status.is_server_error() => (Code::E015, "http.internal", "answer the request"),
        _ => (Code::E002, "request.invalid", "read the request"),
    };
    let refusal = Refusal::new(code, cause, message).status(status);
    match status {
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            refusal.fix("GET /openapi.json lists every path")
        }
        _ => refusal,
    }
}
