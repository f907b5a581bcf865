//! What a user can meet is explained: error codes have pages, settings have docs, playbooks have proofs.

use super::Problem;
use crate::tree::Tree;
use std::collections::BTreeSet;
use syn::visit::Visit;

const CODES: &str = "crates/hale-core/src/code.rs";
const PAGES: &str = "docs/errors/";
const KEYS: &str = "crates/hale/src/config/keys.rs";
const DEFAULTS: &str = "crates/hale/src/config/defaults.toml";
const CATALOGUE: &str = "crates/hale-playbooks/catalogue/";

pub fn check(tree: &Tree, problems: &mut Vec<Problem>) {
    codes(tree, problems);
    settings(tree, problems);
    proofs(tree, problems);
}

fn codes(tree: &Tree, problems: &mut Vec<Problem>) {
    let Some(source) = tree.find(CODES) else {
        problems.push(Problem::new(CODES, 1, "there is no list of error codes", "put the enum `Code` here"));
        return;
    };
    let mut variants = Variants::default();
    if let Some(syntax) = &source.syntax {
        variants.visit_file(syntax);
    }
    let pages = tree.files.iter().filter(|file| file.path.starts_with(PAGES) && file.path.ends_with(".md"));
    let pages: BTreeSet<&str> = pages.map(crate::tree::Source::stem).collect();
    for (code, line) in &variants.0 {
        if !pages.contains(code.as_str()) {
            let fix = format!("write {PAGES}{code}.md; `hale explain {code}` prints it");
            problems.push(Problem::new(CODES, *line, format!("{code} has no page"), fix));
        }
    }
    for page in pages.iter().filter(|page| !variants.0.iter().any(|(code, _)| code == *page)) {
        let path = format!("{PAGES}{page}.md");
        problems.push(Problem::new(
            &path,
            1,
            format!("no error has the code {page}"),
            "remove the page, or add the code",
        ));
    }
}

/// Variants named like a code: `E` and three digits.
#[derive(Default)]
struct Variants(Vec<(String, usize)>);

impl<'ast> Visit<'ast> for Variants {
    fn visit_variant(&mut self, variant: &'ast syn::Variant) {
        let name = variant.ident.to_string();
        let digits = name.strip_prefix('E').unwrap_or_default();
        if digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            self.0.push((name, variant.ident.span().start().line));
        }
    }
}

/// The macro of the settings demands a doc of each; here the defaults are held against it, so that none is without one.
fn settings(tree: &Tree, problems: &mut Vec<Problem>) {
    let (Some(defaults), Some(keys)) = (tree.find(DEFAULTS), tree.find(KEYS)) else { return };
    let table = match toml::from_str::<toml::Table>(&defaults.text) {
        Ok(table) => table,
        Err(error) => {
            problems.push(Problem::new(
                DEFAULTS,
                1,
                format!("cannot be read: {}", error.message()),
                "mend it",
            ));
            return;
        }
    };
    let lines: Vec<&str> = keys.text.lines().map(str::trim).collect();
    for key in leaves(&table, "").into_iter().filter(|key| !key.starts_with("providers.")) {
        let at = lines.iter().position(|line| line.contains(&format!("= \"{key}\"")));
        let what = match at {
            None => format!("the setting `{key}` is not in {KEYS}"),
            Some(at) if at == 0 || !lines[at - 1].starts_with("///") => {
                format!("the setting `{key}` has no doc")
            }
            Some(_) => continue,
        };
        let (file, line) = at.map_or((DEFAULTS, 1), |at| (KEYS, at + 1));
        let fix = "declare it with `///`: what it does and in which unit; `hale config explain` prints it";
        problems.push(Problem::new(file, line, what, fix));
    }
}

fn leaves(table: &toml::Table, prefix: &str) -> Vec<String> {
    let leaf = |(key, value): (&String, &toml::Value)| match value {
        toml::Value::Table(inner) => leaves(inner, &format!("{prefix}{key}.")),
        _ => vec![format!("{prefix}{key}")],
    };
    table.iter().flat_map(leaf).collect()
}

fn proofs(tree: &Tree, problems: &mut Vec<Problem>) {
    let playbooks =
        tree.files.iter().filter(|file| file.path.starts_with(CATALOGUE) && file.path.ends_with(".yaml"));
    for file in playbooks {
        if !file.text.lines().any(|line| line.trim_start().trim_start_matches("- ").starts_with("prove:")) {
            let fix = "add `prove:` with the fault that makes each cause happen and its near-miss twin";
            problems.push(Problem::new(&file.path, 1, "the playbook has no proof", fix));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(files: &[(&str, &str)]) -> Vec<String> {
        let mut problems = Vec::new();
        check(&Tree::of(files), &mut problems);
        problems
            .iter()
            .map(|problem| format!("{}:{}: {}", problem.file, problem.line, problem.what))
            .collect()
    }

    const SOME_CODES: (&str, &str) = (CODES, "//! Codes.\npub enum Code {\n    E001,\n    E002,\n}\n");

    #[test]
    fn each_code_has_a_page_and_each_page_a_code() {
        let said = said(&[SOME_CODES, ("docs/errors/E001.md", "# E001"), ("docs/errors/E099.md", "# E099")]);
        let expected = [
            "crates/hale-core/src/code.rs:4: E002 has no page",
            "docs/errors/E099.md:1: no error has the code E099",
        ];
        assert_eq!(said, expected);
    }

    #[test]
    fn a_setting_without_a_doc_is_named() {
        let keys = "//! Settings.\nsettings! {\n    /// Where to listen.\n    listen: Addr = \"listen\", Start;\n\n    max: u8 = \"queue.max\", Hot;\n}\n";
        let defaults =
            "listen = \"127.0.0.1:0\"\n[queue]\nmax = 1\nmin = 2\n[providers.sim]\nbase_url = \"x\"\n";
        let pages = [("docs/errors/E001.md", ""), ("docs/errors/E002.md", ""), SOME_CODES];
        let said = said(&[pages[0], pages[1], pages[2], (KEYS, keys), (DEFAULTS, defaults)]);
        let expected = [
            "crates/hale/src/config/keys.rs:6: the setting `queue.max` has no doc",
            "crates/hale/src/config/defaults.toml:1: the setting `queue.min` is not in crates/hale/src/config/keys.rs",
        ];
        assert_eq!(said, expected);
    }

    #[test]
    fn a_playbook_without_a_proof_is_named() {
        let pages = [("docs/errors/E001.md", ""), ("docs/errors/E002.md", ""), SOME_CODES];
        let good = (
            "crates/hale-playbooks/catalogue/a.yaml",
            "id: a\ncauses:\n  - id: a.b\n    prove: {inject: x}\n",
        );
        let bad = ("crates/hale-playbooks/catalogue/b.yaml", "id: b\n# improve: x\n");
        let said = said(&[pages[0], pages[1], pages[2], good, bad]);
        assert_eq!(said, ["crates/hale-playbooks/catalogue/b.yaml:1: the playbook has no proof"]);
    }
}
