//! A pack: one file that defines something that can run, read and checked.
//!
//! Guarantees: [`parse`] does no IO and is bounded in bytes, values and depth; a pack that it returns keeps every
//! limit, and what it refuses it refuses with file, line, column and a way out. Foreign agent files (Claude Code,
//! Caxton) come in with warnings for what has no place here.
//! Leaves storing and versions to `hale-store`, whether a folder may be granted to `hale-sandbox`.
//! Read next: [`manifest`], then [`parse`](mod@parse).

pub mod manifest;
pub mod offers;
pub mod job;
pub mod parse;
pub mod schema;
pub mod template;

mod arm;
mod error;
mod guard;
mod import;
mod job_keys;
mod keys;
mod tools;
mod nested;
mod tree;

pub use error::{Error, Paint, Problem};
pub use job::Job;
pub use keys::is_name;
pub use manifest::{Kind, Limits, Manifest};
pub use parse::parse;
pub use schema::{Field, FieldType, InputError, InputSchema};
pub use template::starter;

use serde::{Deserialize, Serialize};

/// Tools that a pack may ask for.
pub const TOOLS: [&str; 5] = ["files.list", "files.read", "files.search", SLEEP, WEB_FETCH];

/// Waits, without holding a slot.
pub const SLEEP: &str = "time.sleep";

/// Fetches what stands at an address of the web.
pub const WEB_FETCH: &str = "web.fetch";

/// What a tool that is a run of another pack begins with: `pack:NAME`, `pack:NAME@VERSION`.
pub const CHILD_PREFIX: &str = "pack:";

/// Every tool needs a person's consent.
pub const APPROVE_ALL: &str = "all";

/// The pack, and the version if it is said, that a tool delegates to; none for a tool that is no pack.
pub fn child_of(tool: &str) -> Option<(&str, Option<&str>)> {
    let named = tool.strip_prefix(CHILD_PREFIX)?;
    Some(named.split_once('@').map_or((named, None), |(name, version)| (name, Some(version))))
}

/// A pack as deployed: what it says, the file it came from, and what was odd about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pack {
    pub manifest: Manifest,
    /// The file, byte for byte.
    pub source: String,
    /// BLAKE3 of the file, 64 hexadecimal letters.
    pub digest: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}

/// Something in the file that does not hinder a deploy but that its author should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    pub line: usize,
    pub column: usize,
    pub message: String,
    /// What to do about it, if anything.
    pub help: String,
}

/// What the server knows that the file does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Env {
    /// The model of packs without `model:`, named in warnings; [`Manifest::model`] stays empty.
    pub default_model: String,
}
