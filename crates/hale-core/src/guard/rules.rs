//! Which action holds where: what a pack says, and the server's default where it says nothing.
//!
//! Guarantees: a kind's own action stands above the place's, a tool's own above that of all tools.
//! Read next: `pack/guard.rs`, which reads it.

use super::{Action, Kind, Policy};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Where a text is met.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The input of the run, on its way to the model.
    Input,
    /// What the model says.
    Output,
    /// The result of this tool, on its way to the model.
    Tool(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Input => f.write_str("input"),
            Place::Output => f.write_str("output"),
            Place::Tool(name) => write!(f, "tool {name}"),
        }
    }
}

/// `guard:` of a pack.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Action>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Action>,
    /// Of every tool that has no action of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Action>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tool: BTreeMap<String, Action>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub kinds: BTreeMap<Kind, Action>,
}

impl Rules {
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The action for each kind at this place.
    pub fn policy(&self, place: &Place, default: Action) -> Policy {
        let said = match place {
            Place::Input => self.input,
            Place::Output => self.output,
            Place::Tool(name) => self.tool.get(name).copied().or(self.tools),
        };
        let all = Policy::all(said.unwrap_or(default));
        self.kinds.iter().fold(all, |policy, (kind, action)| policy.with(*kind, *action))
    }
}
