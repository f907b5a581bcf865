//! Packs whose runs end their workers, one after the other: held back, so that they cannot take all workers down.
//!
//! A worker's death is laid at a pack's door when it executed a run of it that was leased after the last such death;
//! a run of the pack that completes in between clears it. Workers that die together count once.
//! Guarantees: a quarantined pack takes no new runs, its queued runs keep their places and block nobody; the reason
//! and its evidence are a durable setting with its line in the audit trail.
//! Leaves to others: listing and releasing (`facade/quarantine.rs`); single runs that kill (`core::run::apply`).
//! Read next: [`crate::claims`], which asks whether a line may have its turn.

use crate::desk::{Act, Desk};
use crate::facade::chance;
use crate::settings::Settings;
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::{OperationId, RunId, WorkerId};
use hale_core::limits;
use hale_core::run::Run;
use hale_core::time::Timestamp;
use hale_store::{AuditRow, Op, Phase, WorkerKind, WorkerRow};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;

/// Settings of quarantined packs begin with it.
pub const PREFIX: &str = "quarantine.";

/// One worker's death while it executed a run of the pack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kill {
    pub run: RunId,
    pub worker: WorkerId,
    pub at: Timestamp,
    pub why: String,
}

/// Why a pack is held back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantine {
    pub pack: String,
    pub at: Timestamp,
    pub reason: String,
    pub kills: Vec<Kill>,
}

/// Deaths in a row, by pack.
pub(crate) type Blamed = HashMap<Arc<str>, Vec<Kill>>;

impl Settings {
    /// Why a pack is held back, if it is.
    pub fn quarantine(&self, pack: &str) -> Option<Quarantine> {
        serde_json::from_str(&self.get(&format!("{PREFIX}{pack}"))?).ok()
    }

    /// All packs that are held back, by name.
    pub fn quarantines(&self) -> Vec<Quarantine> {
        let values = self.below(PREFIX);
        values.iter().filter_map(|(_, value)| serde_json::from_str(value).ok()).collect()
    }

    /// Whether runs under this key of the queue must wait. A key is a pack, or a tenant and a pack.
    pub(crate) fn holds(&self, key: &str) -> bool {
        let pack = key.rsplit_once('/').map_or(key, |(_, pack)| pack);
        self.get(&format!("{PREFIX}{pack}")).is_some()
    }

    /// Refuses new runs of a pack that is held back.
    pub(crate) fn admits(&self, pack: &str) -> Result<(), Failure> {
        match self.quarantine(pack) {
            None => Ok(()),
            Some(quarantine) => {
                let message = format!(
                    "accept a run of pack {pack}: it is in quarantine since {}, {}; \
                     let it go again with: hale packs quarantine release {pack}",
                    quarantine.at.rfc3339(),
                    quarantine.reason
                );
                Err(Failure::new(Code::E011, "pack.quarantined", "engine", message))
            }
        }
    }
}

impl Desk {
    /// A worker died with these runs in hand.
    pub(crate) fn blame(&mut self, worker: &WorkerRow, (held, why): (&[Run], &str), now: Timestamp) {
        // The embedded worker dies with the server or by an order, and one that drains was told to go.
        if worker.kind == WorkerKind::Embedded || worker.draining {
            return;
        }
        for run in held {
            let pack = &run.pack.name;
            let kills = self.blamed.entry(pack.clone()).or_default();
            let fresh = kills.last().is_none_or(|last| {
                // A lease from before the clock was set back may lie ahead: it is no later than that death.
                let since = last.at..=now;
                last.worker != worker.id && run.clock_from.is_some_and(|leased| since.contains(&leased))
            });
            if !fresh {
                continue;
            }
            kills.push(Kill { run: run.id, worker: worker.id, at: now, why: why.to_owned() });
            if kills.len() >= limits::QUARANTINE_KILLS && !self.settings.holds(pack) {
                let quarantine = Quarantine {
                    pack: pack.to_string(),
                    at: now,
                    reason: format!("its runs ended {} workers in a row", kills.len()),
                    kills: kills.clone(),
                };
                self.quarantine(quarantine, now);
            }
        }
    }

    /// A run of the pack completed: whatever ended the workers before, it was not the pack alone.
    pub(crate) fn acquit(&mut self, pack: &str) {
        self.blamed.remove(pack);
    }

    fn quarantine(&mut self, quarantine: Quarantine, now: Timestamp) {
        let Ok(value) = serde_json::to_string(&quarantine) else { return };
        let id = OperationId::mint(now, chance());
        let audit = |phase| {
            Op::Audit(Box::new(AuditRow {
                id,
                at: now,
                actor: "engine".to_owned(),
                operation: "packs.quarantine".to_owned(),
                target: quarantine.pack.clone(),
                phase,
                detail: serde_json::json!({ "detail": quarantine.reason, "correlation_id": "engine" })
                    .to_string(),
                undo: Some(format!("hale packs quarantine release {}", quarantine.pack)),
                lab: false,
            }))
        };
        let key = format!("{PREFIX}{}", quarantine.pack);
        let setting = Op::Setting { key, value: Some(value.clone()) };
        let ops = vec![audit(Phase::Intent), setting, audit(Phase::Outcome)];
        self.push(Op::Together(ops), Act::Quarantined { quarantine: Box::new(quarantine), value });
    }

    /// It is durable: from the next turn on the pack waits.
    pub(crate) fn quarantined(&mut self, quarantine: &Quarantine, value: &str) {
        self.settings.set(&format!("{PREFIX}{}", quarantine.pack), Some(value));
        let runs: Vec<String> = quarantine.kills.iter().map(|kill| kill.run.to_string()).collect();
        tracing::error!(
            event = "pack_quarantined",
            pack = quarantine.pack,
            runs = runs.join(" "),
            "pack {} in quarantine: {}",
            quarantine.pack,
            quarantine.reason
        );
    }

    /// The pack may go again: its keys are asked for anew.
    pub(crate) fn released(&mut self, pack: &str) {
        self.blamed.remove(pack);
        self.queue.release_all();
    }
}
