//! Runs: submit, look, watch, cancel, retry; many at a time are the matter of [`super::bulk`].
//!
//! Read next: [`crate::input`].

use super::{Engine, chance};
use crate::decide::no_run;
use crate::input::{Caller, Change, Ended, Input, Receipt, Resolve, Submit, With};
use crate::live::Live;
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::filter::Filter;
use hale_core::id::RunId;
use hale_core::limits;
use hale_core::pack::Manifest;
use hale_core::queue::key_of;
use hale_core::run::{DEFAULT_QUEUE, Event, Order, Record, Run, Trigger};
use hale_core::time::{Millis, Timestamp};
use hale_store::{Cursor, Idempotency, ListFilter, Op, Page, StoredRun};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, oneshot};

impl Engine {
    /// Accepts a run: the answer comes when it is durable.
    ///
    /// # Errors
    /// E001, E002, E004, E011 for what was asked; E014 when the server cannot take it now.
    pub async fn submit(&self, submit: Submit, caller: &Caller) -> Result<Receipt, Failure> {
        self.accept(submit, (self.new_run_id(), With::default(), None), caller).await
    }

    /// As [`Engine::submit`], under this id and in one commit with what belongs to it.
    ///
    /// # Errors
    /// As [`Engine::submit`], and E011 when what belongs to it was refused.
    pub(crate) async fn submit_with(
        &self,
        submit: Submit,
        (id, with): (RunId, With),
        caller: &Caller,
    ) -> Result<Receipt, Failure> {
        self.accept(submit, (id, with, None), caller).await
    }

    pub(crate) fn new_run_id(&self) -> RunId {
        RunId::mint(self.now(), chance())
    }

    /// As [`Engine::submit`], and waits for the end, at most `at_most`.
    ///
    /// # Errors
    /// As [`Engine::submit`].
    pub async fn submit_and_wait(
        &self,
        submit: Submit,
        caller: &Caller,
        at_most: Duration,
    ) -> Result<(Receipt, Option<Ended>), Failure> {
        let (tx, rx) = oneshot::channel();
        let receipt = self.accept(submit, (self.new_run_id(), With::default(), Some(tx)), caller).await?;
        let ended = tokio::time::timeout(at_most, rx).await.ok().and_then(Result::ok);
        Ok((receipt, ended))
    }

    async fn accept(
        &self,
        submit: Submit,
        (id, with, ended): (RunId, With, Option<oneshot::Sender<Ended>>),
        caller: &Caller,
    ) -> Result<Receipt, Failure> {
        let submit = self.with_artifacts(submit).await?;
        let manifest = self.0.registry.resolve(&submit.pack, submit.version.as_deref())?;
        self.0.settings.admits(&manifest.name)?;
        let idempotency = self.idempotency(&submit, caller);
        let digest = idempotency.as_ref().map(|idempotency| idempotency.digest);
        let input = manifest.check_input(&submit.input).map_err(|error| {
            let message = format!("check the input of pack {}: {error}", manifest.name);
            Failure::new(Code::E002, "run.invalid_input", "engine", message)
        })?;
        let input: Arc<str> = input.to_string().into();
        if input.len() > limits::INPUT_BYTES {
            let message = format!(
                "take an input of {} bytes: at most {} are allowed",
                input.len(),
                limits::INPUT_BYTES
            );
            return Err(Failure::new(Code::E004, "run.input_too_large", "engine", message));
        }
        let order = Box::new(Order { id, ..self.order(&submit, (&manifest, caller))? });
        let first =
            submit.routed.iter().map(|decision| Event::Routed { decision: decision.clone() }).collect();
        let receipt =
            self.ask(|reply| Input::Submit { order, first, input, idempotency, with, reply, ended }).await?;
        if receipt.duplicate {
            self.same_request(&receipt.run, (&submit, digest)).await?;
        }
        Ok(receipt)
    }

    fn order(&self, submit: &Submit, (manifest, caller): (&Manifest, &Caller)) -> Result<Order, Failure> {
        let allowed = self.0.settings.limit(&manifest.name).unwrap_or(manifest.limits.timeout);
        let limit = submit.timeout.unwrap_or(allowed);
        if limit > allowed || limit == Millis(0) {
            let message = format!("limit the run to {limit}: pack {} allows up to {allowed}", manifest.name);
            return Err(Failure::new(Code::E002, "run.invalid_timeout", "engine", message));
        }
        Ok(Order {
            id: self.new_run_id(),
            pack: manifest.pack_ref(),
            queue: manifest.queue.as_deref().unwrap_or(DEFAULT_QUEUE).into(),
            key: key_of(caller.tenant.as_deref(), &manifest.name),
            tenant: caller.tenant.clone(),
            due: self.due(submit)?,
            parent: None,
            priority: submit.priority.unwrap_or(manifest.priority),
            limit,
            trigger: caller.trigger,
            correlation: caller.correlation.clone(),
            traceparent: caller.traceparent.clone(),
            retry_of: submit.retry_of,
        })
    }

    /// When the run may begin; a moment that is past means now.
    fn due(&self, submit: &Submit) -> Result<Option<Timestamp>, Failure> {
        let (Some(due), now) = (submit.due, self.now()) else { return Ok(None) };
        if due > now + limits::DUE_MAX {
            let message =
                format!("delay the run until {due}: at most {} from now are allowed", limits::DUE_MAX);
            return Err(Failure::new(Code::E002, "run.invalid_due", "engine", message));
        }
        Ok(Some(due).filter(|due| *due > now))
    }

    fn idempotency(&self, submit: &Submit, caller: &Caller) -> Option<Idempotency> {
        let key = submit.idempotency.as_ref()?;
        let mut hash = blake3::Hasher::new();
        for part in [submit.pack.as_str(), submit.version.as_deref().unwrap_or(""), &submit.input.to_string()]
        {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        Some(Idempotency {
            key: format!("{}/{key}", caller.actor),
            digest: *hash.finalize().as_bytes(),
            expires: self.now()
                + if caller.trigger == Trigger::Schedule {
                    limits::FIRINGS_KEPT
                } else {
                    limits::IDEMPOTENCY_KEPT
                },
        })
    }

    /// The same key with another request is a mistake of the caller, and must not look like an answer.
    async fn same_request(
        &self,
        first: &Run,
        (submit, digest): (&Submit, Option<[u8; 32]>),
    ) -> Result<(), Failure> {
        if let Some(decision) = &submit.routed
            && self.same_task(first.id, decision).await?
        {
            // Another arm may be the best by now: the task is the one that was routed then.
            return Ok(());
        }
        let stored =
            self.0.store.run(first.id).map_err(|error| error.failure())?.ok_or_else(|| no_run(first.id))?;
        let filled = match self.0.registry.manifest(&first.pack) {
            Some(manifest) => manifest.check_input(&submit.input).ok(),
            // Its version is forgotten, and what it filled in is not known any more.
            None => Some(submit.input.clone()),
        };
        // As text: a number that JSON writes in two ways is two inputs.
        let text = filled.map(|filled| filled.to_string());
        let as_stored = text.as_deref() == Some(&*stored.input);
        let same = submit.pack == *first.pack.name && as_stored;
        if same || digest.is_none() {
            return Ok(());
        }
        let key = submit.idempotency.as_deref().unwrap_or_default();
        let message =
            format!("use idempotency key {key}: it belongs to run {} with another request", first.id);
        Err(Failure::new(Code::E011, "run.idempotency_conflict", "engine", message))
    }

    /// One run with its input, output and artifacts.
    ///
    /// # Errors
    /// E010 when there is none.
    pub async fn run(&self, id: RunId) -> Result<StoredRun, Failure> {
        let store = self.0.store.clone();
        let stored = blocking(move || store.run(id)).await?;
        stored.ok_or_else(|| no_run(id))
    }

    /// The run when it has ended, or as it is when the time is up.
    ///
    /// # Errors
    /// E010 when there is none.
    pub async fn wait(&self, id: RunId, at_most: Duration) -> Result<StoredRun, Failure> {
        let stored = self.run(id).await?;
        if stored.run.is_terminal() {
            return Ok(stored);
        }
        let (tx, rx) = oneshot::channel();
        // Watch first, look again then: an end between the two is not missed.
        self.send(Input::Watch { run: id, ended: tx }).await?;
        let stored = self.run(id).await?;
        if stored.run.is_terminal() {
            return Ok(stored);
        }
        // Ended or not: the store has the run as it is, with its artifacts.
        let _ = tokio::time::timeout(at_most, rx).await;
        self.run(id).await
    }

    /// Newest first.
    ///
    /// # Errors
    /// What the store could not read.
    pub async fn runs(&self, filter: &Filter, after: Option<Cursor>, limit: u32) -> Result<Page, Failure> {
        let (store, filter) = (self.0.store.clone(), list_filter(filter));
        blocking(move || store.list(&filter, after, limit.min(limits::PAGE_MAX))).await
    }

    /// The journal from `from_seq` on.
    ///
    /// # Errors
    /// E010 when there is no such run.
    pub async fn history(&self, id: RunId, from_seq: u64, limit: u32) -> Result<Vec<Record>, Failure> {
        let store = self.0.store.clone();
        let records = blocking(move || store.history(id, from_seq, limit)).await?;
        if records.is_empty() && from_seq <= 1 { Err(no_run(id)) } else { Ok(records) }
    }

    /// What happens in the run from now on.
    pub fn live(&self, id: RunId) -> broadcast::Receiver<Live> {
        self.0.hub.watch(id)
    }

    /// The content of an artifact.
    ///
    /// # Errors
    /// E007 when it is missing or damaged.
    pub async fn artifact(&self, hash: &str) -> Result<Vec<u8>, Failure> {
        let parsed = super::artifacts::parse(hash)?;
        let blobs = self.0.blobs.clone();
        blocking(move || blobs.get(parsed)).await
    }

    /// Cancels a run: at once when it waits, within a second when it executes.
    ///
    /// # Errors
    /// E010, or E011 when it has ended.
    pub async fn cancel(&self, id: RunId, reason: Option<String>, caller: &Caller) -> Result<Run, Failure> {
        let run = self.cancel_with((id, reason.clone()), Vec::new(), caller).await?;
        self.note("runs.cancel", &id.to_string(), caller, reason.as_deref().unwrap_or("")).await;
        Ok(run)
    }

    /// Cancels a run in one commit with what belongs to it.
    pub(crate) async fn cancel_with(
        &self,
        (run, reason): (RunId, Option<String>),
        with: Vec<Op>,
        caller: &Caller,
    ) -> Result<Run, Failure> {
        let (change, by) = (Change::Cancel { reason }, caller.actor.clone());
        self.ask(|reply| Input::Change { run, change, by, with, tries: 0, reply }).await
    }

    /// Says what became of a parked step.
    ///
    /// # Errors
    /// E010, or E011 when the run waits for no decision.
    pub async fn resolve(&self, id: RunId, how: Resolve, caller: &Caller) -> Result<Run, Failure> {
        let (change, by) = (Change::Resolve(how), caller.actor.clone());
        let with = Vec::new();
        let run = self.ask(|reply| Input::Change { run: id, change, by, with, tries: 0, reply }).await?;
        self.note("runs.resolve", &id.to_string(), caller, &format!("{how:?}")).await;
        Ok(run)
    }

    /// A new run of the same pack version with the same input, or another one.
    ///
    /// # Errors
    /// E010, E011 when the first run has not ended, and as [`Engine::submit`].
    pub async fn retry(
        &self,
        id: RunId,
        input: Option<serde_json::Value>,
        caller: &Caller,
    ) -> Result<Receipt, Failure> {
        let stored = self.run(id).await?;
        if !stored.run.is_terminal() {
            let message = format!("retry run {id}: it is {} still", stored.run.state.name());
            return Err(Failure::new(Code::E011, "run.conflict", "engine", message));
        }
        let caller = Caller { trigger: Trigger::Retry, ..caller.clone() };
        let receipt = self.run_again((&stored, input), |_| Vec::new(), &caller).await?;
        self.note("runs.retry", &id.to_string(), &caller, &receipt.run.id.to_string()).await;
        Ok(receipt)
    }
}

pub(crate) fn list_filter(filter: &Filter) -> ListFilter {
    ListFilter {
        states: filter.states.clone(),
        pack: filter.pack.clone(),
        queue: filter.queue.clone(),
        priority: filter.priority,
        since: filter.since,
        until: filter.until,
        error_code: filter.code,
        correlation: filter.correlation.clone(),
        cause: filter.cause.clone(),
        text: filter.text.clone(),
    }
}

/// A read of the store on a thread that may block.
pub(crate) async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, hale_store::Error> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(read).await {
        Ok(result) => result.map_err(|error| error.failure()),
        Err(error) => {
            Err(Failure::new(Code::E015, "store.reader_panicked", "store", "read the store")
                .caused_by(&error))
        }
    }
}

/// Since when counts of ended runs are told in a status: an hour.
pub fn status_window(now: Timestamp) -> Timestamp {
    now - Millis::seconds(3600)
}
