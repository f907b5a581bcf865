//! Transcripts in the documentation are executed: what a reader types works, and prints what the page says.
//!
//! In a ```console block each `$ ` line is a command; the lines after it are its output, both streams together.
//! `[..]` stands for anything within a line, a line `...` for any lines.

use crate::cli_world::World;
use std::fmt::Write as _;

#[derive(Debug, PartialEq, Eq)]
struct Command {
    text: String,
    expected: Vec<String>,
}

fn commands(page: &str) -> Vec<Command> {
    let mut commands: Vec<Command> = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        match (inside, line) {
            (false, "```console") => inside = true,
            (true, "```") => inside = false,
            (true, line) => match (line.strip_prefix("$ "), commands.last_mut()) {
                (Some(text), _) => commands.push(Command { text: text.to_owned(), expected: Vec::new() }),
                (None, Some(last)) => last.expected.push(line.to_owned()),
                (None, None) => panic!("output before the first command: {line}"),
            },
            (false, _) => {}
        }
    }
    for command in &mut commands {
        while command.expected.last().is_some_and(String::is_empty) {
            command.expected.pop();
        }
    }
    commands
}

fn line_fits(pattern: &str, line: &str) -> bool {
    let mut rest = line;
    let pieces: Vec<&str> = pattern.split("[..]").collect();
    for (nth, piece) in pieces.iter().enumerate() {
        let (first, last) = (nth == 0, nth + 1 == pieces.len());
        let at = match (first, last) {
            (true, true) => return rest == *piece,
            (true, false) => rest.starts_with(piece).then_some(0),
            (false, true) => return rest.ends_with(piece),
            (false, false) => rest.find(piece),
        };
        match at {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    true
}

fn fits(pattern: &[String], lines: &[&str]) -> bool {
    match pattern.split_first() {
        None => lines.is_empty(),
        Some((first, rest)) if first == "..." => (0..=lines.len()).any(|skip| fits(rest, &lines[skip..])),
        Some((first, rest)) => {
            lines.split_first().is_some_and(|(line, left)| line_fits(first, line) && fits(rest, left))
        }
    }
}

/// Runs a page's commands in one shell, in a world of their own.
fn execute(page: &str) {
    let commands = commands(page);
    assert!(!commands.is_empty(), "the page has no transcript");
    let world = World::new();
    let mut script = String::new();
    for command in &commands {
        let _ = writeln!(script, "{}\necho '<<<end>>>'", command.text);
    }
    let output = world.program("/bin/bash").args(["-c", &format!("exec 2>&1\n{script}")]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let parts: Vec<&str> = said.split("<<<end>>>\n").collect();
    for (nth, command) in commands.iter().enumerate() {
        let lines: Vec<&str> = parts.get(nth).unwrap_or(&"").trim_end_matches('\n').lines().collect();
        assert!(
            fits(&command.expected, &lines),
            "$ {}\nthe page says:\n{}\nit said:\n{}",
            command.text,
            command.expected.join("\n"),
            lines.join("\n")
        );
    }
}

#[test]
fn the_first_five_minutes_go_as_the_guide_says() {
    execute(include_str!("../../../../docs/guide/first-five-minutes.md"));
}

#[test]
fn a_page_that_says_something_else_is_noticed() {
    let fit = |pattern: &str, text: &str| {
        let pattern: Vec<String> = pattern.lines().map(str::to_owned).collect();
        fits(&pattern, &text.lines().collect::<Vec<_>>())
    };
    assert!(fit("a [..] c\n...\nend", "a b c\nx\ny\nend"));
    assert!(fit("run_[..]  [..]ms", "run_01  12ms"));
    assert!(!fit("a", "a\nb"));
    assert!(!fit("a [..] c", "a b d"));
    assert!(!fit("...\nend", "x"));
    let page = "text\n```console\n$ one\nout\n\n$ two # with a comment\n```\n```sh\n$ not this\n```\n";
    let read = commands(page);
    assert_eq!(read.len(), 2);
    assert_eq!(read[0].expected, ["out"]);
}
