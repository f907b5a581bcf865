//! Faults by name: what can be injected, where it takes effect, how often it did.
//!
//! Guarantees: a fault that cannot take effect here is refused with the reason; every fault counts its hits; an
//! injected fault ends by its time or by `clear`, and clearing is never a fix.
//! Leaves to others: whether injecting is allowed at all (`hale/src/http/chaos.rs`).
//! Read next: [`disk`], [`packs`], [`remote`].

mod disk;
mod packs;
mod remote;

use crate::sim::control::{Control, Fault, FaultSpec};
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::FaultId;
use hale_core::nearest::nearest;
use hale_core::time::{Millis, Timestamp};
use hale_engine::Engine;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

pub use remote::Remote;

/// A fault that can be injected: its id, what it does, and the cause that hale should find.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    pub fault: &'static str,
    pub does: &'static str,
    pub finds: &'static str,
    /// Values that it takes, each with what it means.
    pub takes: &'static [(&'static str, &'static str)],
}

const fn known(
    (fault, finds): (&'static str, &'static str),
    does: &'static str,
    takes: &'static [(&'static str, &'static str)],
) -> Known {
    Known { fault, does, finds, takes }
}

const ON_MODEL: &[(&str, &str)] = &[("model", "the simulated model that it hits, `small` by default")];
const SLOWLY: &[(&str, &str)] = &[ON_MODEL[0], ("wait", "how long the first word takes, 90s by default")];
const ON_PACK: &[(&str, &str)] = &[("pack", "the pack whose file it hits, the first by name by default")];

/// Every fault of the lab.
pub const KNOWN: [Known; 8] = [
    known(("llm.rate_limit", "llm.rate_limited"), "the simulated model answers 429", ON_MODEL),
    known(("llm.key_refuse", "llm.key_refused"), "the simulated model answers 401", ON_MODEL),
    known(("llm.slow", "run.model_slow"), "the simulated model waits before it answers", SLOWLY),
    known(("tool.loop", "run.tool_loop"), "the simulated model repeats one tool call for ever", ON_MODEL),
    known(("worker.kill_all", "queue.no_live_worker"), "the embedded worker ends as in a crash", &[]),
    known(("disk.fill", "store.disk_full"), "a file fills the data folder's file system", &[]),
    known(("packs.close", "packs.unreadable"), "a file of the watched folder gets mode 0000", ON_PACK),
    known(("packs.open", "packs.writable_by_others"), "a file of the watched folder gets mode 0666", ON_PACK),
];

impl Known {
    /// Refuses values that the fault does not take: a slip must not pass for the default.
    fn check(&self, params: &BTreeMap<String, String>) -> Result<(), Failure> {
        let names = || self.takes.iter().map(|(name, _)| *name);
        let Some(wrong) = params.keys().find(|given| !names().any(|name| name == given.as_str())) else {
            return Ok(());
        };
        let takes: Vec<&str> = names().collect();
        let takes = if takes.is_empty() { "no values".to_owned() } else { takes.join(", ") };
        let meant =
            nearest(wrong, names()).map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
        Err(refused(Code::E002, format!("set {wrong} of fault {}: it takes {takes}{meant}", self.fault)))
    }
}

/// The model that faults hit unless told otherwise.
const MODEL: &str = "small";
/// How long a fault of a model holds unless told otherwise.
const SPAN: Millis = Millis::seconds(120);
/// First token of `llm.slow`: longer than any default limit.
const SLOW: Millis = Millis::seconds(90);

/// An injected fault as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Injected {
    pub id: FaultId,
    pub fault: &'static str,
    pub target: String,
    pub since: Timestamp,
    pub until: Option<Timestamp>,
    /// Times that it took effect.
    pub hits: u64,
}

/// Where the simulated models are.
#[derive(Clone, Debug)]
pub enum SimAt {
    /// In this process.
    Here(Control),
    /// In another one, steered over its socket.
    There(Remote),
    /// Models are real: their faults cannot be injected.
    Nowhere,
}

#[derive(Clone, Debug)]
enum Held {
    Model(u64),
    Worker { slots: u32 },
    Disk(disk::Fill),
    Pack(packs::Turned),
}

/// The lab of one server.
pub struct Lab {
    engine: Engine,
    sim: SimAt,
    faults: Mutex<BTreeMap<FaultId, (Injected, Held)>>,
    /// A fault came, so that the next end may be another one.
    came: Notify,
}

impl Lab {
    pub fn new(engine: Engine, sim: SimAt) -> Self {
        Self { engine, sim, faults: Mutex::default(), came: Notify::new() }
    }

    fn faults(&self) -> MutexGuard<'_, BTreeMap<FaultId, (Injected, Held)>> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a fault happen, for `span` if given.
    ///
    /// # Errors
    /// E010 for an unknown fault, E002 for a bad parameter, E011 where it cannot take effect.
    pub async fn inject(
        &self,
        fault: &str,
        span: Option<Millis>,
        params: BTreeMap<String, String>,
    ) -> Result<Injected, Failure> {
        let Some(known) = KNOWN.iter().find(|known| known.fault == fault) else {
            let names: Vec<&str> = KNOWN.iter().map(|known| known.fault).collect();
            let meant = nearest(fault, names.iter().copied());
            let meant = meant.map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
            let names = names.join(", ");
            return Err(refused(Code::E010, format!("find fault {fault}: there are {names}{meant}")));
        };
        known.check(&params)?;
        let now = self.engine.now();
        let (target, span, held) = match known.fault {
            "worker.kill_all" => self.kill_workers(span).await?,
            "disk.fill" => self.fill_disk(span)?,
            "packs.close" => self.turn_pack((0o000, &params), span)?,
            "packs.open" => self.turn_pack((0o666, &params), span)?,
            _ => self.model_fault(known.fault, span, &params).await?,
        };
        let hits = u64::from(!matches!(held, Held::Model(_)));
        let id = FaultId::mint(
            now,
            u128::from(self.faults().len() as u64) << 64 | u128::from(now.0.unsigned_abs()),
        );
        let injected =
            Injected { id, fault: known.fault, target, since: now, until: span.map(|span| now + span), hits };
        self.faults().insert(id, (injected.clone(), held));
        self.came.notify_one();
        Ok(injected)
    }

    async fn model_fault(
        &self,
        fault: &str,
        span: Option<Millis>,
        params: &BTreeMap<String, String>,
    ) -> Result<(String, Option<Millis>, Held), Failure> {
        let span = span.unwrap_or(SPAN);
        let model = params.get("model").map_or(MODEL, |model| model.trim_start_matches("sim/"));
        let wait: Millis = match params.get("wait") {
            Some(text) => text
                .parse()
                .map_err(|error: hale_core::time::Error| refused(Code::E002, error.to_string()))?,
            None => SLOW,
        };
        let fault = match fault {
            "llm.rate_limit" => Fault::RateLimit { retry_after: Some(span.0.div_ceil(1000)) },
            "llm.key_refuse" => Fault::KeyRefused,
            "llm.slow" => Fault::Slow { first_token_ms: wait.0, per_chunk_ms: 0 },
            _ => Fault::LoopTools,
        };
        let spec = FaultSpec::from(fault).on(model).lasting(span.duration());
        let id = match &self.sim {
            SimAt::Here(control) => {
                control.set(spec).map_err(|error| refused(Code::E011, error.to_string()))?
            }
            SimAt::There(remote) => remote.set(&spec).await?,
            SimAt::Nowhere => {
                let why = "inject a fault of a model: no simulated provider runs here, and a real one cannot be made to fail";
                return Err(refused(Code::E011, why.to_owned()));
            }
        };
        Ok((format!("sim/{model}"), Some(span), Held::Model(id)))
    }

    async fn kill_workers(&self, span: Option<Millis>) -> Result<(String, Option<Millis>, Held), Failure> {
        let slots = self.engine.config().embedded_slots.max(1);
        match self.engine.kill_embedded("killed by the lab").await {
            Some(id) => Ok((id.to_string(), span, Held::Worker { slots })),
            None => Err(refused(Code::E011, "kill the embedded worker: there is none".to_owned())),
        }
    }

    fn fill_disk(&self, span: Option<Millis>) -> Result<(String, Option<Millis>, Held), Failure> {
        let dir = &self.engine.config().data;
        let fill = disk::Fill::begin(dir)?;
        Ok((dir.display().to_string(), span, Held::Disk(fill)))
    }

    fn turn_pack(
        &self,
        (mode, params): (u32, &BTreeMap<String, String>),
        span: Option<Millis>,
    ) -> Result<(String, Option<Millis>, Held), Failure> {
        let Some(dir) = &self.engine.config().packs else {
            let why = "turn the mode of a pack file: this server watches no folder of packs";
            return Err(refused(Code::E011, why.to_owned()));
        };
        let turned = packs::Turned::begin(dir, params.get("pack").map(String::as_str), mode)?;
        Ok((turned.target(), span, Held::Pack(turned)))
    }

    /// What is injected now, oldest first; faults whose time is over are left out.
    pub fn list(&self) -> Vec<Injected> {
        let now = self.engine.now();
        let faults = self.faults();
        let live = faults.values().filter(|(injected, _)| injected.until.is_none_or(|until| until > now));
        live.map(|(injected, held)| Injected {
            hits: self.hits(held).unwrap_or(injected.hits),
            ..injected.clone()
        })
        .collect()
    }

    fn hits(&self, held: &Held) -> Option<u64> {
        match (held, &self.sim) {
            (Held::Model(id), SimAt::Here(control)) => Some(control.hits(*id)),
            (Held::Model(id), SimAt::There(remote)) => remote.hits(*id),
            _ => None,
        }
    }

    /// Ends one fault.
    ///
    /// # Errors
    /// E010 when there is none of this id.
    pub async fn clear(&self, id: FaultId) -> Result<Injected, Failure> {
        let held = self.faults().remove(&id);
        let Some((injected, held)) = held else {
            return Err(refused(Code::E010, format!("find fault {id}: see hale chaos list")));
        };
        let hits = self.hits(&held).unwrap_or(injected.hits);
        match held {
            Held::Model(fault) => match &self.sim {
                SimAt::Here(control) => drop(control.clear(fault)),
                SimAt::There(remote) => remote.clear(fault).await?,
                SimAt::Nowhere => {}
            },
            Held::Worker { slots } => drop(self.engine.start_embedded(slots).await?),
            Held::Disk(fill) => fill.end()?,
            Held::Pack(turned) => turned.end()?,
        }
        Ok(Injected { hits, ..injected })
    }

    /// Ends all faults.
    ///
    /// # Errors
    /// The first that could not be ended.
    pub async fn clear_all(&self) -> Result<Vec<Injected>, Failure> {
        let ids: Vec<FaultId> = self.faults().keys().copied().collect();
        let mut ended = Vec::with_capacity(ids.len());
        for id in ids {
            ended.push(self.clear(id).await?);
        }
        Ok(ended)
    }

    /// Waits until the time of a fault is over; for ever while there is none. One caller at a time.
    pub async fn due(&self) {
        loop {
            let ends = self.faults().values().filter_map(|(injected, _)| injected.until).min();
            match ends.map(|at| self.engine.clock().instant(at)) {
                None => self.came.notified().await,
                Some(at) => tokio::select! {
                    () = self.came.notified() => {}
                    () = tokio::time::sleep_until(at) => return,
                },
            }
        }
    }

    /// Ends faults whose time is over; models end theirs by themselves.
    pub async fn sweep(&self) {
        let now = self.engine.now();
        let over = |injected: &Injected| injected.until.is_some_and(|until| until <= now);
        let ids: Vec<FaultId> = self
            .faults()
            .values()
            .filter(|(injected, _)| over(injected))
            .map(|(injected, _)| injected.id)
            .collect();
        for id in ids {
            // A fault that cannot be ended now is tried again at the next sweep.
            let _ = self.clear(id).await;
        }
    }
}

pub(crate) fn refused(code: Code, message: String) -> Failure {
    Failure::new(code, "chaos.refused", "lab", message)
}
