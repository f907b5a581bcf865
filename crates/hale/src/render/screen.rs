//! The two streams of a command, and the forms in which an answer can be had.
//!
//! Guarantees: one answer goes to stdout in exactly the form asked for; with `--json` an error is a document too;
//! a reader that went away (`| head`) is no error. Colours and widths come from the terminal, `NO_COLOR`,
//! `CLICOLOR_FORCE` and `--color`.
//! Leaves to others: how each thing looks.

use super::error;
use super::paint::{Glyphs, Look, Times, Tone};
use super::table::Table;
use crate::config::env::Environment;
use crate::exit::{Error, Exit};
use crate::wire::Page;
use anstream::{AutoStream, ColorChoice};
use serde::Serialize;
use std::io::{IsTerminal, Write};

/// The form of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// Columns, or a page about one thing.
    #[default]
    Table,
    /// More columns.
    Wide,
    /// One document.
    Json,
    /// One document a line.
    Jsonl,
    Yaml,
    /// Names or ids alone, one a line.
    Name,
}

impl Format {
    /// For people.
    pub fn is_human(self) -> bool {
        matches!(self, Format::Table | Format::Wide)
    }
}

/// How much is said beside the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Talk {
    Normal,
    Quiet,
}

/// What the command line says about output.
#[derive(Clone, Copy, Debug)]
pub struct Wishes {
    pub format: Format,
    pub colour: ColorChoice,
    pub talk: Talk,
}

pub struct Screen {
    out: AutoStream<std::io::Stdout>,
    err: AutoStream<std::io::Stderr>,
    wishes: Wishes,
    look: Look,
    terminals: Terminals,
}

/// Which streams are terminals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terminals {
    pub out: bool,
    pub err: bool,
}

impl std::fmt::Debug for Screen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Screen").field("wishes", &self.wishes).finish_non_exhaustive()
    }
}

impl Screen {
    pub fn new(wishes: Wishes, env: &Environment) -> Self {
        let terminals =
            Terminals { out: std::io::stdout().is_terminal(), err: std::io::stderr().is_terminal() };
        let width =
            terminals.out.then(|| terminal_size::terminal_size().map(|(width, _)| width.0.into())).flatten();
        let times = if terminals.out { Times::Relative } else { Times::Absolute };
        let look = Look { glyphs: Glyphs::of(env), times, width, now: crate::logs::line::now() };
        Self {
            out: AutoStream::new(std::io::stdout(), wishes.colour),
            err: AutoStream::new(std::io::stderr(), wishes.colour),
            wishes,
            look,
            terminals,
        }
    }

    pub fn format(&self) -> Format {
        self.wishes.format
    }

    /// How things look now.
    pub fn look(&self) -> Look {
        Look { now: crate::logs::line::now(), ..self.look }
    }

    pub fn terminals(&self) -> Terminals {
        self.terminals
    }

    pub fn is_quiet(&self) -> bool {
        self.wishes.talk == Talk::Quiet
    }

    /// Writes to stdout as it is. Whoever went away does not want it.
    pub fn print(&mut self, text: &str) {
        let _ = self.try_print(text);
    }

    /// As [`Self::print`], for whoever would go on for ever.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub fn try_print(&mut self, text: &str) -> std::io::Result<()> {
        self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush())
    }

    /// Bytes to stdout, untouched.
    pub fn print_bytes(&mut self, bytes: &[u8]) {
        let _ = std::io::stdout().lock().write_all(bytes);
    }

    /// A line beside the answer; off with `-q`.
    pub fn note(&mut self, text: &str) {
        if !self.is_quiet() {
            self.say(text);
        }
    }

    /// The next command, dim, at the end of a success; off with `-q` and in the forms for machines.
    pub fn next(&mut self, command: &str) {
        if self.wishes.format.is_human() {
            self.note(&Tone::Dim.paint(&format!("next: {command}")));
        }
    }

    /// A line beside the answer that `-q` does not silence.
    pub fn say(&mut self, text: &str) {
        let _ = writeln!(self.err, "{text}");
    }

    /// A list: a table for people, documents for machines.
    pub fn list<T: Serialize>(
        &mut self,
        page: &Page<T>,
        name: impl Fn(&T) -> String,
        table: impl FnOnce(&Look) -> Table,
    ) {
        match self.wishes.format {
            Format::Table | Format::Wide => {
                let look = self.look();
                let table = table(&look);
                if !table.is_empty() {
                    self.print(&table.render(&look));
                }
            }
            Format::Name => page.items.iter().for_each(|item| self.print(&format!("{}\n", name(item)))),
            Format::Jsonl => page.items.iter().for_each(|item| self.print_line(item)),
            Format::Json | Format::Yaml => self.document(page),
        }
    }

    /// One thing: a text for people, a document for machines.
    pub fn one<T: Serialize>(&mut self, thing: &T, name: &str, text: impl FnOnce(&Look) -> String) {
        match self.wishes.format {
            Format::Table | Format::Wide => {
                let text = text(&self.look());
                self.print(&text);
            }
            Format::Name => self.print(&format!("{name}\n")),
            Format::Json | Format::Jsonl | Format::Yaml => self.document(thing),
        }
    }

    fn document<T: Serialize>(&mut self, thing: &T) {
        let text = match self.wishes.format {
            Format::Jsonl => return self.print_line(thing),
            Format::Yaml => serde_saphyr::to_string(thing).ok(),
            _ => serde_json::to_string_pretty(thing).ok().map(|text| text + "\n"),
        };
        match text {
            Some(text) => self.print(&text),
            None => self.say("error: the answer cannot be written in this form; try -o json"),
        }
    }

    /// One document on one line.
    pub fn print_line<T: Serialize>(&mut self, thing: &T) {
        if let Ok(text) = serde_json::to_string(thing) {
            self.print(&(text + "\n"));
        }
    }

    /// The error on stderr, and as a document on stdout where one was asked for.
    pub fn fail(&mut self, error: &Error) -> Exit {
        #[derive(Serialize)]
        struct Document<'a> {
            schema: &'static str,
            error: &'a Error,
        }
        if !matches!(self.wishes.format, Format::Table | Format::Wide | Format::Name) {
            self.document(&Document { schema: "hale.error/1", error });
        }
        let text = error::text(error);
        let _ = self.err.write_all(text.as_bytes());
        error.exit
    }
}
