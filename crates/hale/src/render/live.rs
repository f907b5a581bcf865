//! A run while it happens.
//!
//! On a terminal one line moves, the step that is under way, and finished steps stay above it with their times;
//! elsewhere each finished step is a plain line. All of it is beside the answer, so it goes to stderr.
//! Guarantees: nothing moves when stderr is no terminal; what was shown stays true: only durable lines are kept.
//! Read next: [`super::step`].

use super::paint::{Look, Tone};
use super::table::cut;
use super::{run, step, when};
use crate::render::Screen;
use crate::wire::{LiveEvent, RunView};
use hale_core::run::{Event, Wait};
use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

/// Frames of the spinner; the last stands when it is done.
const FRAMES: [&str; 6] = ["⠋", "⠙", "⠸", "⠴", "⠦", " "];
const TICK: Duration = Duration::from_millis(100);
/// How much of the model's text the moving line shows.
const TAIL_COLUMNS: usize = 50;

/// Whether the model's text is shown as it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    Hidden,
    Shown,
}

/// The view of one run.
#[derive(Debug)]
pub struct Live {
    look: Look,
    words: Words,
    spinner: Option<ProgressBar>,
    moving: bool,
    /// Name of the step under way, and the end of its text.
    doing: String,
    tail: String,
    /// The run that is shown.
    run: String,
}

impl Live {
    pub fn new(screen: &Screen, words: Words) -> Self {
        Self {
            look: screen.look(),
            words,
            spinner: None,
            moving: screen.terminals().err && !screen.is_quiet(),
            doing: String::new(),
            tail: String::new(),
            run: String::new(),
        }
    }

    /// The first line: which run this is.
    pub fn begin(&mut self, screen: &mut Screen, run: &RunView) {
        screen.note(&format!("{}  {}@{}", Tone::Strong.paint(&run.id), run.pack, run.version));
        self.run.clone_from(&run.id);
        self.turn("waiting for a worker".to_owned());
    }

    /// One event of the stream.
    pub fn show(&mut self, screen: &mut Screen, event: &LiveEvent) {
        match event {
            LiveEvent::Record { record } => {
                let line = if self.moving {
                    step::shown(&self.look, &record.event)
                } else {
                    step::line(&record.event).map(|(_, text)| text)
                };
                if let Some(line) = line {
                    self.keep(screen, &line);
                }
                match &record.event {
                    Event::Leased { .. } => self.turn("working".to_owned()),
                    Event::Awaited { .. } => self.turn("waiting for a worker".to_owned()),
                    Event::Awaiting { index, name, wait, .. } => {
                        if matches!(wait, Wait::Approval { .. }) {
                            self.keep(screen, &format!("  answer it: hale approvals show {}", self.run));
                        }
                        self.turn(step::awaiting(*index, name, wait));
                    }
                    _ => {}
                }
            }
            LiveEvent::StepStarted { index, attempt, name, .. } => {
                let again = if *attempt > 1 { format!("  try {attempt}") } else { String::new() };
                self.turn(format!("step {}  {name}{again}", index + 1));
            }
            LiveEvent::Chunk { text, .. } => self.word(text),
            LiveEvent::Line { text, .. } => {
                if self.words == Words::Shown && !text.starts_with("STAGE ") {
                    self.keep(screen, &format!("    {}", crate::logs::line::escaped(text)));
                }
            }
            LiveEvent::Note { text, .. } => self.note(screen, text),
            LiveEvent::Gap => {}
            LiveEvent::End { .. } => self.clear(),
        }
    }

    /// The last line: how it ended.
    pub fn end(&mut self, screen: &mut Screen, run: &RunView) {
        self.clear();
        let error = run.error.as_ref().filter(|_| run.state != "COMPLETED").map(step::short);
        let error = error.map(|error| format!("  {error}")).unwrap_or_default();
        let state =
            if self.moving { format!("  {}", run::headline(run, &self.look)) } else { run.state.clone() };
        screen.note(&format!("{state}  {}{error}", when::span(run.duration_ms)));
    }

    /// Takes the moving line away, so that something else can be printed.
    pub fn clear(&mut self) {
        if let Some(spinner) = self.spinner.take() {
            spinner.finish_and_clear();
        }
    }

    fn keep(&mut self, screen: &mut Screen, line: &str) {
        match &self.spinner {
            Some(spinner) => spinner.println(line),
            None => screen.note(line),
        }
    }

    fn turn(&mut self, doing: String) {
        self.doing = doing;
        self.tail.clear();
        if !self.moving {
            return;
        }
        self.clear();
        let spinner = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("  {spinner:.cyan} {msg}  {elapsed}") {
            spinner.set_style(style.tick_strings(&FRAMES));
        }
        spinner.enable_steady_tick(TICK);
        spinner.set_message(self.doing.clone());
        self.spinner = Some(spinner);
    }

    /// On a terminal it is the end of the moving line.
    fn note(&mut self, screen: &mut Screen, text: &str) {
        let text = cut(&crate::logs::line::escaped(text), TAIL_COLUMNS);
        match &self.spinner {
            Some(spinner) => spinner.set_message(format!("{}  {}", self.doing, Tone::Dim.paint(&text))),
            None if self.words == Words::Shown => screen.note(&text),
            None => {}
        }
    }

    fn word(&mut self, text: &str) {
        if self.words == Words::Hidden {
            return;
        }
        self.tail.extend(text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }));
        // The end is what moves.
        let letters: Vec<char> = self.tail.chars().rev().take(TAIL_COLUMNS).collect();
        let tail: String = letters.into_iter().rev().collect();
        if let Some(spinner) = &self.spinner {
            spinner.set_message(format!("{}  {}", self.doing, Tone::Dim.paint(&cut(&tail, TAIL_COLUMNS))));
        }
        self.tail = tail;
    }
}
