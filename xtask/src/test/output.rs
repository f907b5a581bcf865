//! What cargo and the test harness print, as numbers.
//!
//! Lines are passed on as they come and counted on their way. Time is taken from line to line: `Running` opens a test
//! binary, `test result:` closes it.

use anyhow::Context;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

/// Runs a command and hands over each line of stdout and stderr, in the order in which they were written.
pub fn stream(command: &mut Command, mut each: impl FnMut(&str)) -> anyhow::Result<ExitStatus> {
    let (reader, writer) = std::io::pipe().context("make a pipe")?;
    command.stdin(std::process::Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn().with_context(|| format!("start `{}`", crate::shell::line(command)))?;
    // The command still holds our ends of the pipe; without this the reader would never see its end.
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        each(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']));
        line.clear();
    }
    Ok(child.wait()?)
}

/// Which crate a test binary belongs to, by its file name.
#[derive(Default)]
pub struct Binaries(BTreeMap<String, String>);

impl Binaries {
    /// Reads cargo's JSON messages to their end.
    pub fn read(messages: impl BufRead) -> anyhow::Result<Binaries> {
        let mut binaries = BTreeMap::new();
        for message in cargo_metadata::Message::parse_stream(messages) {
            if let cargo_metadata::Message::CompilerArtifact(artifact) =
                message.context("read cargo's messages")?
                && let (true, Some(file)) = (artifact.profile.test, artifact.executable)
            {
                let package = artifact.manifest_path.parent().and_then(|folder| folder.file_name());
                let name = file.file_name().unwrap_or_default().to_owned();
                binaries.insert(name, package.unwrap_or_default().to_owned());
            }
        }
        Ok(Binaries(binaries))
    }
}

#[derive(Default)]
pub struct Tally {
    suites: Vec<Suite>,
    open: Option<(String, Instant)>,
    failures: Vec<String>,
}

struct Suite {
    /// A file name, or `doc CRATE`.
    name: String,
    spent: Duration,
    passed: usize,
    failed: usize,
}

impl Tally {
    pub fn read(&mut self, line: &str) {
        let plain = without_colour(line);
        let words = plain.trim();
        if let Some(rest) = words.strip_prefix("Running ") {
            let file = rest.rsplit_once('(').map(|(_, file)| file.trim_end_matches(')'));
            self.open = file.map(|file| (file.rsplit('/').next().unwrap_or(file).to_owned(), Instant::now()));
        } else if let Some(krate) = words.strip_prefix("Doc-tests ") {
            self.open = Some((format!("doc {krate}"), Instant::now()));
        } else if let Some(result) = words.strip_prefix("test result: ") {
            let (name, began) = self.open.take().unwrap_or_else(|| ("unknown".to_owned(), Instant::now()));
            let (passed, failed) = (number_before(result, " passed"), number_before(result, " failed"));
            self.suites.push(Suite { name, spent: began.elapsed(), passed, failed });
        } else if let Some(name) =
            words.strip_prefix("test ").and_then(|test| test.strip_suffix(" ... FAILED"))
        {
            self.failures.push(name.to_owned());
        }
    }

    pub fn passed(&self) -> usize {
        self.suites.iter().map(|suite| suite.passed).sum()
    }

    pub fn failed(&self) -> usize {
        self.suites.iter().map(|suite| suite.failed).sum()
    }

    /// Names of failed tests; a binary that died before its result counts as one.
    pub fn failures(&self) -> Vec<String> {
        let died = self.open.as_ref().map(|(name, _)| format!("{name} (died)"));
        self.failures.iter().cloned().chain(died).collect()
    }

    pub fn by_crate(&self, binaries: &Binaries) -> Vec<(String, Duration, usize)> {
        let mut crates: BTreeMap<String, (Duration, usize)> = BTreeMap::new();
        for suite in &self.suites {
            let doc = suite.name.strip_prefix("doc ").map(|krate| krate.replace('_', "-"));
            let krate =
                doc.or_else(|| binaries.0.get(&suite.name).cloned()).unwrap_or_else(|| suite.name.clone());
            let entry = crates.entry(krate).or_default();
            entry.0 += suite.spent;
            entry.1 += suite.passed;
        }
        crates.into_iter().map(|(krate, (spent, passed))| (krate, spent, passed)).collect()
    }
}

fn number_before(text: &str, word: &str) -> usize {
    let before = text.split(word).next().unwrap_or_default();
    let digits = before.rsplit(|sign: char| !sign.is_ascii_digit()).next().unwrap_or_default();
    digits.parse().unwrap_or(0)
}

fn without_colour(line: &str) -> String {
    let mut plain = String::new();
    let mut signs = line.chars();
    while let Some(sign) = signs.next() {
        if sign == '\u{1b}' {
            // An escape sequence ends with a letter.
            signs.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(sign);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "\u{1b}[1m\u{1b}[32m     Running\u{1b}[0m tests/it/main.rs (target/debug/deps/it-0a1b)\n\nrunning 3 tests\n\
        test store::a ... ok\ntest store::b ... FAILED\n\ntest result: FAILED. 2 passed; 1 failed; 0 ignored; finished in 0.1s\n\n\
        \u{20}  Doc-tests hale_core\n\nrunning 1 test\n\ntest result: ok. 1 passed; 0 failed; 0 ignored\n";

    #[test]
    fn results_are_counted_and_given_to_their_crates() {
        let mut tally = Tally::default();
        SAID.lines().for_each(|line| tally.read(line));
        assert_eq!((tally.passed(), tally.failed()), (3, 1));
        assert_eq!(tally.failures(), ["store::b"]);
        let binaries = Binaries(BTreeMap::from([("it-0a1b".to_owned(), "hale-store".to_owned())]));
        let crates: Vec<_> =
            tally.by_crate(&binaries).into_iter().map(|(krate, _, passed)| (krate, passed)).collect();
        assert_eq!(crates, [("hale-core".to_owned(), 1), ("hale-store".to_owned(), 2)]);
    }

    #[test]
    fn a_binary_that_dies_is_a_failure() {
        let mut tally = Tally::default();
        tally.read("     Running tests/it/main.rs (target/debug/deps/it-0a1b)");
        tally.read("error: test failed");
        assert_eq!(tally.failures(), ["it-0a1b (died)"]);
    }

    #[test]
    fn both_streams_come_in_one_order() {
        let mut lines = Vec::new();
        let mut command = crate::shell::command("sh");
        command.args(["-c", "echo one; echo two >&2; echo three; exit 3"]);
        let status = stream(&mut command, |line| lines.push(line.to_owned())).unwrap();
        assert_eq!(
            (lines, status.code()),
            (vec!["one".to_owned(), "two".to_owned(), "three".to_owned()], Some(3))
        );
    }
}
