//! Colours and glyphs.
//!
//! Guarantees: every colour stands beside a word and every glyph too, so nothing is lost without them.
//! Leaves to others: whether colours reach the terminal ([`super::screen`] strips them).

use crate::config::env::Environment;
use hale_core::run::StateName;
use hale_core::time::Timestamp;
use owo_colors::{OwoColorize, Style};

/// What a text means, in colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Strong,
    Dim,
    Good,
    Bad,
    Warn,
    Moving,
}

impl Tone {
    fn style(self) -> Style {
        match self {
            Tone::Plain => Style::new(),
            Tone::Strong => Style::new().bold(),
            Tone::Dim => Style::new().dimmed(),
            Tone::Good => Style::new().green(),
            Tone::Bad => Style::new().red(),
            Tone::Warn => Style::new().yellow(),
            Tone::Moving => Style::new().cyan(),
        }
    }

    /// The text in this tone.
    pub fn paint(self, text: &str) -> String {
        if self == Tone::Plain { text.to_owned() } else { text.style(self.style()).to_string() }
    }
}

/// The tone of a run's state.
pub fn tone(state: StateName) -> Tone {
    match state {
        StateName::Pending => Tone::Plain,
        StateName::Initializing | StateName::Running | StateName::Completing => Tone::Moving,
        StateName::Completed => Tone::Good,
        StateName::Failed | StateName::Timeout => Tone::Bad,
        StateName::Cancelled => Tone::Dim,
    }
}

/// Which signs the terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glyphs {
    Unicode,
    Ascii,
}

/// How moments are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// `3s ago`, for people who look now.
    Relative,
    /// RFC 3339, for files and scripts.
    Absolute,
}

/// How things look on one terminal at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    pub glyphs: Glyphs,
    pub times: Times,
    /// Columns of the terminal; none when it is no terminal: then nothing is cut.
    pub width: Option<usize>,
    pub now: Timestamp,
}

impl Glyphs {
    /// Unicode unless the terminal or the locale says that it cannot.
    pub fn of(env: &Environment) -> Self {
        let dumb = matches!(env.get("TERM"), Some("dumb" | "linux"));
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| env.get(name));
        let utf8 = locale.is_none_or(|locale| {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        });
        if dumb || !utf8 { Glyphs::Ascii } else { Glyphs::Unicode }
    }

    fn pick(self, unicode: &'static str, ascii: &'static str) -> &'static str {
        if self == Glyphs::Unicode { unicode } else { ascii }
    }

    pub fn state(self, state: StateName) -> &'static str {
        match state {
            StateName::Pending => self.pick("○", "."),
            StateName::Initializing => self.pick("◔", "-"),
            StateName::Running => self.pick("●", ">"),
            StateName::Completing => self.pick("◕", "~"),
            StateName::Completed => self.pick("✔", "+"),
            StateName::Failed => self.pick("✖", "x"),
            StateName::Timeout => self.pick("⏱", "!"),
            StateName::Cancelled => self.pick("⊘", "/"),
        }
    }

    pub fn good(self) -> &'static str {
        self.pick("✔", "+")
    }
    pub fn bad(self) -> &'static str {
        self.pick("✖", "x")
    }
    pub fn warn(self) -> &'static str {
        self.pick("▲", "!")
    }
    pub fn note(self) -> &'static str {
        self.pick("·", "-")
    }
    pub fn arrow(self) -> &'static str {
        self.pick("→", "->")
    }
}

impl Look {
    /// `✔ COMPLETED` in its colour; a name that this version does not know stays as it is.
    pub fn state(&self, name: &str) -> String {
        match name.parse::<StateName>() {
            Ok(state) => tone(state).paint(&format!("{} {name}", self.glyphs.state(state))),
            Err(()) => name.to_owned(),
        }
    }

    pub fn good(&self, text: &str) -> String {
        Tone::Good.paint(&format!("{} {text}", self.glyphs.good()))
    }
    pub fn bad(&self, text: &str) -> String {
        Tone::Bad.paint(&format!("{} {text}", self.glyphs.bad()))
    }
    pub fn warn(&self, text: &str) -> String {
        Tone::Warn.paint(&format!("{} {text}", self.glyphs.warn()))
    }
}
