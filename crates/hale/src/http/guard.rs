//! The guard before every route: who asks, from where, and with what kind of body.
//!
//! The rules stand in [`crate::access`]; this layer applies them to a request and turns a refusal into a problem.
//! Read next: [`super::extract`].

use super::App;
use super::correlation::Ids;
use super::limits::KEY_TOUCH_EVERY;
use super::problem::Refusal;
use super::routes::{Door, TABLE};
use crate::access::{Actor, Asked, Denied};
use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::KeyId;
use hale_core::run::Trigger;
use hale_core::time::{Millis, Timestamp};
use hale_engine::{Caller, tasks};
use hale_store::KeyRow;
use http::StatusCode;
use http::header::USER_AGENT;
use http::request::Parts;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Lets a request through or refuses it.
pub async fn layer(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let asked = Asked { method: request.method(), uri: request.uri(), headers: request.headers() };
    let now = app.engine.now();
    let checked = app.access.check(asked, now, |id| app.engine.key(id));
    let actor = match checked {
        Ok(actor) => actor,
        Err(denied) if is_about_key(&denied) && is_open(&request) => Actor::anonymous(),
        Err(denied) => return Err(denied.into()),
    };
    if let Some(key) = &actor.key {
        touch(&app, key, now);
    }
    request.extensions_mut().insert(actor);
    Ok(next.run(request).await)
}

fn is_about_key(denied: &Denied) -> bool {
    matches!(denied, Denied::NoKey | Denied::BadKey | Denied::Expired { .. } | Denied::Revoked { .. })
}

fn is_open(request: &Request) -> bool {
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    TABLE.iter().any(|route| route.door == Door::Open && Some(route.path) == path)
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        let cause = match &denied {
            Denied::NoKey => "access.no_key",
            Denied::BadKey => "access.bad_key",
            Denied::Expired { .. } => "access.key_expired",
            Denied::Revoked { .. } => "access.key_revoked",
            Denied::Host { .. } => "access.foreign_host",
            Denied::Origin { .. } => "access.foreign_origin",
            Denied::NotJson { .. } => "http.media_type",
        };
        let message = denied.to_string();
        match denied {
            Denied::NoKey | Denied::BadKey | Denied::Expired { .. } | Denied::Revoked { .. } => {
                Refusal::new(Code::E005, cause, message)
            }
            Denied::Host { .. } => {
                let refusal = Refusal::new(Code::E005, cause, message).status(StatusCode::FORBIDDEN);
                refusal.field("Host").fix("use http://127.0.0.1, or set access.hosts in hale.toml")
            }
            Denied::Origin { .. } => {
                let refusal = Refusal::new(Code::E005, cause, message).status(StatusCode::FORBIDDEN);
                refusal
                    .field("Origin")
                    .fix("call from the server's own pages, or set access.hosts in hale.toml")
            }
            Denied::NotJson { .. } => {
                let refusal =
                    Refusal::new(Code::E002, cause, message).status(StatusCode::UNSUPPORTED_MEDIA_TYPE);
                refusal.field("Content-Type").fix("send the header Content-Type: application/json")
            }
        }
    }
}

/// When each key's use was last noted; as many entries as there are keys.
#[derive(Debug, Default)]
pub struct Touches(Mutex<HashMap<KeyId, Timestamp>>);

impl Touches {
    /// Whether this use is to be written: the last note is a minute old.
    fn is_due(&self, key: &KeyRow, now: Timestamp) -> bool {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = noted.get(&key.id).copied().max(key.last_used_at);
        let due = last.is_none_or(|last| now.since(last) >= Millis::from(KEY_TOUCH_EVERY));
        if due {
            noted.insert(key.id, now);
        }
        due
    }
}

/// Notes the use of a key without holding up its request.
fn touch(app: &Arc<App>, key: &KeyRow, now: Timestamp) {
    if !app.touches.is_due(key, now) {
        return;
    }
    let (engine, id) = (app.engine.clone(), key.id);
    tasks::spawn("key-touch", async move {
        // Read again: the key may have been revoked since.
        let Some(row) = engine.key(id).filter(|row| row.revoked_at.is_none()) else { return };
        let row = KeyRow { last_used_at: Some(now), ..row };
        if let Err(failure) = engine.key_put(row, "", &Caller::engine()).await {
            tracing::warn!(event = "key_touch_failed", key = %id, error = %failure, "last use of a key not noted");
        }
    });
}

/// The caller as the engine wants to know it.
#[derive(Clone, Debug)]
pub struct By(pub Caller);

impl<S: Send + Sync> FromRequestParts<S> for By {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        let actor = parts.extensions.get::<Actor>();
        let (Some(actor), Some(ids)) = (actor, parts.extensions.get::<Ids>()) else {
            let message = "know the caller: the route stands outside the guard";
            return Err(Failure::new(Code::E015, "http.internal", "http", message).into());
        };
        let agent = parts.headers.get(USER_AGENT).map_or(&b""[..], |agent| agent.as_bytes());
        Ok(Self(Caller {
            actor: actor.name.clone(),
            correlation: ids.correlation.clone(),
            traceparent: Some(ids.traceparent.clone()),
            tenant: actor.key.as_ref().map(|key| Arc::from(key.tenant.as_str())),
            trigger: if agent.starts_with(b"hale/") { Trigger::Cli } else { Trigger::Api },
        }))
    }
}
