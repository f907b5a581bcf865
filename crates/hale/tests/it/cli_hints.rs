//! Every command that hale tells a person to type is one that it understands: in hints and fixes of the sources, in
//! playbooks, in the pages behind error codes and in the guides.

use clap::error::ErrorKind;
use hale::cli::command;
use std::path::{Path, PathBuf};

fn files(dir: &Path, extensions: &[&str], found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, extensions, found);
        } else if path.extension().is_some_and(|extension| extensions.contains(&extension.to_str().unwrap()))
        {
            found.push(path);
        }
    }
}

/// What ends a command within a sentence, a code span or a line of shell.
const ENDS: [&str; 16] =
    ["`", "\"", ",", ";", ")", " (", " &&", " |", " >", " <", " #", "$(", ": ", "\\n", "  ", " … "];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Source,
    Page,
}

/// Commands in a line: from `hale VERB` to what ends it, placeholders filled in.
fn commands(line: &str, kind: Kind, verbs: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in line.match_indices("hale ") {
        let whole_word =
            !line[..at].ends_with(|letter: char| letter.is_alphanumeric() || "-_/.".contains(letter));
        // In prose `hale` is a name; a command stands in a code span or behind a prompt.
        let prose =
            matches!(kind, Kind::Page) && !line[..at].ends_with(['`', '(']) && !line[..at].ends_with("$ ");
        if prose {
            continue;
        }
        let rest = &line[at..];
        let verb = rest[5..].split(|letter: char| !letter.is_ascii_alphanumeric()).next().unwrap_or_default();
        if !whole_word || !verbs.iter().any(|known| known == verb) {
            continue;
        }
        let end = ENDS.iter().filter_map(|end| rest.find(end)).min().unwrap_or(rest.len());
        found.push(filled(&rest[..end]));
    }
    found
}

/// `{run}`, `{}` and `[..]` become words.
fn filled(text: &str) -> String {
    let mut out = String::new();
    let mut depth = 0;
    for letter in text.chars() {
        match letter {
            // A number fits wherever a word does.
            '{' | '[' | '<' => {
                depth += 1;
                out.push('1');
            }
            '}' | ']' | '>' => depth -= 1,
            _ if depth == 0 => out.push(letter),
            _ => {}
        }
    }
    out.trim().trim_end_matches(['.', ':', '\'', '…']).trim().to_owned()
}

#[test]
fn every_command_in_a_hint_a_fix_or_a_page_is_understood() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut sources = Vec::new();
    for part in ["crates", "docs/errors", "docs/guide", "packs"] {
        files(&root.join(part), &["rs", "yaml", "md"], &mut sources);
    }
    sources.push(root.join("README.md"));
    let mut command = command();
    command.build();
    let verbs: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    let (mut checked, mut wrong) = (0, Vec::new());
    // The demo's titles name commands in prose, and it carries out what it names.
    let elsewhere = |path: &&PathBuf| {
        !path.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "demo")
    };
    for path in sources.iter().filter(elsewhere) {
        let is_rust = path.extension().is_some_and(|extension| extension == "rs");
        let kind = if path.extension().is_some_and(|extension| extension == "md") {
            Kind::Page
        } else {
            Kind::Source
        };
        for (nth, line) in std::fs::read_to_string(path).unwrap_or_default().lines().enumerate() {
            // In sources only what is printed counts: string literals, and the examples of the help.
            let comment = is_rust && line.trim_start().starts_with("//");
            for text in if comment { Vec::new() } else { commands(line, kind, &verbs) } {
                checked += 1;
                let words: Vec<&str> = text.split_whitespace().collect();
                if let Err(error) = command.clone().try_get_matches_from(words)
                    && error.use_stderr()
                    // A command that is only named: "`hale run`: exit code 3".
                    && !matches!(error.kind(), ErrorKind::MissingRequiredArgument
                        | ErrorKind::MissingSubcommand
                        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand)
                {
                    let first = error.to_string().lines().next().unwrap_or_default().to_owned();
                    wrong.push(format!("{}:{}: {text}\n    {first}", path.display(), nth + 1));
                }
            }
        }
    }
    assert!(checked > 150, "only {checked} commands were found; the search is broken");
    assert!(wrong.is_empty(), "{} of {checked}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_command_is_found_wherever_it_stands() {
    let verbs = ["runs".to_owned(), "why".to_owned()];
    let line = "raise it, or run: hale why {run}; see `hale runs list` (not hale-core or the hale runs)";
    assert_eq!(commands(line, Kind::Source, &verbs), ["hale why 1", "hale runs list", "hale runs"]);
    assert_eq!(commands("hale runs agents, see `hale runs list`", Kind::Page, &verbs), ["hale runs list"]);
}
