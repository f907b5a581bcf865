//! The house rules that a program can check.
//!
//! Reads the tree once, asks each rule for problems and prints them as `file:line: what, how to fix`. A rule says what is
//! wrong and how to mend it, and never mends by itself. `cargo test -p xtask` runs the same rules on planted samples and on
//! the real tree, so nobody can forget them. What clippy can see (unwrap, print, spawn) is left to clippy.
//! Read next: [`sizes`], [`crates`].

mod attributes;
mod crates;
mod pages;
mod ratchet;
mod sizes;
mod text;

use crate::args::Args;
use crate::tree::Tree;
use std::fmt;
use std::process::ExitCode;
use std::time::Instant;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub file: String,
    pub line: usize,
    pub what: String,
    pub fix: String,
}

impl Problem {
    pub fn new(file: &str, line: usize, what: impl Into<String>, fix: impl Into<String>) -> Problem {
        Problem { file: file.to_owned(), line, what: what.into(), fix: fix.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}; {}", self.file, self.line, self.what, self.fix)
    }
}

pub fn run(mut args: Args) -> anyhow::Result<ExitCode> {
    let bless = args.flag("--bless");
    args.finish()?;
    if bless {
        ratchet::bless(&Tree::read()?)?;
    }
    Ok(if check_and_print()? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints what is wrong with the real tree; true if nothing is.
pub fn check_and_print() -> anyhow::Result<bool> {
    let began = Instant::now();
    let tree = Tree::read()?;
    let problems = problems(&tree)?;
    for problem in &problems {
        println!("{problem}");
    }
    let lines: usize = tree.rust().map(|file| file.text.lines().count()).sum();
    println!(
        "tidy: {} problems in {} files ({} lines of Rust), {:.1} s",
        problems.len(),
        tree.files.len(),
        lines,
        began.elapsed().as_secs_f64()
    );
    Ok(problems.is_empty())
}

fn problems(tree: &Tree) -> anyhow::Result<Vec<Problem>> {
    let mut problems = Vec::new();
    crates::check(tree, &crates::graph(&tree.root)?, &mut problems);
    ratchet::check(tree, &mut problems);
    attributes::check(tree, &mut problems);
    text::check(tree, &mut problems);
    pages::check(tree, &mut problems);
    problems.extend(crate::acceptance::problems(tree));
    problems.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_real_tree_is_tidy() {
        let problems = problems(&Tree::read().unwrap()).unwrap();
        let list: Vec<String> = problems.iter().map(Problem::to_string).collect();
        assert!(list.is_empty(), "{}\n{} problems", list.join("\n"), list.len());
    }
}
