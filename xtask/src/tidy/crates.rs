//! The crate table of `ARCHITECTURE.md` is law: cargo's dependencies must fit it.
//!
//! Looks at normal dependencies only; tests may use what they need. A crate without a row and a row without a crate are
//! problems too, so that the map stays a map.

use super::Problem;
use crate::tree::Tree;
use anyhow::Context;
use cargo_metadata::DependencyKind;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const MAP: &str = "ARCHITECTURE.md";

/// Crates of the workspace, each with those of the workspace that it depends on.
pub type Graph = BTreeMap<String, BTreeSet<String>>;

struct Row {
    name: String,
    may_use: String,
    line: usize,
}

pub fn graph(root: &Path) -> anyhow::Result<Graph> {
    let mut command = cargo_metadata::MetadataCommand::new();
    let metadata = command
        .manifest_path(root.join("Cargo.toml"))
        .no_deps()
        .exec()
        .context("ask cargo for the crates")?;
    let packages = metadata.workspace_packages();
    let names: BTreeSet<String> = packages.iter().map(|package| package.name.to_string()).collect();
    let ours = |package: &cargo_metadata::Package| {
        let normal =
            package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
        normal.map(|dependency| dependency.name.clone()).filter(|name| names.contains(name)).collect()
    };
    Ok(packages.iter().map(|package| (package.name.to_string(), ours(package))).collect())
}

pub fn check(tree: &Tree, graph: &Graph, problems: &mut Vec<Problem>) {
    let Some(map) = tree.find(MAP) else {
        problems.push(Problem::new(MAP, 1, "there is no map", "write ARCHITECTURE.md with the crate table"));
        return;
    };
    let rows = rows(&map.text);
    if rows.is_empty() {
        let fix = "add one with the columns `crate | holds | ours it may use | it must not`";
        problems.push(Problem::new(MAP, 1, "there is no crate table", fix));
        return;
    }
    for (name, uses) in graph {
        let Some(at) = rows.iter().position(|row| row.name == *name) else {
            problems.push(Problem::new(
                MAP,
                rows[0].line,
                format!("crate `{name}` has no row"),
                "add it to the table",
            ));
            continue;
        };
        check_row(&rows, at, uses, problems);
    }
    for row in rows.iter().filter(|row| !graph.contains_key(&row.name)) {
        let what = format!("the table names `{}`, which is no crate of the workspace", row.name);
        problems.push(Problem::new(MAP, row.line, what, "remove the row, or add the crate"));
    }
}

fn check_row(rows: &[Row], at: usize, uses: &BTreeSet<String>, problems: &mut Vec<Problem>) {
    let row = &rows[at];
    match allowed(rows, at) {
        Ok(allowed) => {
            for used in uses.iter().filter(|used| !allowed.contains(*used)) {
                let what = format!("`{}` depends on `{used}`, but may use only: {}", row.name, row.may_use);
                problems.push(Problem::new(
                    MAP,
                    row.line,
                    what,
                    "remove the dependency, or defend a new border",
                ));
            }
        }
        Err(word) => {
            let what = format!("row `{}`: `{word}` is no crate of the table", row.name);
            problems.push(Problem::new(
                MAP,
                row.line,
                what,
                "write crate names, `none`, `all`, `all above` or `any but X`",
            ));
        }
    }
}

/// What a row allows; the word that could not be understood otherwise.
fn allowed(rows: &[Row], at: usize) -> Result<BTreeSet<String>, String> {
    let may_use = without_remarks(&rows[at].may_use);
    let names = |rows: &[Row]| rows.iter().map(|row| row.name.clone()).collect::<BTreeSet<_>>();
    match may_use.as_str() {
        "none" | "" => return Ok(BTreeSet::new()),
        "all" => return Ok(names(rows)),
        "all above" => return Ok(names(&rows[..at])),
        _ => {}
    }
    if let Some(but) = may_use.strip_prefix("any but ") {
        let mut all = names(rows);
        let but = full_name(rows, but.trim()).ok_or_else(|| but.to_owned())?;
        all.remove(&but);
        return Ok(all);
    }
    let words = may_use.split(',').map(str::trim);
    words.map(|word| full_name(rows, word).ok_or_else(|| word.to_owned())).collect()
}

/// `core` means `hale-core`.
fn full_name(rows: &[Row], word: &str) -> Option<String> {
    let long = format!("hale-{word}");
    let known = |name: &str| rows.iter().any(|row| row.name == name);
    if known(word) { Some(word.to_owned()) } else { known(&long).then_some(long) }
}

fn without_remarks(cell: &str) -> String {
    let mut depth = 0_usize;
    let mut kept = String::new();
    for sign in cell.chars().filter(|sign| *sign != '`') {
        match sign {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ if depth == 0 => kept.push(sign),
            _ => {}
        }
    }
    kept.trim().to_owned()
}

fn rows(text: &str) -> Vec<Row> {
    let mut lines = text.lines().enumerate();
    let header = |line: &str| {
        cells(line).first().is_some_and(|cell| cell == "crate") && line.contains("ours it may use")
    };
    if !lines.any(|(_, line)| header(line)) {
        return Vec::new();
    }
    let table = lines.skip(1).take_while(|(_, line)| line.trim_start().starts_with('|'));
    let row = |(index, line): (usize, &str)| {
        let cells = cells(line);
        let name = cells.first()?.trim_matches('`').to_owned();
        Some(Row { name, may_use: cells.get(2)?.clone(), line: index + 1 })
    };
    table.filter_map(row).collect()
}

fn cells(line: &str) -> Vec<String> {
    let line = line.trim().trim_start_matches('|').trim_end_matches('|');
    line.split('|').map(|cell| cell.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "# Map\n\n| crate | holds | ours it may use | it must not |\n|---|---|---|---|\n\
        | `hale-core` | words | none | do IO |\n| `hale-store` | memory | core (types only) | serve |\n\
        | `hale-engine` | the loop | all above | know clap |\n| `hale-lab` | faults | any but `hale` | be needed |\n\
        | `hale` | doors | all | decide |\n| `xtask` | tasks | none | |\n\nmore\n";

    fn check_graph(edges: &[(&str, &[&str])]) -> Vec<String> {
        let tree = Tree::of(&[(MAP, TABLE)]);
        let mut graph: Graph = ["hale-core", "hale-store", "hale-engine", "hale-lab", "hale", "xtask"]
            .map(|name| (name.to_owned(), BTreeSet::new()))
            .into();
        for (name, uses) in edges {
            graph.insert((*name).to_owned(), uses.iter().map(|used| (*used).to_owned()).collect());
        }
        let mut problems = Vec::new();
        check(&tree, &graph, &mut problems);
        problems.iter().map(Problem::to_string).collect()
    }

    #[test]
    fn what_the_table_allows_is_no_problem() {
        let edges: &[(&str, &[&str])] = &[
            ("hale-store", &["hale-core"]),
            ("hale-engine", &["hale-core", "hale-store"]),
            ("hale-lab", &["hale-engine"]),
            ("hale", &["hale-lab", "hale-core"]),
        ];
        assert_eq!(check_graph(edges), Vec::<String>::new());
    }

    #[test]
    fn a_forbidden_dependency_is_named_at_its_row() {
        let said = check_graph(&[("hale-store", &["hale-engine"]), ("hale-lab", &["hale"])]);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].starts_with("ARCHITECTURE.md:8: `hale-lab` depends on `hale`"), "{said:?}");
        assert!(said[1].starts_with("ARCHITECTURE.md:6: `hale-store` depends on `hale-engine`"), "{said:?}");
    }

    #[test]
    fn crates_and_rows_must_match() {
        let said = check_graph(&[("hale-memory", &[])]);
        assert!(said[0].contains("crate `hale-memory` has no row"), "{said:?}");
        let mut problems = Vec::new();
        check(&Tree::of(&[(MAP, TABLE)]), &Graph::new(), &mut problems);
        assert_eq!(problems.len(), 6);
    }
}
