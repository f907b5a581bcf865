//! Rules on names and words: module docs, file names, open ends, and words that belong to one machine only.

use super::Problem;
use crate::tree::{Source, Tree};

/// Names that say nothing of what is inside. `mod.rs` hides behind its folder.
const EMPTY_NAMES: &[&str] = &["util", "utils", "helper", "helpers", "common", "types", "mod"];

/// Written in two parts, so that this file does not break its own rules.
const OPEN_END: &str = concat!("TO", "DO");
const FOREIGN: &[(&str, &str)] = &[
    (concat!("/wo", "rk/"), "a path of one machine"),
    (concat!("/tmp/", "brief"), "a path of one machine"),
    (concat!("../sh", "ared"), "a path outside the repository"),
    (concat!("registry.", "npmjs"), "a registry host: leave it to the client's configuration"),
    (concat!("index.", "crates.io"), "a registry host: leave it to the client's configuration"),
    (concat!("static.", "crates.io"), "a registry host: leave it to the client's configuration"),
    (concat!("pypi", ".org"), "a registry host: leave it to the client's configuration"),
    (concat!("files.", "pythonhosted"), "a registry host: leave it to the client's configuration"),
];

pub fn check(tree: &Tree, problems: &mut Vec<Problem>) {
    for file in tree.rust() {
        opening(file, problems);
        if EMPTY_NAMES.contains(&file.stem()) {
            let what = format!("`{}.rs` does not say what it holds", file.stem());
            problems.push(Problem::new(
                &file.path,
                1,
                what,
                "name it for the idea inside (foo.rs beside foo/)",
            ));
        }
    }
    for file in &tree.files {
        for (index, line) in file.text.lines().enumerate() {
            words(file, (index + 1, line), problems);
        }
    }
}

fn opening(file: &Source, problems: &mut Vec<Problem>) {
    if file.syntax.is_none() {
        problems.push(Problem::new(&file.path, 1, "the file does not parse", "see what `cargo check` says"));
    }
    let first = file.text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    if !first.starts_with("//! ") {
        let fix =
            "open with `//!`: what it is, what it guarantees, what it leaves to others, where to read next";
        problems.push(Problem::new(&file.path, 1, "the file does not say what it is for", fix));
    }
}

fn words(file: &Source, (number, line): (usize, &str), problems: &mut Vec<Problem>) {
    for (word, why) in FOREIGN {
        if line.contains(word) {
            problems.push(Problem::new(&file.path, number, format!("`{word}` is {why}"), "remove it"));
        }
    }
    if let Some(at) = line.find(OPEN_END) {
        let (before, after) = (&line[..at], &line[at + OPEN_END.len()..]);
        let whole = !before.ends_with(|sign: char| sign.is_alphanumeric() || sign == '_')
            && !after.starts_with(|sign: char| sign.is_alphanumeric() || sign == '_');
        if whole && !names_issue(after) {
            let fix = format!("write {OPEN_END}(#123): with the number of an issue, or finish it");
            problems.push(Problem::new(&file.path, number, "an open end has no issue", fix));
        }
    }
}

/// `(#123)`
fn names_issue(after: &str) -> bool {
    let number = after.strip_prefix("(#").and_then(|rest| rest.split_once(')')).map(|(number, _)| number);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(path: &str, text: &str) -> Vec<String> {
        let mut problems = Vec::new();
        check(&Tree::of(&[(path, text)]), &mut problems);
        problems.iter().map(|problem| format!("{}: {}", problem.line, problem.what)).collect()
    }

    #[test]
    fn a_file_that_does_not_say_what_it_is_for_is_named() {
        assert_eq!(said("crates/a/src/b.rs", "use std::fs;\n"), ["1: the file does not say what it is for"]);
        assert_eq!(said("crates/a/src/b.rs", "//! What it is.\n"), Vec::<String>::new());
    }

    #[test]
    fn a_file_that_does_not_parse_is_named() {
        assert_eq!(said("crates/a/src/b.rs", "//! Broken.\nfn {\n"), ["1: the file does not parse"]);
    }

    #[test]
    fn empty_names_are_refused() {
        for name in EMPTY_NAMES {
            assert_eq!(said(&format!("crates/a/src/{name}.rs"), "//! Odds and ends.\n").len(), 1, "{name}");
        }
        assert_eq!(said("crates/a/src/model.rs", "//! A model.\n").len(), 0);
    }

    #[test]
    fn open_ends_need_an_issue() {
        let text =
            format!("//! A.\n// {OPEN_END}: later\n// {OPEN_END}(#12): later\n// {OPEN_END}(ada): x\n");
        let expected = ["2: an open end has no issue", "4: an open end has no issue"];
        assert_eq!(said("crates/a/src/b.rs", &text), expected);
        assert_eq!(said("docs/a.md", &format!("the {OPEN_END}S table")), Vec::<String>::new());
    }

    #[test]
    fn foreign_words_are_refused_in_every_file() {
        for (word, _) in FOREIGN {
            assert_eq!(said("docs/a.md", &format!("see {word}x")).len(), 1, "{word}");
        }
    }
}
