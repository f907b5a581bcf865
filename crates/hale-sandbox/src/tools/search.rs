//! `files.search`: lines that match a regular expression.
//!
//! ripgrep's crates find the lines; this bounds them. The pattern sees at most
//! [`SEARCH_PIECE_BYTES`](crate::limits::SEARCH_PIECE_BYTES) at a time, with a look at the deadline between, so that
//! the worst pattern that compiles can neither hold the thread nor outlive its run. Matching is linear in the text.
//! Read next: [`matcher`], [`found`].

mod found;
mod matcher;

use super::args::Args;
use super::place::{Place, locate};
use super::tree::{Bounds, Flow, walk};
use crate::control::Control;
use crate::error::{Error, shown};
use crate::folder::{Folder, Links, Node, kind_of};
use crate::limits::{
    PATTERN_BYTES, SEARCH_BYTES, SEARCH_CONTEXT_MOST, SEARCH_DEPTH, SEARCH_ENTRIES, SEARCH_FILE_BYTES,
    SEARCH_FILES, SEARCH_LINE_BYTES, SEARCH_MATCHES, SEARCH_MATCHES_MOST,
};
use found::Found;
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder};
use matcher::{Pattern, compile};
use rustix::fs::FileType;
use serde_json::{Value, json};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

pub(super) fn run(args: &Value, folders: &[Folder], ctl: &Control) -> Result<Value, Error> {
    let args = Args::new(args, &["path", "pattern", "max_matches", "context_lines"])?;
    let pattern = args.required("pattern")?;
    if pattern.len() > PATTERN_BYTES {
        let problem = format!("it has {} bytes; at most {PATTERN_BYTES} are searched for", pattern.len());
        return Err(Error::argument("pattern", problem));
    }
    let most = args.count("max_matches", 1..=SEARCH_MATCHES_MOST)?.unwrap_or(SEARCH_MATCHES);
    let context = args.count("context_lines", 0..=SEARCH_CONTEXT_MOST)?.unwrap_or(0);
    let path = args.text("path")?.filter(|path| !path.is_empty()).unwrap_or(".");
    let place = locate(folders, path)?;
    let compiled = compile(pattern, ctl)?;
    let mut search = Search {
        place: &place,
        pattern: &compiled,
        ctl,
        searcher: searcher(context),
        found: Found::new(&compiled, most),
        tally: Tally::default(),
        limits: BTreeSet::new(),
    };
    match place.open()? {
        Node::File(file, _) => {
            search.file(&place.below, file)?;
        }
        Node::Dir(_) => search.tree()?,
    }
    Ok(search.answer(pattern))
}

fn searcher(context: u64) -> Searcher {
    let context = usize::try_from(context).unwrap_or(0);
    SearcherBuilder::new()
        .line_number(true)
        .before_context(context)
        .after_context(context)
        .heap_limit(Some(SEARCH_LINE_BYTES))
        .binary_detection(BinaryDetection::quit(0))
        .build()
}

#[derive(Default)]
struct Tally {
    files: u64,
    bytes: u64,
    binary: u64,
    unreadable: u64,
    special: u64,
}

struct Search<'a> {
    place: &'a Place<'a>,
    pattern: &'a Pattern<'a>,
    ctl: &'a Control,
    searcher: Searcher,
    found: Found<'a>,
    tally: Tally,
    limits: BTreeSet<&'static str>,
}

impl Search<'_> {
    fn tree(&mut self) -> Result<(), Error> {
        let bounds = Bounds { depth: SEARCH_DEPTH, entries: SEARCH_ENTRIES };
        let (place, ctl) = (self.place, self.ctl);
        let left =
            walk((place.folder, &place.below), bounds, ctl, &mut |entry| match kind_of(&entry.stat) {
                FileType::RegularFile => self.entry(&entry.below),
                FileType::Directory => Ok(Flow::On),
                _ => {
                    self.tally.special += 1;
                    Ok(Flow::On)
                }
            })?;
        self.tally.unreadable += left.unreadable;
        if left.cut {
            self.limits.insert("entries");
        }
        if left.deeper > 0 {
            self.limits.insert("depth");
        }
        Ok(())
    }

    fn entry(&mut self, below: &Path) -> Result<Flow, Error> {
        if self.tally.files >= SEARCH_FILES {
            self.limits.insert("files");
            return Ok(Flow::Enough);
        }
        match self.place.folder.node(below, Links::Refuse) {
            Ok(Node::File(file, _)) => self.file(below, file),
            Ok(Node::Dir(_)) => Ok(Flow::On),
            Err(_) => {
                self.tally.unreadable += 1;
                Ok(Flow::On)
            }
        }
    }

    fn file(&mut self, below: &Path, file: File) -> Result<Flow, Error> {
        let allowed = SEARCH_FILE_BYTES.min(SEARCH_BYTES - self.tally.bytes);
        let mut source = Source { file, ctl: self.ctl, left: allowed, cut: false, failed: false };
        self.found.begin(self.place.folder.shown(below));
        self.tally.files += 1;
        let searched = self.searcher.search_reader(self.pattern, &mut source, &mut self.found);
        // Asked before the error is looked at: it may be only our own stop, dressed as an error of reading.
        self.ctl.check()?;
        self.tally.bytes += allowed - source.left;
        self.tally.binary += u64::from(self.found.was_binary());
        if source.failed {
            self.tally.unreadable += 1;
        } else if searched.is_err() {
            self.limits.insert("line_bytes");
        }
        if self.tally.bytes >= SEARCH_BYTES {
            self.limits.insert("bytes");
        } else if source.cut {
            self.limits.insert("file_bytes");
        }
        if let Some(limit) = self.found.full() {
            self.limits.insert(limit);
        }
        let enough = self.found.full().is_some() || self.tally.bytes >= SEARCH_BYTES;
        Ok(if enough { Flow::Enough } else { Flow::On })
    }

    fn answer(mut self, pattern: &str) -> Value {
        if self.pattern.lines_cut() > 0 {
            self.limits.insert("line_part");
        }
        let matches = self.found.matches();
        json!({
            "path": self.place.shown(),
            "pattern": shown(pattern),
            "returned": matches.len(),
            "files_searched": self.tally.files,
            "bytes_searched": self.tally.bytes,
            "files_binary": self.tally.binary,
            "unreadable": self.tally.unreadable,
            "links_and_special_skipped": self.tally.special,
            "long_lines_searched_in_part": self.pattern.lines_cut(),
            "truncated": !self.limits.is_empty(),
            "limits_reached": self.limits,
            "matches": matches,
        })
    }
}

/// A file, read until its bound, with a look at the deadline before each read.
struct Source<'a> {
    file: File,
    ctl: &'a Control,
    left: u64,
    /// Whether the bound, not the file's end, ended it.
    cut: bool,
    failed: bool,
}

impl Read for Source<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.ctl.check().map_err(io::Error::other)?;
        if self.left == 0 {
            // One byte more tells a file that ends here from one that goes on.
            self.cut |= self.file.read(&mut [0]).unwrap_or(0) > 0;
            return Ok(0);
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(into.len());
        let read = self.file.read(&mut into[..most]).inspect_err(|error| {
            self.failed |= error.kind() != io::ErrorKind::Interrupted;
        })?;
        self.left -= read as u64;
        Ok(read)
    }
}

/// Lines of which only the first part was searched.
#[derive(Default)]
struct Counter(Cell<u64>);

impl Counter {
    fn add(&self) {
        self.0.set(self.0.get() + 1);
    }

    fn get(&self) -> u64 {
        self.0.get()
    }
}
