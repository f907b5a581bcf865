//! The command line as clap has it: consistent, with examples, and helpful about slips.

use clap::error::ErrorKind;
use hale::cli::command;
use hale::cli::run::input;
use hale::exit::{Exit, TABLE};
use serde_json::json;
use std::path::Path;

fn walk(command: &clap::Command, path: &str, each: &mut dyn FnMut(&str, &clap::Command)) {
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        let path = format!("{path} {}", sub.get_name());
        each(&path, sub);
        walk(sub, &path, each);
    }
}

#[test]
fn the_command_line_is_consistent() {
    command().debug_assert();
}

#[test]
fn every_command_says_what_it_does_and_every_verb_has_an_example() {
    let mut command = command();
    command.build();
    walk(&command, "hale", &mut |path, sub| {
        assert!(sub.get_about().is_some(), "{path} does not say what it does");
        if sub.get_subcommands().next().is_none() {
            let help = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.starts_with("Examples:\n"), "{path} has no example");
            let own = path.replace("hale ", "");
            assert!(help.contains(&format!("hale {own}")), "{path} shows no use of itself");
        }
    });
}

fn refusal(line: &str) -> clap::Error {
    command().try_get_matches_from(line.split(' ')).expect_err("refused")
}

#[test]
fn a_slip_is_answered_with_what_was_meant() {
    for (line, meant) in [
        ("hale rusn list", "runs"),
        ("hale runs lst", "list"),
        ("hale docter", "doctor"),
        ("hale run hello --inptu a=1", "--input"),
        ("hale packs depoly x.md", "deploy"),
    ] {
        let error = refusal(line);
        assert_eq!(error.exit_code(), Exit::Usage as i32, "{line}");
        assert!(error.to_string().contains(meant), "{line}: {error}");
    }
}

#[test]
fn what_belongs_together_is_asked_for_together() {
    for line in [
        "hale run hello --detach --watch",
        "hale doctor --dry-run",
        "hale runs cancel",
        "hale runs cancel run_1 --filter status:failed",
        "hale runs list --json -o yaml",
        "hale runs list --limit 0",
        "hale run hello --timeout 60",
        "hale chaos inject llm.slow --set x",
    ] {
        let error = refusal(line);
        assert_ne!(error.kind(), ErrorKind::InvalidSubcommand, "{line}: {error}");
        assert_eq!(error.exit_code(), 2, "{line}");
    }
}

#[test]
fn singular_nouns_are_understood() {
    for line in
        ["hale pack list", "hale key list", "hale secret list", "hale operation list", "hale ops list"]
    {
        assert!(command().try_get_matches_from(line.split(' ')).is_ok(), "{line}");
    }
}

#[test]
fn input_is_read_as_people_write_it() {
    let read = |parts: &[&str]| {
        let parts: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
        input(&parts, Path::new("/"))
    };
    assert_eq!(read(&[]).unwrap(), json!({}));
    assert_eq!(read(&["name=Ada"]).unwrap(), json!({ "name": "Ada" }));
    assert_eq!(
        read(&["n=3", "x=1.5", "y=true", "s=a b=c"]).unwrap(),
        json!({ "n": 3, "x": 1.5, "y": true, "s": "a b=c" })
    );
    assert_eq!(read(&["{\"days\": 7}"]).unwrap(), json!({ "days": 7 }));
    assert_eq!(read(&["quoted=\"x\""]).unwrap(), json!({ "quoted": "\"x\"" }));
    for bad in [&["name"][..], &["{oops"], &["=x"], &["a=1", "{}"]] {
        let error = read(bad).expect_err("refused");
        assert_eq!((error.exit, error.code.as_deref()), (Exit::InvalidInput, Some("E002")), "{bad:?}");
    }
    assert_eq!(read(&["@/does/not/exist.json"]).expect_err("refused").exit, Exit::NotFound);
}

#[test]
fn input_comes_from_files() {
    let dir = tempfile::TempDir::new().unwrap();
    std::fs::write(dir.path().join("in.json"), "{\"a\": [1]}").unwrap();
    std::fs::write(dir.path().join("note.txt"), "hello").unwrap();
    let read = |part: &str| input(&[part.to_owned()], dir.path()).unwrap();
    assert_eq!(read("@in.json"), json!({ "a": [1] }));
    assert_eq!(read("note=@note.txt"), json!({ "note": "hello" }));
}

#[test]
fn the_table_of_exit_codes_has_each_code_once_and_the_help_prints_it() {
    let mut command = command();
    let help = command.render_long_help().to_string();
    for (exit, meaning) in TABLE {
        let code = exit as u8;
        assert_eq!(TABLE.iter().filter(|(other, _)| *other as u8 == code).count(), 1);
        assert!(help.contains(&format!("  {code:<4} {meaning}")), "the help has no {code}");
    }
    for code in hale_core::code::ALL {
        assert_eq!(Exit::of_code(code) as u8, code.meaning().exit, "{code}");
    }
}

#[test]
fn every_code_and_every_cause_has_a_page() {
    for topic in hale::explain::list().items {
        let page = hale::explain::find(&topic.id).unwrap();
        assert!(page.text.contains(&topic.id), "{}", topic.id);
    }
    assert_eq!(hale::explain::find("e003").unwrap().id, "E003");
    let unknown = hale::explain::unknown("queue.no_live_workr");
    assert_eq!(unknown.exit, Exit::NotFound);
    assert_eq!(unknown.hint.as_deref(), Some("did you mean: hale explain queue.no_live_worker"));
}
