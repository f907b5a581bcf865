//! Health from probes: what each component answered, when, and how old that is.
//!
//! Never a constant: a component that was not probed is unknown, and real traffic counts as a probe. Probed on a slow
//! beat, and when somebody asks. A provider that is silent delays no other component. Liveness does not come from
//! here, since a restart mends no dependency.
//! Read next: [`crate::recorder`], which keeps the last of it for after a crash.

use crate::desk::Look;
use crate::facade::Engine;
use crate::facade::runs::blocking;
use crate::recorder::Recorder;
use crate::supervisor::{SeatLook, Stands};
use arc_swap::ArcSwap;
use hale_core::failure::Failure;
use hale_core::limits;
use hale_core::time::{Millis, Timestamp};
use hale_gateway::stats::CallRecord;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// Between two looks: what broke is in the log and in the flight recorder within five seconds, asked or not.
const EVERY: Duration = Duration::from_secs(4);
/// Whoever asks gets a probe that is no older; many askers share one.
const FRESH: Millis = Millis::seconds(1);
/// An asker waits no longer for a probe, and gets the last one with its age: a prober that hangs must not hang doors.
const FRESH_WAIT: Duration = Duration::from_secs(1);
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
    own: Arc<ArcSwap<Vec<Component>>>,
    providers: Arc<ArcSwap<Vec<Component>>>,
    asked: Arc<Notify>,
    /// When our own components were probed last.
    told: Arc<watch::Sender<Option<Timestamp>>>,
}

impl Engine {
    /// Health as last probed. Hard components decide over unhealthy, soft ones over degraded.
    pub fn health(&self) -> Health {
        let mut components = Vec::clone(&self.0.probes.own.load());
        components.extend(self.0.probes.providers.load().iter().cloned());
        let worst = components.iter().map(|component| match (component.hard, component.status) {
            (false, Status::Unhealthy) => Status::Degraded,
            (_, Status::Unknown) => Status::Healthy,
            (_, status) => status,
        });
        let status = worst.max().unwrap_or(Status::Unknown);
        Health { status, components }
    }

    /// Health as it is now: probed again if the last probe is older than [`FRESH`].
    pub async fn health_fresh(&self) -> Health {
        let probes = &self.0.probes;
        let last = *probes.told.borrow();
        let is_old = last.is_none_or(|last| self.now().since(last) > FRESH);
        if is_old && !self.0.stop.is_cancelled() {
            let mut told = probes.told.subscribe();
            probes.asked.notify_one();
            // Late is told by the age of what is shown.
            let _ = tokio::time::timeout(FRESH_WAIT, told.changed()).await;
        }
        self.health()
    }

    /// Probes everything once, now.
    pub async fn probe(&self) -> Health {
        self.probe_own().await;
        self.probe_providers().await;
        self.health()
    }

    async fn probe_own(&self) {
        let now = self.now();
        let begun = Instant::now();
        let look = self.look().await;
        let took = Millis::from(begun.elapsed());
        let mut components = vec![judge_loop(&look, took, now), self.probe_store(now).await];
        components.push(self.judge_processes(judge_workers(&look, now)));
        components.push(self.probe_packs(now));
        self.0.probes.own.store(Arc::new(components));
        self.0.probes.told.send_replace(Some(now));
    }

    async fn probe_providers(&self) {
        let now = self.now();
        // A lost disk hangs as a silent provider does.
        let mut components = vec![self.probe_artifacts().await];
        for name in self.gateway().names() {
            components.push(self.probe_provider(&name, now).await);
        }
        self.0.probes.providers.store(Arc::new(components));
    }

    /// Probes for ever, and writes the flight recorder.
    pub(crate) fn start_probes(&self, recorder: Recorder) {
        crate::tasks::spawn("probes", self.clone().probe_own_for_ever(recorder));
        crate::tasks::spawn("provider-probes", self.clone().probe_providers_for_ever());
    }

    async fn probe_own_for_ever(self, recorder: Recorder) {
        let mut before = String::new();
        recorder.note(self.now(), "start", &format!("process {} started", std::process::id()));
        loop {
            self.probe_own().await;
            let health = self.health();
            let told = summary(&health);
            if told != before {
                tracing::info!(
                    event = "health_changed",
                    status = health.status.name(),
                    "health check: {told}"
                );
            }
            recorder.note(self.now(), "health", &told);
            before = told;
            tokio::select! {
                () = self.0.stop.cancelled() => break,
                () = self.0.probes.asked.notified() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
        }
        recorder.note(self.now(), "end", &format!("process {} drained", std::process::id()));
    }

    /// Apart from the rest: a provider may take [`PROVIDER_WAIT`] to say nothing.
    async fn probe_providers_for_ever(self) {
        loop {
            self.probe_providers().await;
            tokio::select! {
                () = self.0.stop.cancelled() => break,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
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

    /// A restart loop is told even while other workers do the work.
    fn judge_processes(&self, workers: Component) -> Component {
        let seats = self.processes().seats;
        let open = |seat: &&SeatLook| matches!(seat.stands, Stands::Open { .. });
        let Some(first) = seats.iter().find(open) else { return workers };
        let (n, of) = (seats.iter().filter(open).count(), seats.len());
        let says = first.last.as_ref().map_or("", |ended| ended.meaning.says.as_str());
        let detail = format!(
            "{}; restart loop in {n} of {of} seats, first seat {}: {says}; hale workers restart {}",
            workers.detail, first.seat, first.seat
        );
        Component { status: workers.status.max(Status::Degraded), detail, ..workers }
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
        let latest = self.0.probes.providers.load();
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

fn judge_loop(look: &Result<Look, Failure>, took: Millis, now: Timestamp) -> Component {
    let (status, detail) = match look {
        Ok(look) if look.closed => (Status::Degraded, "draining: no new runs are taken".to_owned()),
        Ok(look) => {
            let (active, pending) = (look.active, look.pending);
            (Status::Healthy, format!("answered in {took}: {active} active, {pending} waiting in the queue"))
        }
        Err(failure) => (Status::Unhealthy, failure.to_string()),
    };
    Component { name: "orchestrator".to_owned(), status, detail, probed_at: now, hard: true }
}

fn judge_workers(look: &Result<Look, Failure>, now: Timestamp) -> Component {
    let (status, detail) = match look {
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

fn summary(health: &Health) -> String {
    let ill = health.components.iter().filter(|component| component.status > Status::Unknown);
    let ill: Vec<String> =
        ill.map(|component| format!("{} {}", component.name, component.status.name())).collect();
    if ill.is_empty() { "health check passed".to_owned() } else { ill.join(", ") }
}

/// A component that is not heard of for this long is unknown to whoever reads its age.
pub const STALE: Millis = limits::LEASE;
