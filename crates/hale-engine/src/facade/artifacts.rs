//! Artifacts: list, look, put, verify, fail over, try again.
//!
//! Guarantees: a content that was put is durable and named before its hash is answered; a fail-over changes nothing
//! unless the target proved that it works, and is one audited operation that can be undone.
//! Read next: [`crate::stores`], the stores themselves.

use super::Engine;
use super::operate::Deed;
use super::runs::blocking;
use crate::input::{Caller, Submit};
use crate::stores::ACTIVE;
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::filter::artifacts::Filter;
use hale_core::id::OperationId;
use hale_core::limits;
use hale_core::time::{Millis, Timestamp};
use hale_store::blobs::{BACKUP, INPUTS, PRIMARY};
use hale_store::{ArtifactCursor, ArtifactPage, Hash, Op, Pushed};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Contents that operators put and that are kept at a time: each is a setting in memory.
const INPUTS_MAX: usize = 1000;

/// A content that an operator put, as it is stored under `artifact.input.HASH`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Put {
    pub name: String,
    pub bytes: u64,
    pub media_type: String,
    pub at: Timestamp,
    pub by: String,
}

/// What a fail-over did.
#[derive(Clone, Debug)]
pub struct FailedOver {
    pub from: String,
    pub to: String,
    pub operation: OperationId,
}

/// What another try did.
#[derive(Clone, Debug)]
pub struct Retried {
    pub pushed: Pushed,
    /// Runs in COMPLETING that try again at once.
    pub runs: u64,
}

impl Engine {
    /// Artifacts of runs, those of the newest run first.
    ///
    /// # Errors
    /// What the store could not read.
    pub async fn artifacts(
        &self,
        filter: Filter,
        after: Option<ArtifactCursor>,
        limit: u32,
    ) -> Result<ArtifactPage, Failure> {
        let store = self.store().clone();
        blocking(move || store.artifacts(&filter, after.as_ref(), limit)).await
    }

    /// Contents that operators put, the newest first.
    pub fn inputs(&self) -> Vec<(String, Put)> {
        let below = self.settings().below(INPUTS).into_iter();
        let read = |(key, value): (String, String)| {
            Some((key.strip_prefix(INPUTS)?.to_owned(), serde_json::from_str::<Put>(&value).ok()?))
        };
        let mut all: Vec<(String, Put)> = below.filter_map(read).collect();
        all.sort_by_key(|(hash, put)| (std::cmp::Reverse(put.at), hash.clone()));
        all
    }

    /// Whether the content of a hash is there and sound; why not, otherwise.
    ///
    /// # Errors
    /// A hash that is none, or a reader that broke down.
    pub async fn verify_artifact(&self, hash: &str) -> Result<Option<String>, Failure> {
        let hash = parse(hash)?;
        let blobs = self.0.blobs.clone();
        blocking(move || Ok(blobs.verify(hash))).await.map(|sound| {
            let error = sound.err()?;
            Some(hale_core::failure::chain(&error).collect::<Vec<_>>().join(": "))
        })
    }

    /// Keeps a content as an input that runs may name by its hash.
    ///
    /// # Errors
    /// E002 for a bad name, E004 when there are too many, E007 when it could not be stored.
    pub async fn artifact_put(
        &self,
        (name, media_type): (String, String),
        content: Vec<u8>,
        caller: &Caller,
    ) -> Result<(String, Put), Failure> {
        let fine =
            |text: &str| !text.is_empty() && text.chars().count() <= 200 && !text.contains(char::is_control);
        if !fine(&name) || !fine(&media_type) || !media_type.contains('/') {
            let message = format!(
                "keep {name:?} of type {media_type:?}: a name has 1 to 200 letters, a type is as text/csv"
            );
            return Err(Failure::new(Code::E002, "artifact.invalid_name", "engine", message));
        }
        let bytes = content.len() as u64;
        let hash = Hash::of(&content).to_string();
        let key = format!("{INPUTS}{hash}");
        if self.settings().get(&key).is_none() && self.settings().below(INPUTS).len() >= INPUTS_MAX {
            let message =
                format!("keep {name}: {INPUTS_MAX} inputs are kept already; retention.artifacts clears them");
            return Err(Failure::new(Code::E004, "artifact.too_many", "engine", message));
        }
        let blobs = self.0.blobs.clone();
        blocking(move || blobs.put(&content)).await?;
        let put = Put { name, bytes, media_type, at: self.now(), by: caller.actor.to_string() };
        let value = serde_json::to_string(&put).unwrap_or_default();
        let deed = Deed {
            operation: "artifacts.put",
            target: hash.clone(),
            detail: put.name.clone(),
            undo: Some("retention.artifacts clears it".to_owned()),
        };
        self.operate(deed, vec![Op::Setting { key: key.clone(), value: Some(value.clone()) }], caller)
            .await?;
        self.settings().set(&key, Some(&value));
        Ok((hash, put))
    }

    /// Makes another store the active one.
    ///
    /// # Errors
    /// E002 without a reason, E010 for a store that there is not, E011 when it is active already, E007 when it fails
    /// its probe; then nothing has changed.
    pub async fn artifacts_failover(
        &self,
        to: &str,
        reason: &str,
        caller: &Caller,
    ) -> Result<FailedOver, Failure> {
        if reason.trim().is_empty() || reason.chars().count() > limits::REASON_CHARS {
            let message = format!("fail over to {to}: say why in 1 to {} letters", limits::REASON_CHARS);
            return Err(Failure::new(Code::E002, "artifacts.no_reason", "engine", message));
        }
        let places = self.0.blobs.places();
        if !places.iter().any(|place| place.name == to) {
            let names: Vec<&str> = places.iter().map(|place| place.name).collect();
            let message = if [PRIMARY, BACKUP].contains(&to) {
                format!("fail over to {to}: artifacts.secondary names no second folder")
            } else {
                format!("fail over to {to}: the stores are {}", names.join(" and "))
            };
            return Err(Failure::new(Code::E010, "artifacts.no_store", "engine", message));
        }
        let from = places.iter().find(|place| place.active).map_or(PRIMARY, |place| place.name).to_owned();
        if from == to {
            let message = format!("fail over to {to}: it is the active store already");
            return Err(Failure::new(Code::E011, "artifacts.active_already", "engine", message));
        }
        let after = (to != PRIMARY).then(|| to.to_owned());
        let operation = self.change_because("artifacts.failover", reason, (ACTIVE, after), caller).await?;
        tracing::warn!(
            event = "artifacts_failover",
            from,
            to,
            reason,
            "artifacts go to another store from now on"
        );
        Ok(FailedOver { from, to: to.to_owned(), operation })
    }

    /// Tries at once what could not be stored within `within`; everything when none.
    ///
    /// # Errors
    /// A spool that cannot be read.
    pub async fn artifacts_retry(&self, within: Option<Millis>, caller: &Caller) -> Result<Retried, Failure> {
        let (blobs, since) = (self.0.blobs.clone(), within.map(|span| self.now() - span));
        let waiting = self.0.stow.list();
        let runs = waiting.values().filter(|one| since.is_none_or(|since| one.since >= since)).count() as u64;
        self.0.stow.push();
        let pushed = blocking(move || blobs.push(since)).await?;
        let told = format!("{} stored, {} left, {runs} runs try again", pushed.stored, pushed.left);
        self.note("artifacts.retry", "spool", caller, &told).await;
        Ok(Retried { pushed, runs })
    }

    /// An input with the texts of the artifacts that it names: `{"artifact": HASH}` stands for the text.
    ///
    /// # Errors
    /// E010 for a content that is not there, E002 for one that is no text, E004 for one that is too large.
    pub(super) async fn with_artifacts(&self, mut submit: Submit) -> Result<Submit, Failure> {
        let mut named = Vec::new();
        gather(&submit.input, &mut named);
        named.sort_unstable();
        named.dedup();
        let mut texts = std::collections::BTreeMap::new();
        let mut total = 0;
        for hash in named {
            let text = self.text_of(&hash, limits::INPUT_BYTES - total).await?;
            total += text.len();
            texts.insert(hash, text);
        }
        if !texts.is_empty() {
            replace(&mut submit.input, &texts);
        }
        Ok(submit)
    }

    async fn text_of(&self, hash: &str, most: usize) -> Result<String, Failure> {
        let content = self.artifact(hash).await.map_err(|failure| {
            let message = format!("read the artifact {hash} that the input names");
            Failure::new(Code::E010, "artifact.not_found", "store", message).caused_by(&failure)
        })?;
        if content.len() > most {
            let message = format!(
                "put the artifact {hash} of {} bytes into the input: an input has at most {} bytes in all",
                content.len(),
                limits::INPUT_BYTES
            );
            return Err(Failure::new(Code::E004, "run.input_too_large", "engine", message));
        }
        String::from_utf8(content).map_err(|error| {
            let message = format!("put the artifact {hash} into the input: it is no text");
            Failure::new(Code::E002, "artifact.no_text", "engine", message).caused_by(&error)
        })
    }
}

pub(super) fn parse(hash: &str) -> Result<Hash, Failure> {
    hash.parse().map_err(|()| {
        let message = format!("find artifact {hash}: a hash has 64 letters of 0-9 and a-f");
        Failure::new(Code::E010, "artifact.not_found", "store", message)
    })
}

/// The hash that a value stands for: an object with nothing but `artifact`.
fn reference(value: &Value) -> Option<&str> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    object.get("artifact")?.as_str().filter(|hash| hash.parse::<Hash>().is_ok())
}

fn gather(value: &Value, into: &mut Vec<String>) {
    match value {
        _ if reference(value).is_some() => into.extend(reference(value).map(str::to_owned)),
        Value::Object(object) => object.values().for_each(|value| gather(value, into)),
        Value::Array(items) => items.iter().for_each(|value| gather(value, into)),
        _ => {}
    }
}

fn replace(value: &mut Value, texts: &std::collections::BTreeMap<String, String>) {
    if let Some(text) = reference(value).and_then(|hash| texts.get(hash)) {
        *value = Value::String(text.clone());
        return;
    }
    match value {
        Value::Object(object) => object.values_mut().for_each(|value| replace(value, texts)),
        Value::Array(items) => items.iter_mut().for_each(|value| replace(value, texts)),
        _ => {}
    }
}
