//! The files of the repository, read once.
//!
//! Paths are relative to the root and use `/`. Rust files are parsed on reading, so that each rule looks at the same tree.
//! Build results and what others installed are left out.

use anyhow::Context;
use std::path::{Path, PathBuf};

/// Folders that hold nothing of ours.
const SKIPPED: &[&str] = &["target", ".git", ".hale", "node_modules", "__pycache__", ".venv"];
/// What people write by hand; anything else is not read.
const READ: &[&str] = &[
    "rs", "md", "toml", "yaml", "yml", "tsv", "sql", "mjs", "py", "json", "trycmd", "sh", "run", "css", "js",
];

pub struct Tree {
    pub root: PathBuf,
    pub files: Vec<Source>,
}

pub struct Source {
    pub path: String,
    pub text: String,
    /// Set for Rust files that parse.
    pub syntax: Option<syn::File>,
}

impl Tree {
    pub fn read() -> anyhow::Result<Tree> {
        let root = root()?;
        let mut files = Vec::new();
        let walk = walkdir::WalkDir::new(&root).sort_by_file_name().into_iter();
        let wanted = |entry: &walkdir::DirEntry| !SKIPPED.iter().any(|name| entry.file_name() == *name);
        for entry in walk.filter_entry(wanted) {
            let entry = entry.context("walk the repository")?;
            let extension = entry.path().extension().unwrap_or_default().to_string_lossy().into_owned();
            if !entry.file_type().is_file() || !(READ.contains(&&*extension) || entry.file_name() == "run") {
                continue;
            }
            let path = entry.path().strip_prefix(&root)?.to_string_lossy().replace('\\', "/");
            // Not every file is text: tests keep hostile bytes on purpose.
            let Ok(text) = std::fs::read_to_string(entry.path()) else { continue };
            files.push(Source::new(path, text));
        }
        Ok(Tree { root, files })
    }

    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Tree {
        let files = files.iter().map(|(path, text)| Source::new((*path).to_owned(), (*text).to_owned()));
        Tree { root: PathBuf::new(), files: files.collect() }
    }

    pub fn rust(&self) -> impl Iterator<Item = &Source> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }

    pub fn find(&self, path: &str) -> Option<&Source> {
        self.files.iter().find(|file| file.path == path)
    }
}

impl Source {
    fn new(path: String, text: String) -> Source {
        let syntax = if path.ends_with(".rs") { syn::parse_file(&text).ok() } else { None };
        Source { path, text, syntax }
    }

    /// The file's name without folder and extension.
    pub fn stem(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or(&self.path);
        name.split_once('.').map_or(name, |(stem, _)| stem)
    }

    /// Tests have rules of their own: length is no vice there.
    pub fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.stem() == "tests"
    }
}

pub fn root() -> anyhow::Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(here.parent().context("find the repository above xtask")?.to_path_buf())
}
