//! Health from probes: what each component answered, when, and how old that is.
//!
//! Never a constant: a component that was not probed is unknown, and real traffic counts as a probe. Liveness does not
//! come from here, since a restart mends no dependency.
//! Read next: [`crate::recorder`], which keeps the last of it for after a crash.

use crate::facade::Engine;
use crate::facade::runs::blocking;
use crate::recorder::Recorder;
use arc_swap::ArcSwap;
use hale_core::limits;
use hale_core::time::{Millis, Timestamp};
use hale_gateway::stats::CallRecord;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Between two looks: a broken dependency is told within five seconds.
const EVERY: Duration = Duration::from_secs(2);
/// A provider without traffic is asked for its models this often.
const PROVIDER_EVERY: Millis = Millis::seconds(60);
/// A provider's silence is told after this.
const PROVIDER_WAIT: Duration = Duration::from_secs(5);
/// A call within this tells enough about a provider.
const TRAFFIC: Millis = Millis::seconds(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    Healthy,
    Unknown,
    Degraded,
    Unhealthy,
}

impl Status {
    pub const fn name(self) -> &'static str {
        match self {
            Status::Healthy => "healthy",
            Status::Unknown => "unknown",
            Status::Degraded => "degraded",
            Status::Unhealthy => "unhealthy",
        }
    }
}

/// One component as last probed.
#[derive(Clone, Debug)]
pub struct Component {
    pub name: String,
    pub status: Status,
    pub detail: String,
    pub probed_at: Timestamp,
    /// The whole is unhealthy without it.
    pub hard: bool,
}

/// All components, and what follows for the whole.
#[derive(Clone, Debug)]
pub struct Health {
    pub status: Status,
    pub components: Vec<Component>,
}

/// The latest probes; shared.
#[derive(Clone, Default)]
pub struct Probes {
    latest: Arc<ArcSwap<Vec<Component>>>,
}

impl Engine {
    /// Health as last probed. Hard components decide over unhealthy, soft ones over degraded.
    pub fn health(&self) -> Health {
        let components = Vec::clone(&self.0.probes.latest.load());
        let worst = components.iter().map(|component| match (component.hard, component.status) {
            (false, Status::Unhealthy) => Status::Degraded,
            (_, Status::Unknown) => Status::Healthy,
            (_, status) => status,
        });
        let status = worst.max().unwrap_or(Status::Unknown);
        Health { status, components }
    }

    /// Probes everything once, now.
    pub async fn probe(&self) -> Health {
        let now = self.now();
        let mut components = vec![self.probe_loop(now).await, self.probe_store(now).await];
        components.push(self.probe_workers(now).await);
        components.push(self.probe_packs(now));
        for name in self.gateway().names() {
            components.push(self.probe_provider(&name, now).await);
        }
        self.0.probes.latest.store(Arc::new(components));
        self.health()
    }

    /// Probes for ever, and writes the flight recorder.
    pub(crate) fn start_probes(&self, recorder: Recorder) {
        let engine = self.clone();
        let stop = self.0.stop.clone();
        crate::tasks::spawn("probes", async move {
            let mut before = String::new();
            recorder.note(engine.now(), "start", &format!("process {} started", std::process::id()));
            loop {
                let health = engine.probe().await;
                let told = summary(&health);
                if told != before {
                    tracing::info!(
                        event = "health_changed",
                        status = health.status.name(),
                        "health check: {told}"
                    );
                }
                recorder.note(engine.now(), "health", &told);
                before = told;
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = tokio::time::sleep(EVERY) => {}
                }
            }
            recorder.note(engine.now(), "end", &format!("process {} drained", std::process::id()));
        });
    }

    async fn probe_loop(&self, now: Timestamp) -> Component {
        let begun = Instant::now();
        let (status, detail) = match self.look().await {
            Ok(look) if look.closed => (Status::Degraded, "draining: no new runs are taken".to_owned()),
            Ok(look) => {
                let took = Millis::from(begun.elapsed());
                (
                    Status::Healthy,
                    format!(
                        "answered in {took}: {} active, {} waiting in the queue",
                        look.active, look.pending
                    ),
                )
            }
            Err(failure) => (Status::Unhealthy, failure.to_string()),
        };
        Component { name: "orchestrator".to_owned(), status, detail, probed_at: now, hard: true }
    }

    async fn probe_store(&self, now: Timestamp) -> Component {
        let store = self.store().clone();
        let (status, detail) = match blocking(move || Ok((store.space()?, store.queue()?))).await {
            Ok((space, _)) if space.full_since.is_some() => (
                Status::Unhealthy,
                format!("the disk is full: {} bytes free, new runs are refused", space.free),
            ),
            Ok((space, _)) if !space.ballast => (Status::Degraded, "the reserve file is released".to_owned()),
            Ok((space, _)) => (Status::Healthy, format!("read back; {} MiB free", space.free >> 20)),
            Err(failure) => (Status::Unhealthy, failure.to_string()),
        };
        Component { name: "store".to_owned(), status, detail, probed_at: now, hard: true }
    }

    async fn probe_workers(&self, now: Timestamp) -> Component {
        let (status, detail) = match self.look().await {
            Err(failure) => (Status::Unknown, failure.to_string()),
            Ok(look) => {
                let live = look.workers.iter().filter(|worker| worker.until > now && !worker.draining);
                let (n, slots) = live.fold((0, 0), |(n, slots), worker| (n + 1, slots + worker.slots));
                let busy: u32 = look.workers.iter().map(|worker| worker.busy).sum();
                let status = if n == 0 { Status::Degraded } else { Status::Healthy };
                (status, format!("{n} live, {busy} of {slots} slots busy"))
            }
        };
        Component { name: "workers".to_owned(), status, detail, probed_at: now, hard: false }
    }

    fn probe_packs(&self, now: Timestamp) -> Component {
        let errors = self.registry().errors().clone();
        let (status, detail) = match errors.first_key_value() {
            Some((name, error)) => {
                (Status::Degraded, format!("{} not reloaded, first {name}: {error}", errors.len()))
            }
            None => (Status::Healthy, format!("{} deployed", self.packs().len())),
        };
        Component { name: "packs".to_owned(), status, detail, probed_at: now, hard: false }
    }

    /// Traffic first: only a provider that nobody has called lately is asked, and only for its list of models.
    async fn probe_provider(&self, provider: &str, now: Timestamp) -> Component {
        let name = format!("provider:{provider}");
        let calls = self.gateway().stats().calls();
        let last = calls.iter().rev().find(|call| call.provider == provider && call.at >= now - TRAFFIC);
        if let Some(call) = last {
            let (status, detail) = match &call.cause {
                Some(cause) => (Status::Unhealthy, told(call, cause)),
                None => (Status::Healthy, format!("{} answered in {}", call.model, call.latency)),
            };
            return Component { name, status, detail, probed_at: call.at, hard: false };
        }
        let latest = self.0.probes.latest.load();
        if let Some(known) = latest.iter().find(|component| component.name == name)
            && now.since(known.probed_at) < PROVIDER_EVERY
        {
            return known.clone();
        }
        let (status, detail) = match self.gateway().probe(provider, Instant::now() + PROVIDER_WAIT).await {
            Ok(models) => (Status::Healthy, format!("lists {} models", models.len())),
            Err(failure) => (Status::Unhealthy, failure.to_string()),
        };
        Component { name, status, detail, probed_at: now, hard: false }
    }
}

/// What became of the last call, with what the provider said.
fn told(call: &CallRecord, cause: &str) -> String {
    let status = call.status.map(|status| format!(" ({status})")).unwrap_or_default();
    let wait = call.retry_after.map(|wait| format!(", it asks for {wait} of rest")).unwrap_or_default();
    format!("the last call to {} failed: {cause}{status}{wait}", call.model)
}

fn summary(health: &Health) -> String {
    let ill = health.components.iter().filter(|component| component.status > Status::Unknown);
    let ill: Vec<String> =
        ill.map(|component| format!("{} {}", component.name, component.status.name())).collect();
    if ill.is_empty() { "health check passed".to_owned() } else { ill.join(", ") }
}

/// A component that is not heard of for this long is unknown to whoever reads its age.
pub const STALE: Millis = limits::LEASE;
