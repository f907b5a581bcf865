//! Counts that may only fall.
//!
//! `xtask/ratchet.toml` holds, for each kind of debt, how much there is. More is a problem, and every piece is listed; less
//! is one too until `cargo xtask tidy --bless` writes the lower number, so that what was won is kept. Nothing raises it.

use super::{Problem, attributes, sizes};
use crate::tree::Tree;
use anyhow::Context;
use std::collections::BTreeMap;

const FILE: &str = "xtask/ratchet.toml";
const HEADER: &str =
    "# Debts that may only shrink. `cargo xtask tidy --bless` lowers these numbers; nothing raises them.\n";

type Counts = BTreeMap<String, usize>;

pub fn check(tree: &Tree, problems: &mut Vec<Problem>) {
    let counts = match tree.find(FILE).map(|file| toml::from_str::<Counts>(&file.text)) {
        Some(Ok(counts)) => counts,
        Some(Err(error)) => {
            let what = format!("cannot be read: {}", error.message());
            problems.push(Problem::new(FILE, 1, what, "write one `name = number` a line"));
            return;
        }
        None => Counts::new(),
    };
    for (name, found) in debts(tree) {
        let limit = counts.get(name).copied().unwrap_or(0);
        if found.len() > limit {
            let what = format!("{name} is {} and may be {limit}", found.len());
            problems.push(Problem::new(FILE, 1, what, "mend one of those listed"));
            problems.extend(found);
        } else if found.len() < limit {
            let what = format!("{name} is {limit} but only {} are left", found.len());
            problems.push(Problem::new(FILE, 1, what, "keep what was won: cargo xtask tidy --bless"));
        }
    }
}

/// Lowers the numbers to what is there. Never raises one.
pub fn bless(tree: &Tree) -> anyhow::Result<()> {
    let old: Counts = match tree.find(FILE) {
        Some(file) => toml::from_str(&file.text).with_context(|| format!("read {FILE}"))?,
        None => Counts::new(),
    };
    std::fs::write(tree.root.join(FILE), blessed(tree, &old)).with_context(|| format!("write {FILE}"))
}

fn blessed(tree: &Tree, old: &Counts) -> String {
    let lowered = |(name, found): (&str, Vec<Problem>)| {
        let count = found.len().min(old.get(name).copied().unwrap_or(0));
        format!("{name} = {count}\n")
    };
    HEADER.to_owned() + &debts(tree).into_iter().map(lowered).collect::<String>()
}

fn debts(tree: &Tree) -> [(&'static str, Vec<Problem>); 3] {
    [
        ("expects_of_too_many_lines", attributes::excused_functions(tree)),
        ("files_over_500_lines", sizes::long_files(tree)),
        ("functions_over_70_lines", sizes::long_functions(tree)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(limit: usize) -> Tree {
        let long = format!("//! Long.\n{}", "const A: u8 = 1;\n".repeat(600));
        let counts = format!("files_over_500_lines = {limit}\n");
        Tree::of(&[("crates/a/src/long.rs", &long), (FILE, &counts)])
    }

    fn said(limit: usize) -> Vec<String> {
        let mut problems = Vec::new();
        check(&tree(limit), &mut problems);
        problems.into_iter().map(|problem| problem.what).collect()
    }

    #[test]
    fn more_debt_than_recorded_is_listed_piece_by_piece() {
        let said = said(0);
        assert_eq!(said[0], "files_over_500_lines is 1 and may be 0");
        assert!(said[1].starts_with("the file has 601 lines"), "{said:?}");
    }

    #[test]
    fn recorded_debt_is_borne_and_paid_debt_is_written_down() {
        assert_eq!(said(1), Vec::<String>::new());
        assert_eq!(said(3), ["files_over_500_lines is 3 but only 1 are left"]);
    }

    #[test]
    fn blessing_lowers_and_never_raises() {
        let counts = |limit: usize| Counts::from([("files_over_500_lines".to_owned(), limit)]);
        assert!(blessed(&tree(3), &counts(3)).contains("files_over_500_lines = 1\n"));
        assert!(blessed(&tree(0), &counts(0)).contains("files_over_500_lines = 0\n"));
    }
}
