//! The kill switch: what it takes, what it lets end, and how what it held comes back.
//!
//! Guarantees: a switch that is on refuses new work and starts nothing that it covers; what is under way has
//! [`GRACE`] to end and is stopped then, and is ended without its worker's word at [`FORCE`]. What comes back does so
//! at most [`RETURNS`] targets in [`RETURN_SPAN`].
//! Leaves to others: storing switches and telling workers (`hale-engine/src/killswitch.rs`).
//! Read next: `hale-engine/src/worker/switches.rs`.

use crate::code::Code;
use crate::failure::Failure;
use crate::pack::is_name;
use crate::run::{Run, Trigger};
use crate::time::{Millis, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// What is under way may end within this: the answer of a model or tool that was asked before is still taken.
pub const GRACE: Millis = Millis::seconds(30);
/// From here on nothing is waited for.
pub const FORCE: Millis = Millis::seconds(60);
/// Targets that may come back within [`RETURN_SPAN`]: few enough to see what they do.
pub const RETURNS: usize = 2;
pub const RETURN_SPAN: Millis = Millis::seconds(60);
/// Letters of a tenant's name in a target.
const TENANT_CHARS: usize = 64;

/// What a switch is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// Everything but probes.
    All,
    Tenant(Arc<str>),
    Pack(Arc<str>),
    Tool(Arc<str>),
}

/// A text that names no target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("read {text:?} as a target: write all, pack:NAME, tool:NAME or tenant:NAME")]
pub struct NoTarget {
    pub text: String,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::All => f.pad("all"),
            Target::Tenant(name) => f.pad(&format!("tenant:{name}")),
            Target::Pack(name) => f.pad(&format!("pack:{name}")),
            Target::Tool(name) => f.pad(&format!("tool:{name}")),
        }
    }
}

impl FromStr for Target {
    type Err = NoTarget;
    fn from_str(text: &str) -> Result<Self, NoTarget> {
        let refused = || NoTarget { text: text.chars().take(crate::limits::NAME_CHARS).collect() };
        let plain = |name: &str| {
            let letters = name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/');
            !name.is_empty() && name.len() <= TENANT_CHARS && letters
        };
        match text.split_once(':') {
            None if text == "all" => Ok(Target::All),
            Some(("pack", name)) if is_name(name) => Ok(Target::Pack(name.into())),
            Some(("tool", name)) if plain(name) => Ok(Target::Tool(name.into())),
            Some(("tenant", name)) if plain(name) => Ok(Target::Tenant(name.into())),
            _ => Err(refused()),
        }
    }
}

impl Serialize for Target {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(input)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What becomes of work that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Force {
    /// It has its time to end.
    Graceful,
    /// It ends now.
    Immediate,
}

/// What is due for a run under a switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Its worker is told to stop it.
    Stop,
    /// It ends without its worker's word.
    Forced,
}

/// A switch that is on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    pub target: Target,
    pub by: String,
    pub reason: String,
    pub at: Timestamp,
    pub force: Force,
}

impl Switch {
    /// Whether runs of this pack for this tenant are meant. A tool's switch takes calls, never runs.
    pub fn covers(&self, tenant: Option<&str>, pack: &str) -> bool {
        match &self.target {
            Target::All => true,
            Target::Tenant(name) => tenant == Some(name),
            Target::Pack(name) => **name == *pack,
            Target::Tool(_) => false,
        }
    }

    /// When runs under way are told to stop.
    pub fn stops_at(&self) -> Timestamp {
        match self.force {
            Force::Graceful => self.at + GRACE,
            Force::Immediate => self.at,
        }
    }

    /// When nothing is waited for any more.
    pub fn forced_at(&self) -> Timestamp {
        match self.force {
            Force::Graceful => self.at + FORCE,
            Force::Immediate => self.at,
        }
    }

    /// What is due for a run that it covers and that executes.
    pub fn due(&self, now: Timestamp) -> Option<Due> {
        match now {
            now if now >= self.forced_at() => Some(Due::Forced),
            now if now >= self.stops_at() => Some(Due::Stop),
            _ => None,
        }
    }

    /// Who switched what off, when and why, in one line.
    pub fn told(&self) -> String {
        format!("the kill switch {} is on since {} by {}: {}", self.target, self.at, self.by, self.reason)
    }

    /// Why a run of this pack is not taken.
    pub fn refuses(&self, pack: &str) -> Failure {
        let message =
            format!("accept a run of pack {pack}: {}; look at it with: hale killswitch list", self.told());
        Failure::new(Code::E011, "killswitch.on", "engine", message)
    }

    /// Why a call of a tool is not made.
    pub fn refuses_call(&self, tool: &str) -> Failure {
        let message = format!("call {tool}: {}; look at it with: hale killswitch list", self.told());
        Failure::new(Code::E013, "tool.switched_off", &format!("tool:{tool}"), message)
    }
}

/// All switches that are on, and what was switched off and comes back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    pub on: Vec<Switch>,
    /// From when on a target goes again.
    pub returning: BTreeMap<Target, Timestamp>,
}

impl Standing {
    /// The switch that holds runs of this pack and tenant; of several, the one that forces first.
    pub fn covering(&self, tenant: Option<&str>, pack: &str) -> Option<&Switch> {
        let covering = self.on.iter().filter(|switch| switch.covers(tenant, pack));
        covering.min_by_key(|switch| switch.forced_at())
    }

    /// The switch under which a run stands. Probes go on, so that one can see what is left.
    pub fn over(&self, run: &Run) -> Option<&Switch> {
        if run.trigger == Trigger::Probe {
            return None;
        }
        self.covering(run.tenant.as_deref(), &run.pack.name)
    }

    /// The switch of a tool.
    pub fn tool(&self, tool: &str) -> Option<&Switch> {
        let is_it = |switch: &&Switch| matches!(&switch.target, Target::Tool(name) if **name == *tool);
        self.on.iter().find(is_it)
    }

    /// Whether runs under a key of the queue must wait now. A key is a pack, or a tenant and a pack.
    pub fn holds(&self, key: &str, now: Timestamp) -> bool {
        let (tenant, pack) = match key.rsplit_once('/') {
            Some((tenant, pack)) => (Some(tenant), pack),
            None => (None, key),
        };
        self.covering(tenant, pack).is_some() || self.returns(tenant, pack).is_some_and(|at| at > now)
    }

    /// When runs of this pack and tenant come back, if a switch was taken off that covered them.
    pub fn returns(&self, tenant: Option<&str>, pack: &str) -> Option<Timestamp> {
        let mine = |target: &Target| match target {
            Target::All => true,
            Target::Pack(name) => **name == *pack,
            Target::Tenant(name) => tenant == Some(name),
            Target::Tool(_) => false,
        };
        self.returning.iter().filter(|(target, _)| mine(target)).map(|(_, at)| *at).max()
    }

    /// The next moment at which something comes back.
    pub fn next_return(&self, now: Timestamp) -> Option<Timestamp> {
        self.returning.values().copied().filter(|at| *at > now).min()
    }

    /// When `n` more targets may come back, in order: never more than [`RETURNS`] in [`RETURN_SPAN`], counted with
    /// those that came back before.
    pub fn moments(&self, n: usize, now: Timestamp) -> Vec<Timestamp> {
        let mut taken: Vec<Timestamp> =
            self.returning.values().copied().filter(|at| *at > now - RETURN_SPAN).collect();
        taken.sort();
        let before = taken.len();
        for _ in 0..n {
            let last = taken.last().copied().filter(|last| *last > now).unwrap_or(now);
            let free = taken.len().checked_sub(RETURNS).map_or(now, |place| taken[place] + RETURN_SPAN);
            taken.push(last.max(free));
        }
        taken.split_off(before)
    }
}
