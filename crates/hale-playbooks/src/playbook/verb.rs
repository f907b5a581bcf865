//! Action verbs: the closed list of deeds that a playbook may ask for, with their parameters and least risk.
//!
//! Guarantees: a playbook may call a deed riskier than it is, never safer.
//! Leaves to others: doing them; `hale-engine` has one handler a verb.
//! Read next: [`crate::playbook`].

use super::Risk;
use crate::value::Type;
use hale_core::operation::DECLARED;
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Verb {
    /// Give a model a fallback, while calls go on.
    #[serde(rename = "model.set_fallback")]
    ModelSetFallback,
    /// Start one more worker in the server.
    #[serde(rename = "worker.start")]
    WorkerStart,
    /// Raise a limit of a pack for runs that start from now on.
    #[serde(rename = "limits.raise")]
    LimitRaise,
    /// Delete what is past its retention.
    #[serde(rename = "disk.free")]
    DiskFree,
    /// Give pack files that are wrong in one way the mode that they should have.
    #[serde(rename = "packs.set_modes")]
    PacksSetModes,
    /// Say what a person should do.
    #[serde(rename = "advise")]
    Advise,
}

/// A parameter of a verb.
#[derive(Debug, PartialEq, Eq)]
pub struct Param {
    pub name: &'static str,
    pub ty: Type,
    pub need: Need,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    Required,
    Optional,
}

const fn required(name: &'static str, ty: Type) -> Param {
    Param { name, ty, need: Need::Required }
}

const fn optional(name: &'static str, ty: Type) -> Param {
    Param { name, ty, need: Need::Optional }
}

impl Verb {
    pub const ALL: [Verb; 6] = [
        Verb::ModelSetFallback,
        Verb::WorkerStart,
        Verb::LimitRaise,
        Verb::DiskFree,
        Verb::PacksSetModes,
        Verb::Advise,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Verb::ModelSetFallback => "model.set_fallback",
            Verb::WorkerStart => "worker.start",
            Verb::LimitRaise => "limits.raise",
            Verb::DiskFree => "disk.free",
            Verb::PacksSetModes => "packs.set_modes",
            Verb::Advise => "advise",
        }
    }

    /// The least risk that a playbook may claim for it: that of the operation of the same name.
    pub fn risk_min(self) -> Risk {
        let declared = DECLARED.iter().find(|declared| declared.name == self.name());
        declared.map_or(Risk::R0, |declared| declared.risk)
    }

    pub fn params(self) -> &'static [Param] {
        const FALLBACK: &[Param] = &[required("model", Type::Text), required("fallback", Type::Text)];
        const WORKER: &[Param] = &[required("slots", Type::Int)];
        const LIMIT: &[Param] = &[
            required("pack", Type::Text),
            optional("timeout", Type::Duration),
            optional("max_turns", Type::Int),
        ];
        const DISK: &[Param] = &[optional("bytes", Type::Bytes)];
        // Which files: those that are `unreadable`, or `open` to others.
        const MODES: &[Param] = &[required("wrong", Type::Text)];
        match self {
            Verb::ModelSetFallback => FALLBACK,
            Verb::WorkerStart => WORKER,
            Verb::LimitRaise => LIMIT,
            Verb::DiskFree => DISK,
            Verb::PacksSetModes => MODES,
            Verb::Advise => &[],
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
