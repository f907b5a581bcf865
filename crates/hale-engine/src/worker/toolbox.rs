//! The tools of one run: what its pack names, inside the folders and hosts that it was granted.
//!
//! A tool's refusal is an answer that the model may read; only what another try could mend fails the step.
//! Read next: `hale-sandbox/src/tools.rs`.

use super::host::Done;
use super::waits::Delegate;
use super::web::Fetcher;
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::pack::{Manifest, SLEEP, WEB_FETCH};
use hale_core::retry::RetryClass;
use hale_core::run::Dispatch;
use hale_gateway::ToolSpec;
use hale_sandbox::{Control, Folder, Grant};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How a tool is carried out.
pub enum Means<'a> {
    /// By a function on a thread of its own.
    Sandbox,
    /// By waiting.
    Sleep,
    /// By a run of another pack.
    Child(&'a Delegate),
    /// By the gateway.
    Web(&'a Fetcher),
    /// The pack has no such tool.
    Unknown,
}

/// Letters of a name that providers take.
const WIRE_NAME: usize = 64;

pub struct Toolbox {
    granted: Vec<hale_sandbox::ToolSpec>,
    sleeps: bool,
    web: Option<Fetcher>,
    children: Vec<Delegate>,
    folders: Arc<Vec<Folder>>,
}

/// Sets the flag when the call is given up, so that the thread behind it stops too.
struct Flag(Arc<AtomicBool>);

impl Drop for Flag {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Toolbox {
    /// Opens the granted folders; what is `hidden` is not there for the tools, whatever was granted.
    ///
    /// # Errors
    /// A grant that is malformed, not allowed here, or cannot be opened.
    pub fn open(
        manifest: &Manifest,
        children: &[Delegate],
        (allow, hidden): (&[Grant], &[PathBuf]),
    ) -> Result<Self, Failure> {
        let granted: Vec<_> = hale_sandbox::specs()
            .into_iter()
            .filter(|spec| manifest.tools.iter().any(|tool| tool == spec.name))
            .collect();
        let mut folders = Vec::new();
        if !granted.is_empty() {
            for text in &manifest.files {
                let refused = |error: &(dyn std::error::Error + 'static)| {
                    let message = format!("open the granted folder {text}");
                    Failure::new(Code::E013, "pack.grant_refused", "worker", message).caused_by(error)
                };
                let grant: Grant = text.parse().map_err(|error| refused(&error))?;
                let grant = grant.allowed_by(allow).map_err(|error| refused(&error))?;
                let folder = Folder::open(&grant).map_err(|error| refused(&error))?;
                folders.push(folder.hiding(hidden));
            }
        }
        let sleeps = manifest.tools.iter().any(|tool| tool == SLEEP);
        let web = Fetcher::of(manifest)?;
        Ok(Self { granted, sleeps, web, children: children.to_vec(), folders: Arc::new(folders) })
    }

    pub fn names(&self) -> Vec<&str> {
        let granted = self.granted.iter().map(|spec| spec.name);
        let others = [self.sleeps.then_some(SLEEP), self.web.as_ref().map(|_| WEB_FETCH)];
        granted
            .chain(others.into_iter().flatten())
            .chain(self.children.iter().map(|child| child.tool.as_str()))
            .collect()
    }

    pub fn means(&self, name: &str) -> Means<'_> {
        match self.children.iter().find(|child| child.tool == name) {
            Some(child) => Means::Child(child),
            None if name == WEB_FETCH => self.web.as_ref().map_or(Means::Unknown, Means::Web),
            None if self.sleeps && name == SLEEP => Means::Sleep,
            None if self.granted.iter().any(|spec| spec.name == name) => Means::Sandbox,
            None => Means::Unknown,
        }
    }

    /// As the model sees them: dots are not allowed on the wire. A pack that cannot run now is not shown.
    pub fn specs(&self) -> Vec<ToolSpec> {
        let sandbox = self.granted.iter().map(|spec| ToolSpec {
            name: wire_name(spec.name),
            description: spec.description.to_owned(),
            parameters: spec.parameters.clone(),
        });
        let children = self.children.iter().filter(|child| child.refused.is_none()).map(|child| ToolSpec {
            name: wire_name(&child.tool),
            description: described(child),
            parameters: child.input.json_schema(),
        });
        let web = self
            .web
            .as_ref()
            .map(|_| ToolSpec { name: wire_name(WEB_FETCH), ..hale_gateway::web::ask::spec() });
        sandbox.chain(self.sleeps.then(sleep_spec)).chain(web).chain(children).collect()
    }

    /// Our name for the name on the wire; an unknown one stays as it is and is refused by the call.
    pub fn name_of(&self, wire: &str) -> String {
        self.names().into_iter().find(|name| wire_name(name) == wire).unwrap_or(wire).to_owned()
    }

    /// What may happen to a call that was in flight at a crash.
    pub fn dispatch(&self, name: &str) -> Dispatch {
        match self.granted.iter().find(|spec| spec.name == name) {
            Some(spec) if spec.idempotent => Dispatch::Idempotent,
            Some(_) => Dispatch::Park,
            // A page is fetched again, and the rest is refused without a deed.
            None => Dispatch::Idempotent,
        }
    }

    /// One call on a thread that may block, until its end, its deadline or `stop`.
    ///
    /// # Errors
    /// What another try could mend.
    pub async fn call(
        &self,
        name: String,
        arguments: Value,
        deadline: Instant,
        stop: CancellationToken,
    ) -> Result<Done, Failure> {
        let waiting_on = format!("tool:{name}");
        if !self.granted.iter().any(|spec| spec.name == name) {
            let granted = self.names().join(", ");
            let message = format!("call {name}: the pack has no such tool, it has: {granted}");
            return answered(
                Err(Failure::new(Code::E013, "tool.not_granted", &waiting_on, message)),
                waiting_on,
            );
        }
        let cancelled = Arc::new(AtomicBool::new(false));
        let _flag = Flag(cancelled.clone());
        let control = Control { deadline: deadline.into_std(), cancelled };
        let (folders, origin) = (self.folders.clone(), name.clone());
        let work =
            tokio::task::spawn_blocking(move || hale_sandbox::call(&name, &arguments, &folders, &control));
        let result = tokio::select! {
            () = stop.cancelled() => Err(Failure::new(Code::E011, "run.cancelled", &waiting_on, "finish the call: the run was stopped")),
            joined = work => match joined {
                Ok(result) => result.map_err(|error| error.failure(&origin)),
                Err(error) => Err(Failure::new(Code::E015, "tool.panicked", &waiting_on, "run the tool").caused_by(&error)),
            },
        };
        answered(result, waiting_on)
    }
}

pub(super) fn answered(result: Result<Value, Failure>, waiting_on: String) -> Result<Done, Failure> {
    match result {
        Ok(value) => Ok(Done { value, waiting_on, usage: None, is_error: false }),
        Err(failure) if failure.retry == RetryClass::Never && failure.code != Code::E015 => {
            let value = json!({ "error": { "code": failure.code, "cause": failure.cause, "message": failure.to_string() } });
            Ok(Done { value, waiting_on, usage: None, is_error: true })
        }
        Err(failure) => Err(failure),
    }
}

/// The name that providers take: letters, digits, `_` and `-`. A pack goes without its version, which stands once in a
/// manifest; a name that is too long ends in a part of its hash.
fn wire_name(name: &str) -> String {
    let bare = name.split('@').next().unwrap_or(name);
    let name = bare.replace(['.', ':'], "_");
    if name.len() <= WIRE_NAME {
        return name;
    }
    let hash = blake3::hash(name.as_bytes()).to_hex();
    format!("{}_{}", &name[..WIRE_NAME - 9], &hash[..8])
}

fn described(child: &Delegate) -> String {
    match child.description.as_str() {
        "" => format!("Runs the pack {} with this input and gives its answer.", child.pack),
        description => description.to_owned(),
    }
}

fn sleep_spec() -> ToolSpec {
    ToolSpec {
        name: wire_name(SLEEP),
        description: "Waits, and then goes on. Give either seconds, or a moment in until.".to_owned(),
        parameters: json!({
            "type": "object",
            "properties": {
                "seconds": { "type": "number", "minimum": 0, "description": "How long, in seconds." },
                "until": { "type": "string", "description": "A moment such as 2026-11-22T03:05:00Z." },
            },
            "additionalProperties": false,
        }),
    }
}
