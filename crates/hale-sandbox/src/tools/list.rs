//! `files.list`: what lies in a folder.
//!
//! Read next: [`super::tree`].

use super::args::Args;
use super::place::{Place, locate};
use super::text::json_bytes;
use super::tree::{Bounds, Entry, Flow, Left, walk};
use crate::control::Control;
use crate::error::Error;
use crate::folder::{Folder, kind_of};
use crate::limits::{LIST_DEPTH_MOST, LIST_ENTRIES, LIST_ENTRIES_MOST, LIST_SEEN_MOST, TEXT_BYTES};
use hale_core::time::Timestamp;
use rustix::fs::FileType;
use serde_json::{Value, json};
use std::path::Path;

/// What one entry costs in JSON beside its name: keys, type, size, time.
const ENTRY_BYTES: usize = 112;

pub(super) fn run(args: &Value, folders: &[Folder], ctl: &Control) -> Result<Value, Error> {
    let args = Args::new(args, &["path", "depth", "max_entries"])?;
    let depth = args.count("depth", 1..=LIST_DEPTH_MOST)?.unwrap_or(1);
    let most = args.count("max_entries", 1..=LIST_ENTRIES_MOST)?.unwrap_or(LIST_ENTRIES);
    let path = match args.text("path")? {
        None | Some("") if folders.len() > 1 => return Ok(roots(folders)),
        path => path.unwrap_or("."),
    };
    let place = locate(folders, path)?;
    let mut listing = Listing { entries: Vec::new(), most, budget: TEXT_BYTES, limits: Vec::new() };
    let bounds = Bounds { depth, entries: LIST_SEEN_MOST };
    let left = walk((place.folder, &place.below), bounds, ctl, &mut |entry| {
        listing.add(&place.below, entry);
        Ok(Flow::On)
    })?;
    Ok(listing.answer(&place, left))
}

struct Listing {
    entries: Vec<Value>,
    most: u64,
    budget: usize,
    limits: Vec<&'static str>,
}

impl Listing {
    /// Takes the entry, or notes why not; once one was left out, so are all after it.
    fn add(&mut self, start: &Path, entry: &Entry) {
        if !self.limits.is_empty() {
            return;
        }
        if self.entries.len() as u64 >= self.most {
            self.limits.push("max_entries");
            return;
        }
        let name = entry.below.strip_prefix(start).unwrap_or(&entry.below).to_string_lossy();
        let Some(rest) = self.budget.checked_sub(json_bytes(&name) + ENTRY_BYTES) else {
            self.limits.push("result_bytes");
            return;
        };
        self.budget = rest;
        self.entries.push(shape(&name, entry));
    }

    fn answer(mut self, place: &Place<'_>, left: Left) -> Value {
        if left.cut {
            self.limits.push("entries_seen");
        }
        json!({
            "path": place.shown(),
            "returned": self.entries.len(),
            "seen": left.seen,
            "folders_not_entered": left.deeper,
            "folders_unreadable": left.unreadable,
            "truncated": !self.limits.is_empty(),
            "limits_reached": self.limits,
            "entries": self.entries,
        })
    }
}

fn shape(name: &str, entry: &Entry) -> Value {
    let kind = match kind_of(&entry.stat) {
        FileType::RegularFile => "file",
        FileType::Directory => "folder",
        FileType::Symlink => "link",
        _ => "special",
    };
    let changed = Timestamp(entry.stat.st_mtime.saturating_mul(1000)).rfc3339();
    let mut shape = json!({"path": name, "type": kind, "modified": changed});
    if kind == "file" {
        shape["bytes"] = json!(entry.stat.st_size);
    }
    if entry.below.to_str().is_none() {
        shape["not_utf8"] = json!(true);
    }
    shape
}

/// With several folders and no path, the folders themselves.
fn roots(folders: &[Folder]) -> Value {
    let shape = |folder: &Folder| {
        json!({"path": crate::error::shown(&folder.root().to_string_lossy()), "type": "folder",
               "mode": folder.mode().to_string()})
    };
    let mut limits: Vec<&str> = Vec::new();
    let mut budget = TEXT_BYTES;
    let mut entries = Vec::new();
    for folder in folders {
        let entry = shape(folder);
        match budget.checked_sub(entry.to_string().len() + 1) {
            Some(rest) => budget = rest,
            None => {
                limits.push("result_bytes");
                break;
            }
        }
        entries.push(entry);
    }
    json!({
        "path": "/", "returned": entries.len(), "seen": folders.len(),
        "note": "several folders are granted; give one of these as the path",
        "truncated": !limits.is_empty(), "limits_reached": limits, "entries": entries,
    })
}
