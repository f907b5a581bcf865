//! The artifact stores of a running server: which one is active, whether they work, and the way out of the spool.
//!
//! Guarantees: the active store is a durable setting, and nothing turns to a store that fails its probe; a probe writes,
//! reads back and removes; what was spooled goes to the active store as soon as that takes it, with growing pauses.
//! Leaves to others: keeping contents (`hale-store`), the levers ([`crate::facade::artifacts`]).
//! Read next: `hale-store/src/blobs/depot.rs`.

use crate::facade::Engine;
use crate::facade::runs::blocking;
use crate::health::{Component, Status};
use crate::registry::modes::User;
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::time::{Millis, Timestamp};
use hale_store::Spooled;
use hale_store::blobs::{PRIMARY, Place};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The setting that names the active store; without it the primary is.
pub const ACTIVE: &str = "artifacts.active";

/// Between two probes that nobody asked for: each writes and syncs.
const PROBE_EVERY: Millis = Millis::seconds(15);
/// A store that takes longer to answer a probe hangs, as a lost network disk does.
const PROBE_WAIT: Duration = Duration::from_secs(5);
/// Pauses between two tries to empty the spool.
const PUSH_FIRST: Duration = Duration::from_secs(1);
const PUSH_LONGEST: Duration = Duration::from_secs(60);

/// What the engine keeps of its stores.
#[derive(Debug, Default)]
pub struct Stores {
    /// There is something in the spool.
    pub(crate) spooled: Notify,
    known: std::sync::Mutex<Vec<Component>>,
    /// A probe that hangs is not started again beside itself.
    probing: tokio::sync::Mutex<()>,
    /// Held by a probe of the primary, or of the other store, until it comes back.
    turns: [Arc<tokio::sync::Mutex<()>>; 2],
}

impl Stores {
    fn known(&self) -> std::sync::MutexGuard<'_, Vec<Component>> {
        self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Engine {
    /// Turns to the store that was active last. One that is not configured any more leaves the primary active.
    pub(crate) fn start_stores(&self) {
        let name = self.settings().get(ACTIVE).unwrap_or_else(|| PRIMARY.to_owned());
        if let Err(error) = self.0.blobs.turn_to(&name) {
            tracing::error!(
                event = "artifact_store_unknown",
                error = %error,
                "artifacts go to the primary store: name the folder of {name}, artifacts.secondary in hale.toml"
            );
        }
        crate::tasks::spawn("spool", push_for_ever(self.clone()));
    }

    /// Refuses to turn to a store that does not work.
    ///
    /// # Errors
    /// E010 for a store that there is not, E007 for one that fails its probe.
    pub(crate) async fn admits_setting(&self, key: &str, value: Option<&str>) -> Result<(), Failure> {
        if key != ACTIVE {
            return Ok(());
        }
        self.try_store(value.unwrap_or(PRIMARY)).await
    }

    async fn try_store(&self, name: &str) -> Result<(), Failure> {
        let (blobs, asked) = (self.0.blobs.clone(), name.to_owned());
        let turn = self.0.stores.turns[usize::from(name != PRIMARY)].clone();
        // Behind one that hangs nobody starts another: each would take a thread for good.
        let probe = async move {
            let turn = turn.lock_owned().await;
            let probe = move || {
                let probed = blobs.probe(&asked);
                drop(turn);
                probed
            };
            tokio::task::spawn_blocking(probe).await
        };
        let failed = || {
            let message =
                format!("use the artifact store {name}: it fails its probe, so nothing was changed");
            Failure::new(Code::E007, "artifacts.probe_failed", "store", message)
        };
        match tokio::time::timeout(PROBE_WAIT, probe).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(error @ hale_store::Error::NoStore { .. }))) => Err(error.failure()),
            Ok(Ok(Err(error))) => Err(failed().caused_by(&error)),
            Ok(Err(panic)) => Err(failed().caused_by(&panic)),
            Err(late) => Err(failed().caused_by(&late)),
        }
    }

    /// The setting of the active store has changed.
    pub(crate) fn turn_stores(&self) {
        let name = self.settings().get(ACTIVE).unwrap_or_else(|| PRIMARY.to_owned());
        if let Err(error) = self.0.blobs.turn_to(&name) {
            tracing::error!(event = "artifact_store_unknown", error = %error, "the artifact store stays");
        }
        self.0.stores.spooled.notify_one();
        self.0.stow.push();
    }

    /// The stores as last probed: probed again when that is older than `within`.
    pub async fn store_health(&self, within: Millis) -> Vec<Component> {
        let stores = &self.0.stores;
        let now = self.now();
        let known = stores.known().clone();
        let fresh = known.first().is_some_and(|first| now.since(first.probed_at) <= within);
        let Ok(_turn) = stores.probing.try_lock() else { return known };
        if fresh && !known.is_empty() {
            return self.with_spool(known).await;
        }
        let mut all = Vec::new();
        for place in self.0.blobs.places() {
            all.push(self.probe_place(&place, now).await);
        }
        stores.known().clone_from(&all);
        self.with_spool(all).await
    }

    async fn probe_place(&self, place: &Place, now: Timestamp) -> Component {
        let begun = Instant::now();
        let where_ = place.path.as_ref().map(|path| format!(" {}", path.display())).unwrap_or_default();
        let role = if place.active { "active" } else { "stands by" };
        let (tried, user) = (self.try_store(place.name).await, User::present().uid);
        let (status, detail) = match tried {
            Ok(()) => {
                let took = Millis::from(begun.elapsed());
                (
                    Status::Healthy,
                    format!("{role}:{where_} written, read and removed in {took}, as user {user}"),
                )
            }
            Err(failure) => {
                let why = if failure.chain.is_empty() { failure.message } else { failure.chain.join(": ") };
                (Status::Unhealthy, format!("{role}:{where_} fails its probe, as user {user}: {why}"))
            }
        };
        Component { name: place.name.to_owned(), status, detail, probed_at: now, hard: false }
    }

    /// What waits is told with every look; a look also wakes whoever can push it.
    async fn with_spool(&self, mut all: Vec<Component>) -> Vec<Component> {
        let blobs = self.0.blobs.clone();
        let spooled = blocking(move || Ok(blobs.spooled())).await.unwrap_or_default();
        let stowed = self.0.stow.list();
        if spooled.contents == 0 && stowed.is_empty() {
            return all;
        }
        if spooled.contents > 0 {
            self.0.stores.spooled.notify_one();
        }
        let oldest = stowed.values().map(|waiting| waiting.since).chain(spooled.oldest).min();
        let since = oldest.map(|at| format!(", the oldest since {at}")).unwrap_or_default();
        let error = spooled.error.clone().or_else(|| stowed.values().next().map(|one| one.error.clone()));
        let why = error.map(|error| format!(": {error}")).unwrap_or_default();
        let detail = format!("{}{since}{why}", waits(&spooled, stowed.len()));
        let now = self.now();
        all.push(Component {
            name: "spool".to_owned(),
            status: Status::Degraded,
            detail,
            probed_at: now,
            hard: false,
        });
        all
    }

    /// All stores as one component of the server's health.
    pub(crate) async fn probe_artifacts(&self) -> Component {
        let parts = self.store_health(PROBE_EVERY).await;
        let worst = |part: &&Component| part.status > Status::Unknown;
        let ill: Vec<String> =
            parts.iter().filter(worst).map(|part| format!("{} {}", part.name, part.detail)).collect();
        let active = self.0.blobs.places().into_iter().find(|place| place.active);
        let down = parts.iter().any(|part| {
            part.status == Status::Unhealthy && active.as_ref().is_some_and(|active| active.name == part.name)
        });
        let status = match (down, ill.is_empty()) {
            (true, _) => Status::Unhealthy,
            (false, false) => Status::Degraded,
            (false, true) => Status::Healthy,
        };
        let detail = match ill.is_empty() {
            true => parts
                .iter()
                .map(|part| format!("{} {}", part.name, part.detail))
                .collect::<Vec<_>>()
                .join("; "),
            false => ill.join("; "),
        };
        let probed_at = parts.first().map_or_else(|| self.now(), |part| part.probed_at);
        Component { name: "artifacts".to_owned(), status, detail, probed_at, hard: false }
    }
}

fn waits(spooled: &Spooled, runs: usize) -> String {
    let contents = (spooled.contents > 0)
        .then(|| format!("{} contents ({} bytes) wait in the spool", spooled.contents, spooled.bytes));
    let runs = (runs > 0).then(|| format!("{runs} runs wait in COMPLETING"));
    contents.into_iter().chain(runs).collect::<Vec<_>>().join(", ")
}

/// Empties the spool whenever there is something in it, until the server ends.
async fn push_for_ever(engine: Engine) {
    let mut pause = PUSH_FIRST;
    // What a former process left is looked for at once.
    engine.0.stores.spooled.notify_one();
    loop {
        tokio::select! {
            () = engine.0.stop.cancelled() => return,
            () = engine.0.stores.spooled.notified() => {}
        }
        let blobs = engine.0.blobs.clone();
        match blocking(move || blobs.push(None)).await {
            Ok(pushed) if pushed.left == 0 => {
                if pushed.stored > 0 {
                    tracing::info!(
                        event = "spool_emptied",
                        contents = pushed.stored,
                        bytes = pushed.bytes,
                        "spooled artifacts are stored"
                    );
                }
                pause = PUSH_FIRST;
            }
            Ok(pushed) => {
                let error = pushed.error.unwrap_or_default();
                tracing::warn!(
                    event = "spool_waits",
                    contents = pushed.left,
                    error,
                    "spooled artifacts wait for their store"
                );
                tokio::select! {
                    () = engine.0.stop.cancelled() => return,
                    () = tokio::time::sleep(pause) => {}
                }
                pause = (pause * 2).min(PUSH_LONGEST);
                engine.0.stores.spooled.notify_one();
            }
            Err(failure) => {
                tracing::error!(event = "spool_unreadable", error = %failure, "the spool cannot be read");
            }
        }
    }
}
