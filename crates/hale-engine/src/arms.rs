//! What is heard of arms that run elsewhere: probes and real calls alike.
//!
//! Guarantees: every answer and every failure of an arm counts, whichever worker met it; a change of its health is told
//! once; an arm that nobody called lately is asked every ten seconds or so, an expired or disabled one never.
//! Leaves to others: when an arm is healthy ([`hale_core::arm`]), what it may take ([`hale_core::routing`]).
//! Read next: [`crate::facade::arms`], then [`crate::facade::tasks`].

use crate::facade::Engine;
use futures_util::StreamExt;
use hale_core::arm::{Health, Heard, Registration};
use hale_core::failure::Failure;
use hale_core::pack::Kind;
use hale_core::run::{Event, Record, StepKind};
use hale_core::time::{Millis, Timestamp};
use hale_gateway::arm::{Repeat, Target};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Between two rounds of probes: three failures, and a dead arm is known within half a minute.
const EVERY: Duration = Duration::from_secs(10);
/// Rounds are this much shorter or longer, so that many servers do not ask one arm in step.
const JITTER_MS: u64 = 2_000;
/// A call within this is as good as a probe.
const TRAFFIC: Millis = Millis::seconds(8);
/// A health page that takes longer is a failure.
const WAIT: Duration = Duration::from_secs(2);
/// Arms that are asked at the same time.
const AT_ONCE: usize = 16;

/// Key of a registration in the settings.
pub(crate) fn key(arm: &str) -> String {
    format!("arm.{arm}")
}

/// A registration as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub registration: Registration,
    pub registered_at: Timestamp,
    pub by: String,
    /// It was deregistered; its pack stays for the history of its runs.
    #[serde(default)]
    pub gone: bool,
}

/// What is known of all arms; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Arms {
    heard: Arc<Mutex<BTreeMap<String, Heard>>>,
}

impl Arms {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Heard>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was heard of this arm; from now on it is listened for.
    pub(crate) fn of(&self, arm: &str, now: Timestamp) -> Heard {
        self.all().entry(arm.to_owned()).or_insert_with(|| Heard::nothing(now)).clone()
    }

    pub(crate) fn registered(&self, arm: &str, now: Timestamp) {
        self.all().entry(arm.to_owned()).or_insert_with(|| Heard::nothing(now)).registered(now);
    }

    /// Whatever was heard before was of another place.
    pub(crate) fn begin_anew(&self, arm: &str, now: Timestamp) {
        self.all().insert(arm.to_owned(), Heard::nothing(now));
    }

    fn answered(&self, arm: &str, now: Timestamp) {
        self.change(arm, now, |heard| heard.answered(now));
    }

    fn failed(&self, arm: &str, error: &str, now: Timestamp) {
        self.change(arm, now, |heard| heard.failed(error, now));
    }

    fn change(&self, arm: &str, now: Timestamp, change: impl FnOnce(&mut Heard)) {
        let mut all = self.all();
        let heard = all.entry(arm.to_owned()).or_insert_with(|| Heard::nothing(now));
        let was = heard.health(None, now);
        change(heard);
        let is = heard.health(None, now);
        drop(all);
        match (&was, &is) {
            (Health::Healthy, Health::Unhealthy { why }) => {
                tracing::warn!(event = "arm_unhealthy", arm, "arm {arm} is unhealthy: {why}");
            }
            (Health::Unhealthy { .. }, Health::Healthy) => {
                tracing::info!(event = "arm_healthy", arm, "arm {arm} is healthy");
            }
            _ => {}
        }
    }

    /// Reads from durable records what calls told of arms.
    pub(crate) fn hear(&self, records: &[Record]) {
        for record in records {
            match &record.event {
                Event::StepEnded { step } if step.kind == StepKind::Arm => {
                    self.answered(&step.name, record.at)
                }
                Event::StepFailed { kind: StepKind::Arm, name, failure, .. } => {
                    self.hear_failure(name, failure, record.at);
                }
                _ => {}
            }
        }
    }

    fn hear_failure(&self, arm: &str, failure: &Failure, at: Timestamp) {
        match failure.cause.as_str() {
            // It is alive and has a mind of its own.
            "arm.task_refused" => self.answered(arm, at),
            // Neither says whether it could do another task.
            "arm.busy" | "arm.address_refused" => {}
            _ => self.failed(arm, &failure.to_string(), at),
        }
    }
}

/// A service to be asked.
struct Asked {
    arm: String,
    endpoint: String,
}

impl Engine {
    /// Probes for ever, sparingly.
    pub(crate) fn start_arms(&self) {
        let (engine, stop) = (self.clone(), self.0.stop.clone());
        crate::tasks::spawn("arms", async move {
            loop {
                engine.probe_arms().await;
                let jitter = Duration::from_millis(crate::facade::chance() as u64 % (2 * JITTER_MS));
                let pause = EVERY - Duration::from_millis(JITTER_MS) + jitter;
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = tokio::time::sleep(pause) => {}
                }
            }
        });
    }

    /// Asks every arm of which nothing was heard lately.
    pub async fn probe_arms(&self) {
        self.probe_those(|heard, now| heard.asked_at.is_none_or(|at| now.since(at) >= TRAFFIC)).await;
    }

    /// Asks every arm now, whatever was heard lately.
    pub async fn probe_all_arms(&self) {
        self.probe_those(|_, _| true).await;
    }

    /// Asks the arms that were never asked: nobody should lose a task to an arm because it is new.
    pub(crate) async fn probe_new_arms(&self) {
        self.probe_those(|heard, _| heard.asked_at.is_none()).await;
    }

    /// Asks one arm now.
    pub(crate) async fn probe_arm(&self, arm: &str, endpoint: &str) {
        self.ask_arm(Asked { arm: arm.to_owned(), endpoint: endpoint.to_owned() }).await;
    }

    async fn probe_those(&self, wanted: impl Fn(&Heard, Timestamp) -> bool) {
        let now = self.now();
        let asked: Vec<Asked> = self
            .packs()
            .into_iter()
            .filter(|info| info.manifest.kind == Kind::Arm && info.enabled)
            .filter(|info| {
                let heard = self.0.arms.of(&info.manifest.name, now);
                let expired =
                    matches!(heard.health(self.ttl(&info.manifest.name), now), Health::Expired { .. });
                !expired && wanted(&heard, now)
            })
            .filter_map(|info| {
                Some(Asked { arm: info.manifest.name.clone(), endpoint: info.manifest.endpoint.clone()? })
            })
            .collect();
        if asked.is_empty() {
            return;
        }
        let asking = futures_util::stream::iter(asked).map(|asked| self.ask_arm(asked));
        asking.buffer_unordered(AT_ONCE).collect::<()>().await;
    }

    async fn ask_arm(&self, Asked { arm, endpoint }: Asked) {
        let target = Target { arm: &arm, endpoint: &endpoint, deadline: Instant::now() + WAIT };
        match self.gateway().arms().health(target).await {
            Ok(()) => self.0.arms.answered(&arm, self.now()),
            Err(error) => {
                self.meters().arm_probes_failed.add(1);
                let failure = error.failure(Repeat::Harmless);
                self.0.arms.failed(&arm, &failure.to_string(), self.now());
            }
        }
    }

    /// The registration of an arm; none for one that was deployed by hand.
    pub(crate) fn kept(&self, arm: &str) -> Option<Kept> {
        let text = self.settings().get(&key(arm))?;
        serde_json::from_str(&text).ok()
    }

    pub(crate) fn ttl(&self, arm: &str) -> Option<Millis> {
        self.kept(arm).map(|kept| kept.registration.ttl())
    }
}
