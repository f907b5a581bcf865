//! The three file tools that a model may call: their specifications, and the one door to them.
//!
//! `files.list`, `files.read`, `files.search`; all only read, so all may be repeated. A call answers a JSON object in
//! which `truncated` is true and `limits_reached` says why whenever something was left out; it is never larger than
//! [`limits::RESULT_BYTES`].
//! Leaves to others: whether the pack was granted the tool at all.
//! Read next: [`crate::folder`], which keeps the paths inside.

mod args;
mod list;
mod place;
mod read;
mod search;
mod text;
pub(crate) mod tree;

use crate::control::Control;
use crate::error::{Error, shown};
use crate::folder::Folder;
use crate::limits;
use serde_json::{Value, json};

/// What a model is told of a tool.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolSpec {
    pub name: &'static str,
    pub description: &'static str,
    /// JSON schema of the arguments.
    pub parameters: Value,
    /// Whether a call that may have happened can simply be made again.
    pub idempotent: bool,
}

type Run = fn(&Value, &[Folder], &Control) -> Result<Value, Error>;

const TOOLS: [(&str, Run); 3] =
    [("files.list", list::run), ("files.read", read::run), ("files.search", search::run)];

/// Every tool of this crate.
pub fn specs() -> Vec<ToolSpec> {
    vec![list_spec(), read_spec(), search_spec()]
}

/// Runs one call to its end. Blocks: belongs on a thread that may block.
///
/// # Errors
/// See [`Error`]; its `failure` is what the run records.
pub fn call(name: &str, args: &Value, folders: &[Folder], ctl: &Control) -> Result<Value, Error> {
    let Some((_, run)) = TOOLS.iter().find(|(known, _)| *known == name) else {
        let known = TOOLS.map(|(known, _)| known).join(", ");
        return Err(Error::UnknownTool { name: shown(name), known });
    };
    ctl.check()?;
    run(args, folders, ctl)
}

const PATH: &str = "Absolute path below a granted folder, or, with one granted folder, relative to it.";

fn list_spec() -> ToolSpec {
    ToolSpec {
        name: "files.list",
        description: "List the files and folders below a folder, sorted by name, with type, size in bytes and time of \
                      the last change. Without a path: the granted folder, or all of them if there are several.",
        parameters: schema(
            json!({
                "path": {"type": "string", "description": PATH},
                "depth": count("Levels to descend.", 1, 1, limits::LIST_DEPTH_MOST),
                "max_entries":
                    count("Entries to return.", 1, limits::LIST_ENTRIES, limits::LIST_ENTRIES_MOST),
            }),
            json!([]),
        ),
        idempotent: true,
    }
}

fn read_spec() -> ToolSpec {
    ToolSpec {
        name: "files.read",
        description: "Read a text file, whole or in part: the first lines (head), the last lines (tail), or bytes from \
                      an offset. The answer says which bytes it holds of how many; `next_offset` continues a part.",
        parameters: schema(
            json!({
                "path": {"type": "string", "description": PATH},
                "offset": {"type": "integer", "minimum": 0, "default": 0, "description": "First byte to read."},
                "max_bytes": count("Bytes to read.", 1, limits::TEXT_BYTES as u64, limits::TEXT_BYTES as u64),
                "head": {"type": "integer", "minimum": 1, "maximum": limits::READ_LINES_MOST,
                         "description": "Only so many first lines."},
                "tail": {"type": "integer", "minimum": 1, "maximum": limits::READ_LINES_MOST,
                         "description": "Only so many last lines."},
            }),
            json!(["path"]),
        ),
        idempotent: true,
    }
}

fn search_spec() -> ToolSpec {
    ToolSpec {
        name: "files.search",
        description: "Search the text files at or below a path for lines that match a regular expression (Rust syntax, \
                      as ripgrep's; (?i) ignores case). Links are not followed, binary files are passed over.",
        parameters: schema(
            json!({
                "path": {"type": "string", "description": PATH},
                "pattern": {"type": "string", "maxLength": limits::PATTERN_BYTES,
                            "description": "Regular expression, matched within one line."},
                "max_matches":
                    count("Matching lines to return.", 1, limits::SEARCH_MATCHES, limits::SEARCH_MATCHES_MOST),
                "context_lines": count("Lines to show around each match.", 0, 0, limits::SEARCH_CONTEXT_MOST),
            }),
            json!(["pattern"]),
        ),
        idempotent: true,
    }
}

fn schema(properties: Value, required: Value) -> Value {
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

fn count(description: &str, least: u64, default: u64, most: u64) -> Value {
    json!({"type": "integer", "minimum": least, "maximum": most, "default": default, "description": description})
}
