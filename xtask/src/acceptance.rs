//! The acceptance table: what the operators' guides name, and which test proves it.
//!
//! `docs/acceptance.tsv` is the list and never changes its ids. A test says `// covers: AX-13, AO-12..19` on the line above
//! it (`<!-- covers: .. -->` or `# covers: ..` in transcripts). `cargo xtask docs` joins both into `docs/acceptance.md`;
//! `--check` and tidy refuse marks with unknown ids and a page that is out of date.

use crate::args::Args;
use crate::tidy::Problem;
use crate::tree::{Source, Tree};
use anyhow::Context;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::process::ExitCode;

const TABLE: &str = "docs/acceptance.tsv";
const PAGE: &str = "docs/acceptance.md";
/// Kinds of files besides Rust that are executed by a test and may carry a mark.
const TRANSCRIPTS: &[&str] = &[".trycmd", ".md", ".toml", ".yaml"];

struct Item<'a> {
    id: &'a str,
    guide: &'a str,
    section: &'a str,
    kind: &'a str,
    item: &'a str,
    done_when: &'a str,
}

struct Mark {
    file: String,
    line: usize,
    ids: Vec<String>,
    /// `file::function`, or the file for a transcript.
    test: String,
}

pub fn run(mut args: Args) -> anyhow::Result<ExitCode> {
    let check = args.flag("--check");
    args.finish()?;
    let tree = Tree::read()?;
    if check {
        let problems = problems(&tree);
        for problem in &problems {
            println!("{problem}");
        }
        return Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let text = page(&tree);
    std::fs::write(tree.root.join(PAGE), &text).with_context(|| format!("write {PAGE}"))?;
    println!("{PAGE}: {}", summary(&tree));
    let unknown = unknown_ids(&tree);
    for problem in &unknown {
        println!("{problem}");
    }
    Ok(if unknown.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

pub fn problems(tree: &Tree) -> Vec<Problem> {
    let mut problems = unknown_ids(tree);
    let written = tree.find(PAGE).map(|file| file.text.as_str());
    if written != Some(page(tree).as_str()) {
        problems.push(Problem::new(
            PAGE,
            1,
            "the page is not what table and tests say",
            "run: cargo xtask docs",
        ));
    }
    problems
}

fn unknown_ids(tree: &Tree) -> Vec<Problem> {
    let known: BTreeSet<&str> = items(tree).iter().map(|item| item.id).collect();
    let mut problems = Vec::new();
    for mark in marks(tree) {
        for id in mark.ids.iter().filter(|id| !known.contains(id.as_str())) {
            let what = format!("covers `{id}`, which is not in the acceptance table");
            problems.push(Problem::new(&mark.file, mark.line, what, format!("use an id of {TABLE}")));
        }
    }
    problems
}

fn items(tree: &Tree) -> Vec<Item<'_>> {
    let lines = tree.find(TABLE).map(|file| file.text.lines().skip(1)).into_iter().flatten();
    let item = |line| match str::split(line, '\t').collect::<Vec<_>>()[..] {
        [id, guide, section, kind, item, done_when] => {
            Some(Item { id, guide, section, kind, item, done_when })
        }
        _ => None,
    };
    lines.filter_map(item).collect()
}

fn marks(tree: &Tree) -> Vec<Mark> {
    let transcript = |path: &str| {
        let executed = path.contains("/tests/") || path.starts_with("docs/guide/") || path == "README.md";
        executed && TRANSCRIPTS.iter().any(|end| path.ends_with(end))
    };
    let wanted = |file: &&Source| {
        (file.path.starts_with("crates/") && file.path.ends_with(".rs")) || transcript(&file.path)
    };
    tree.files.iter().filter(wanted).flat_map(marks_of).collect()
}

fn marks_of(file: &Source) -> Vec<Mark> {
    let lines: Vec<&str> = file.text.lines().collect();
    let mut marks = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let Some(list) = mark(line) else { continue };
        let function = lines[index..].iter().find_map(|line| function_name(line));
        let test = match function {
            Some(name) if file.path.ends_with(".rs") => format!("{}::{name}", file.path),
            _ => file.path.clone(),
        };
        marks.push(Mark { file: file.path.clone(), line: index + 1, ids: ids(list), test });
    }
    marks
}

/// What stands behind `covers:` in a comment line.
fn mark(line: &str) -> Option<&str> {
    let line = line.trim();
    let comment = ["<!--", "//", "#"].iter().find_map(|start| line.strip_prefix(start))?;
    let list = comment.trim_start_matches(['/', '!']).trim_start().strip_prefix("covers:")?;
    Some(list.trim_end_matches("-->").trim())
}

/// `AX-02..04, TRAP-01` is AX-02, AX-03, AX-04 and TRAP-01.
fn ids(list: &str) -> Vec<String> {
    let words = list.split([',', ' ']).map(str::trim).filter(|word| !word.is_empty());
    let expand = |word: &str| {
        let range = word.split_once("..").and_then(|(first, last)| {
            let (prefix, from) = first.rsplit_once('-')?;
            let width = from.len();
            let (from, to) = (from.parse::<u32>().ok()?, last.parse::<u32>().ok()?);
            Some((from..=to).map(|number| format!("{prefix}-{number:0width$}")).collect::<Vec<_>>())
        });
        range.unwrap_or_else(|| vec![word.trim_end_matches('.').to_owned()])
    };
    words.flat_map(expand).collect()
}

fn function_name(line: &str) -> Option<&str> {
    let words = line.trim_start();
    let start = if words.starts_with("fn ") {
        3
    } else {
        words.find(" fn ").filter(|_| !words.starts_with("//"))? + 4
    };
    words[start..]
        .split(|sign: char| !sign.is_alphanumeric() && sign != '_')
        .next()
        .filter(|name| !name.is_empty())
}

fn proofs(tree: &Tree) -> BTreeMap<String, BTreeSet<String>> {
    let mut proofs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for mark in marks(tree) {
        for id in mark.ids {
            proofs.entry(id).or_default().insert(mark.test.clone());
        }
    }
    proofs
}

fn summary(tree: &Tree) -> String {
    let (items, proofs) = (items(tree), proofs(tree));
    let proven = items.iter().filter(|item| proofs.contains_key(item.id)).count();
    format!("{proven} of {} items are proven by a test", items.len())
}

fn page(tree: &Tree) -> String {
    let proofs = proofs(tree);
    let mut page = format!(
        "# Acceptance table\n\nWhat five published operating guides for agent platforms name, item by item, and the test that proves it here.\n\
        An item is done when a test shows what the column \"done when\" says; \"as stated\" means that the item is itself the test.\n\
        Written by `cargo xtask docs` from `{TABLE}` and the `covers:` marks of the tests; do not edit.\n\n**{}.**\n",
        summary(tree)
    );
    let mut section = ("", "");
    for item in items(tree) {
        if section != (item.guide, item.section) {
            section = (item.guide, item.section);
            let _ = write!(
                page,
                "\n## {}: {}\n\n| id | kind | item | done when | proven by |\n| --- | --- | --- | --- | --- |\n",
                section.0, section.1
            );
        }
        let tests = proofs.get(item.id).map_or("open".to_owned(), |tests| {
            tests.iter().map(|test| format!("`{test}`")).collect::<Vec<_>>().join("<br>")
        });
        let cell = |text: &str| text.replace('|', "\\|");
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {tests} |",
            item.id,
            item.kind,
            cell(item.item),
            cell(item.done_when)
        );
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "id\tguide\tsection\tkind\titem\tdone_when\nAX-02\tAxonFlow\tTriage\tcap\ta | b\tone\n\
        AX-03\tAxonFlow\tTriage\tep\tc\ttwo\nTRAP-01\tAxonFlow\tTraps\ttrap\td\tthree\n";

    #[test]
    fn marks_lead_to_the_function_below_them() {
        let test = "//! Tests.\n\n// covers: AX-02..03\n#[tokio::test]\nasync fn it_holds() {}\n";
        let tree = Tree::of(&[(TABLE, LIST), ("crates/a/tests/it/b.rs", test)]);
        assert_eq!(unknown_ids(&tree), []);
        let page = page(&tree);
        assert!(page.contains("**2 of 3 items are proven by a test.**"), "{page}");
        assert!(
            page.contains("| AX-02 | cap | a \\| b | one | `crates/a/tests/it/b.rs::it_holds` |"),
            "{page}"
        );
        assert!(page.contains("| TRAP-01 | trap | d | three | open |"), "{page}");
    }

    #[test]
    fn transcripts_carry_marks_too() {
        let tree = Tree::of(&[
            (TABLE, LIST),
            ("crates/hale/tests/it/first.trycmd", "# covers: AX-03 TRAP-01\n$ hale\n"),
        ]);
        let proofs = proofs(&tree);
        assert_eq!(proofs.keys().collect::<Vec<_>>(), ["AX-03", "TRAP-01"]);
        assert!(proofs["AX-03"].contains("crates/hale/tests/it/first.trycmd"));
    }

    #[test]
    fn an_unknown_id_is_refused_at_its_line() {
        let tree = Tree::of(&[(TABLE, LIST), ("crates/a/src/b.rs", "//! B.\n// covers: AX-99\nfn c() {}\n")]);
        let said = unknown_ids(&tree);
        assert_eq!((said[0].file.as_str(), said[0].line), ("crates/a/src/b.rs", 2));
        assert!(said[0].what.contains("AX-99"));
    }

    #[test]
    fn a_page_that_is_out_of_date_is_refused() {
        let fresh = page(&Tree::of(&[(TABLE, LIST)]));
        assert_eq!(problems(&Tree::of(&[(TABLE, LIST), (PAGE, &fresh)])), []);
        let stale = Tree::of(&[
            (TABLE, LIST),
            (PAGE, &fresh),
            ("crates/a/src/b.rs", "// covers: AX-02\nfn c() {}\n"),
        ]);
        assert_eq!(problems(&stale).len(), 1);
    }
}
