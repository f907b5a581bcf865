//! What a route is: its verb, path, door, parameters and the shapes that it takes and gives.
//!
//! Read next: [`super::routes`], the table of all.

use super::App;
use super::openapi::Shown;
use super::problem;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter};
use hale_engine::tasks;
use http::StatusCode;
use std::sync::Arc;
use tracing::Instrument;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Get,
    Post,
    Put,
    Delete,
}

impl Verb {
    pub const fn name(self) -> &'static str {
        match self {
            Verb::Get => "GET",
            Verb::Post => "POST",
            Verb::Put => "PUT",
            Verb::Delete => "DELETE",
        }
    }

    const fn filter(self) -> MethodFilter {
        match self {
            Verb::Get => MethodFilter::GET,
            Verb::Post => MethodFilter::POST,
            Verb::Put => MethodFilter::PUT,
            Verb::Delete => MethodFilter::DELETE,
        }
    }
}

/// Whether a route answers without a key where one is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Probes of load balancers and supervisors; tells states, no details.
    Open,
    Key,
}

/// A parameter of the query or a header, with what it means.
#[derive(Clone, Copy, Debug)]
pub struct Param {
    pub name: &'static str,
    pub place: &'static str,
    pub doc: &'static str,
}

type Handler = fn(MethodFilter) -> MethodRouter<Arc<App>>;

/// One route.
#[derive(Clone, Copy)]
pub struct Route {
    pub verb: Verb,
    pub path: &'static str,
    /// The operation's id in the document.
    pub id: &'static str,
    pub summary: &'static str,
    pub door: Door,
    pub params: &'static [Param],
    pub takes: Option<Shown>,
    /// The status of success with what is answered.
    pub gives: (u16, Shown),
    /// Other statuses than those that every route has.
    pub also: &'static [u16],
    /// Whether the handler ends with its caller. Others go on to their end: what is intended gets its outcome.
    ends_with_caller: bool,
    handler: Handler,
}

impl Route {
    pub(super) const fn new(
        verb: Verb,
        path: &'static str,
        (id, summary): (&'static str, &'static str),
        handler: Handler,
    ) -> Self {
        let gives = (200, Shown::Nothing);
        Self {
            verb,
            path,
            id,
            summary,
            door: Door::Key,
            params: &[],
            takes: None,
            gives,
            also: &[],
            // A look is for nobody else.
            ends_with_caller: matches!(verb, Verb::Get),
            handler,
        }
    }

    pub(super) const fn open(mut self) -> Self {
        self.door = Door::Open;
        self
    }

    /// For one whose answer nobody else may get, or that may wait for long.
    pub(super) const fn ends_with_caller(mut self) -> Self {
        self.ends_with_caller = true;
        self
    }

    pub(super) const fn params(mut self, params: &'static [Param]) -> Self {
        self.params = params;
        self
    }

    pub(super) const fn takes(mut self, body: Shown) -> Self {
        self.takes = Some(body);
        self
    }

    pub(super) const fn gives(mut self, status: u16, body: Shown) -> Self {
        self.gives = (status, body);
        self
    }

    pub(super) const fn also(mut self, statuses: &'static [u16]) -> Self {
        self.also = statuses;
        self
    }

    pub fn handler(&self) -> MethodRouter<Arc<App>> {
        let handler = (self.handler)(self.verb.filter());
        if self.ends_with_caller { handler } else { handler.layer(from_fn(carry_through)) }
    }
}

/// Two tables as one.
pub(super) const fn joined<const N: usize>(first: &[Route], rest: &[Route]) -> [Route; N] {
    let mut all = [first[0]; N];
    let mut n = 0;
    while n < N {
        all[n] = if n < first.len() { first[n] } else { rest[n - first.len()] };
        n += 1;
    }
    all
}

/// The handler as a task of its own: a connection that ends takes its futures with it.
async fn carry_through(request: Request, next: Next) -> Response {
    let deed = tasks::spawn("http-deed", next.run(request).in_current_span());
    match deed.await {
        Ok(response) => response,
        Err(stopped) => match stopped.try_into_panic() {
            // Told by the outermost layer, as any other.
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => problem::of_status(StatusCode::SERVICE_UNAVAILABLE).into_response(),
        },
    }
}
