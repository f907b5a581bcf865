//! The tool `web.fetch`: one page of the web as a step, inside what the pack was granted and the operator allows.
//!
//! Guarantees: what the policy refuses is an answer that the model may read, and a line in the log that names the host and
//! nothing else of the address; what passes by itself fails the step, which is tried again as tools are.
//! Read next: `hale-gateway/src/web.rs`.

use super::host::{Done, Host};
use super::toolbox::answered;
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::pack::{Manifest, WEB_FETCH};
use hale_core::web::Site;
use hale_gateway::web::{Ask, Request};
use serde_json::Value;
use std::sync::Arc;

/// What a pack was granted of the web.
#[derive(Clone, Debug)]
pub struct Fetcher {
    grants: Arc<[Site]>,
}

impl Fetcher {
    /// The fetcher of a pack that has the tool; none for any other.
    ///
    /// # Errors
    /// A grant that is malformed.
    pub fn of(manifest: &Manifest) -> Result<Option<Self>, Failure> {
        if !manifest.tools.iter().any(|tool| tool == WEB_FETCH) {
            return Ok(None);
        }
        let read = |text: &String| {
            text.parse().map_err(|error: hale_core::web::Error| {
                let message = format!("read the grant {text}");
                Failure::new(Code::E013, "pack.grant_refused", "worker", message).caused_by(&error)
            })
        };
        let grants = manifest.web.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Some(Self { grants }))
    }

    /// One call.
    ///
    /// # Errors
    /// What another try could mend.
    pub async fn call(&self, host: &Host<'_>, arguments: &Value) -> Result<Done, Failure> {
        let waiting_on = format!("tool:{WEB_FETCH}");
        let ask = Ask::read(arguments).map_err(|error| {
            let said = "call web.fetch with these arguments";
            Failure::new(Code::E002, "tool.invalid_arguments", &waiting_on, said).caused_by(&error)
        });
        let result = match ask {
            Ok(ask) => self.fetch(host, ask).await,
            Err(failure) => Err(failure),
        };
        answered(result, waiting_on)
    }

    async fn fetch(&self, host: &Host<'_>, ask: Ask) -> Result<Value, Failure> {
        let request = Request::of(&ask, host.deadline);
        let fetched = host.worker.gateway.web().fetch(self.grants.clone(), request).await;
        let page = fetched.map_err(|error| {
            let failure = error.failure();
            if let Some(refused) = error.refused() {
                tracing::warn!(
                    event = "egress_refused", run_id = %host.run.id, correlation_id = %host.run.correlation,
                    tool = WEB_FETCH, host = refused, code = %failure.code, "a call to the web was refused"
                );
            }
            failure
        })?;
        serde_json::to_value(&page).map_err(|error| {
            Failure::new(Code::E015, "tool.unwritable", "worker", "write what was fetched").caused_by(&error)
        })
    }
}
