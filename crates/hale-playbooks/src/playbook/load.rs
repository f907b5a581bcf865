//! From YAML to a playbook, or to everything that is wrong with it.
//!
//! Guarantees: all problems are reported at once, each with file, line, column and, where there is one, the word that
//! was probably meant. What loads has passed every [`Lint`]; there is no way to load less strictly.
//! Leaves to others: reading files (`hale-engine`); this takes text.
//! Read next: [`Lint`], the list of what is refused.

use super::schema::{self, BYTES_MAX};
use super::{Action, Cause, Clue, On, Playbook, Proof, Scope, Side, Symptom, Undo, Verify, lint};
use crate::expr::{self, Expr, Reach};
use crate::template::Template;
use hale_core::nearest::nearest;
use serde_saphyr::Spanned;
use std::collections::BTreeMap;
use std::fmt;

/// Entries of one list in a playbook; a longer list is two playbooks.
const ENTRIES_MAX: usize = 32;

/// Why a playbook does not load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    pub file: String,
    pub problems: Vec<Problem>,
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "load playbook {}: {} to mend", self.file, self.problems.len())?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {}:{problem}", self.file))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub place: Place,
    pub lint: Lint,
    pub message: String,
    pub suggestion: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.place.line, self.place.column, self.message)?;
        if let Some(word) = &self.suggestion {
            write!(f, ": did you mean `{word}`?")?;
        }
        write!(f, " [{}]", self.lint)
    }
}

/// Line and column, counted from 1; zero where the place is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: u64,
    pub column: u64,
}

/// What a playbook is refused for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lint {
    /// The file is not YAML of our schema.
    Yaml,
    UnknownKey,
    TooLong,
    BadId,
    DuplicateId,
    /// One of Symptoms, Diagnosis, Resolution and Prevention is empty.
    MissingPart,
    /// A name that nothing in the playbook has, or an action that nothing uses.
    Dangling,
    Syntax,
    UnknownSignal,
    TypeMismatch,
    /// Neither `for` nor `against`, or both.
    NoSide,
    /// `on` contradicts the signals that are asked for.
    WrongSubject,
    CauseWithoutAgainst,
    /// All its strong evidence would speak for a sibling as well.
    NothingDiscriminates,
    IdenticalEvidence,
    /// It could never be named: nothing strong speaks for it.
    UnreachableCause,
    FixWithoutVerify,
    UndoMissing,
    GuardMissing,
    RiskTooLow,
    BadParam,
    SymptomNotInjected,
    CauseNotProved,
    NoNearMiss,
}

impl fmt::Display for Lint {
    /// The name of the variant in words: `cause without against`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, c) in format!("{self:?}").char_indices() {
            if c.is_ascii_uppercase() && at > 0 {
                f.write_str(" ")?;
            }
            write!(f, "{}", c.to_ascii_lowercase())?;
        }
        Ok(())
    }
}

/// Loads one playbook; `file` is the name shown in errors.
pub fn load(text: &str, file: &str) -> Result<Playbook, Error> {
    let refuse = |problems| Error { file: file.to_owned(), problems };
    if text.len() > BYTES_MAX {
        let message = format!("the file is {} bytes long, {BYTES_MAX} is the most", text.len());
        return Err(refuse(vec![Problem {
            place: Place::default(),
            lint: Lint::TooLong,
            message,
            suggestion: None,
        }]));
    }
    let raw = schema::read(text).map_err(|error| refuse(vec![unreadable(&error)]))?;
    let mut loader = Loader { text, scope: raw.scope, places: Places::default(), problems: Vec::new() };
    let playbook = loader.playbook(raw, file);
    // Lints on a half-understood playbook would only repeat what is wrong with it.
    if loader.problems.is_empty() {
        lint::lint(&playbook, &loader.places, &mut loader.problems);
    }
    if loader.problems.is_empty() { Ok(playbook) } else { Err(refuse(loader.problems)) }
}

fn unreadable(error: &serde_saphyr::Error) -> Problem {
    let place =
        error.location().map_or(Place::default(), |at| Place { line: at.line(), column: at.column() });
    let problem = |lint, message, suggestion| Problem { place, lint, message, suggestion };
    let nearest_of =
        |word: &str, among: &[&'static str]| nearest(word, among.iter().copied()).map(str::to_owned);
    match error.without_snippet() {
        serde_saphyr::Error::SerdeUnknownField { field, expected, .. } => {
            let message = format!("unknown key `{field}`; the keys here are {}", expected.join(", "));
            problem(Lint::UnknownKey, message, nearest_of(field, expected))
        }
        serde_saphyr::Error::SerdeUnknownVariant { variant, expected, .. } => {
            let message = format!("`{variant}` is none of {}", expected.join(", "));
            problem(Lint::Yaml, message, nearest_of(variant, expected))
        }
        serde_saphyr::Error::DuplicateMappingKey { key, .. } => {
            let key = key.as_deref().unwrap_or("a key");
            problem(Lint::Yaml, format!("`{key}` is there twice"), None)
        }
        other => {
            let text = other.to_string();
            let text = text.lines().next().unwrap_or("not readable");
            // The place stands before the message already.
            let message = text.rsplit_once(" at line ").map_or(text, |(message, _)| message);
            problem(Lint::Yaml, message.to_owned(), None)
        }
    }
}

/// Where the named things stand, for the lints.
#[derive(Default)]
pub(super) struct Places {
    pub playbook: Place,
    pub symptoms: Vec<Place>,
    pub causes: Vec<Place>,
    pub actions: BTreeMap<String, Place>,
    pub prove: Vec<Place>,
}

struct Loader<'t> {
    text: &'t str,
    scope: Scope,
    places: Places,
    problems: Vec<Problem>,
}

impl Loader<'_> {
    fn playbook(&mut self, raw: schema::Playbook, file: &str) -> Playbook {
        self.places.playbook = place(&raw.playbook);
        let lengths =
            [raw.symptoms.len(), raw.causes.len(), raw.actions.len(), raw.prevent.len(), raw.prove.len()];
        if lengths.into_iter().chain(raw.causes.iter().map(|cause| cause.evidence.len())).max()
            > Some(ENTRIES_MAX)
        {
            self.problem(
                place(&raw.playbook),
                Lint::TooLong,
                format!("a list has more than {ENTRIES_MAX} entries"),
            );
        }
        let verify = raw.verify.as_ref().and_then(|verify| self.verify(verify));
        Playbook {
            id: self.id(&raw.playbook),
            title: self.said(raw.title),
            source: self.said(raw.source),
            scope: raw.scope,
            symptoms: raw.symptoms.into_iter().filter_map(|symptom| self.symptom(symptom)).collect(),
            causes: raw.causes.into_iter().filter_map(|cause| self.cause(cause, verify.as_ref())).collect(),
            actions: raw.actions.into_iter().filter_map(|(id, action)| self.action(id, action)).collect(),
            prevent: raw.prevent.into_iter().map(|text| self.said(text)).collect(),
            prove: raw.prove.into_iter().filter_map(|proof| self.proof(proof)).collect(),
            file: file.to_owned(),
        }
    }

    fn symptom(&mut self, raw: schema::Symptom) -> Option<Symptom> {
        self.places.symptoms.push(place(&raw.id));
        let id = self.id(&raw.id);
        let when = self.condition(&raw.when, self.scope.reach());
        self.subject(raw.on, when.as_ref(), &raw.when);
        let of_run = raw.on == Some(On::Run) || when.as_ref().is_some_and(Expr::asks_run);
        let says = self.template(&raw.says, if of_run { Reach::Run } else { self.shared() });
        Some(Symptom { id, when: when?, on: raw.on, severity: raw.severity, says: says? })
    }

    fn cause(&mut self, raw: schema::Cause, default: Option<&Verify>) -> Option<Cause> {
        self.places.causes.push(place(&raw.id));
        if raw.says_run.is_some() && self.scope != Scope::Both {
            self.problem(place(&raw.id), Lint::WrongSubject, "`says_run` is for playbooks of scope both");
        }
        let id = self.id(&raw.id);
        let at = self.template(&raw.at, self.shared());
        let says = self.template(&raw.says, self.shared());
        let says_run = raw.says_run.as_ref().map(|text| self.template(text, Reach::Run));
        let evidence = raw.evidence.into_iter().filter_map(|clue| self.clue(clue)).collect();
        let own = raw.verify.as_ref().map(|verify| self.verify(verify));
        Some(Cause {
            id,
            title: self.said(raw.title),
            at: at?,
            prior: raw.prior,
            evidence,
            says: says?,
            says_run: match says_run {
                None => None,
                Some(template) => Some(template?),
            },
            fix: raw.fix.into_iter().map(|action| action.value).collect(),
            verify: match own {
                None => default.cloned(),
                Some(own) => Some(own?),
            },
        })
    }

    fn clue(&mut self, raw: schema::Clue) -> Option<Clue> {
        let test = self.condition(&raw.test, self.scope.reach());
        self.subject(raw.on, test.as_ref(), &raw.test);
        let (side, weight) = match (raw.supports, raw.against) {
            (Some(weight), None) => (Side::For, weight),
            (None, Some(weight)) => (Side::Against, weight),
            _ => {
                let message = format!("`{}` needs one of `for` and `against`", raw.test.value);
                self.problem(place(&raw.test), Lint::NoSide, message);
                return None;
            }
        };
        Some(Clue { test: test?, side, weight, on: raw.on })
    }

    fn action(&mut self, id: String, raw: schema::Action) -> Option<(String, Action)> {
        let at = place(&raw.title);
        self.places.actions.insert(id.clone(), at);
        self.well_formed(&id, at);
        let reach = self.shared();
        let command = raw.command.as_ref().map(|text| self.template(text, reach));
        let guard = raw.guard.as_ref().map(|text| self.condition(text, reach));
        let undo = match raw.undo.value.as_str() {
            "none" => Some(Undo::None { because: raw.because }),
            _ => self.template(&raw.undo, reach).map(Undo::By),
        };
        let mut params = BTreeMap::new();
        for (name, text) in &raw.params {
            params.extend(self.expression(text, reach).map(|expr| (name.clone(), expr)));
        }
        let action = Action {
            verb: raw.verb,
            risk: raw.risk,
            title: self.said(raw.title),
            command: command.flatten(),
            params,
            undo: undo?,
            guard: guard.flatten(),
            blast: self.said(raw.blast),
        };
        Some((id, action))
    }

    fn verify(&mut self, raw: &schema::Verify) -> Option<Verify> {
        let until = self.condition(&raw.until, self.shared())?;
        Some(Verify { until, within: raw.within })
    }

    fn proof(&mut self, raw: schema::Proof) -> Option<Proof> {
        self.places.prove.push(place(&raw.expect));
        let expect = raw.expect.value.as_str();
        match (raw.inject, raw.twin) {
            (Some(fault), None) if expect != "none" => Some(Proof::Inject {
                fault: self.id(&fault),
                cause: expect.to_owned(),
                shows: raw.shows.into_iter().map(|symptom| symptom.value).collect(),
            }),
            (None, Some(twin)) if expect == "none" => Some(Proof::Twin { twin: self.id(&twin) }),
            _ => {
                let message = "a proof is {inject: fault, expect: cause, shows: [symptoms]} or {twin: name, expect: none}";
                self.problem(place(&raw.expect), Lint::Yaml, message);
                None
            }
        }
    }

    /// What may be asked in a place that serves every subject of the playbook.
    fn shared(&self) -> Reach {
        if self.scope == Scope::Run { Reach::Run } else { Reach::System }
    }

    fn subject(&mut self, on: Option<On>, test: Option<&Expr>, text: &Spanned<String>) {
        let asks_run = test.is_some_and(Expr::asks_run);
        let contradicts = match on {
            None => false,
            Some(On::System) => asks_run || self.scope == Scope::Run,
            Some(On::Run) => self.scope == Scope::System,
        };
        if contradicts {
            self.problem(
                place(text),
                Lint::WrongSubject,
                "`on` contradicts the scope or the signals asked for",
            );
        }
    }

    fn condition(&mut self, text: &Spanned<String>, reach: Reach) -> Option<Expr> {
        Expr::condition(&text.value, reach).map_err(|error| self.inside(text, error)).ok()
    }

    fn expression(&mut self, text: &Spanned<String>, reach: Reach) -> Option<Expr> {
        Expr::compile(&text.value, reach).map_err(|error| self.inside(text, error)).ok()
    }

    fn template(&mut self, text: &Spanned<String>, reach: Reach) -> Option<Template> {
        if text.value.trim().is_empty() {
            self.problem(place(text), Lint::MissingPart, "this text is empty");
        }
        Template::compile(&text.value, reach).map_err(|error| self.inside(text, error)).ok()
    }

    fn said(&mut self, text: Spanned<String>) -> String {
        if text.value.trim().is_empty() {
            self.problem(place(&text), Lint::MissingPart, "this text is empty");
        }
        text.value
    }

    fn id(&mut self, id: &Spanned<String>) -> String {
        self.well_formed(&id.value, place(id));
        id.value.clone()
    }

    fn well_formed(&mut self, id: &str, at: Place) {
        let part = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_lowercase())
                && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        if id.len() > 64 || !id.split('.').all(part) {
            let message = format!("`{id}` is no name: write lower case words with `_`, joined by `.`");
            self.problem(at, Lint::BadId, message);
        }
    }

    /// Turns a column inside an expression into a column of the file.
    fn inside(&mut self, text: &Spanned<String>, error: expr::Error) {
        let mut at = place(text);
        let line = self.text.lines().nth(at.line.saturating_sub(1) as usize).unwrap_or("");
        let opening = line.chars().nth(at.column.saturating_sub(1) as usize);
        match opening {
            // A block's columns are its own.
            Some('|' | '>') => {}
            Some('"' | '\'') => at.column += error.column as u64,
            _ => at.column += error.column as u64 - 1,
        }
        let lint = match error.kind {
            expr::Kind::Syntax => Lint::Syntax,
            expr::Kind::Name => Lint::UnknownSignal,
            expr::Kind::Type => Lint::TypeMismatch,
            expr::Kind::Bound => Lint::TooLong,
        };
        let message = format!("in `{}`: {}", text.value, error.message);
        self.problems.push(Problem { place: at, lint, message, suggestion: error.suggestion });
    }

    fn problem(&mut self, place: Place, lint: Lint, message: impl Into<String>) {
        self.problems.push(Problem { place, lint, message: message.into(), suggestion: None });
    }
}

fn place(text: &Spanned<String>) -> Place {
    Place { line: text.referenced.line(), column: text.referenced.column() }
}
