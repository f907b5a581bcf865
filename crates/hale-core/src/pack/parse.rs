//! From the bytes of a file to a pack.
//!
//! Markdown: front matter between two `---` lines, then the body. The body is the system prompt; if the front matter
//! has `system_prompt`, the body is documentation. A `.toml` file is keys only.
//! Guarantees: size, encoding and NUL are checked before anything is parsed.
//! Read next: [`super::keys`](../keys/index.html), which knows what each key means.

use super::error::{Error, Flaw, Problem, Span};
use super::import;
use super::keys::{Reader, Syntax};
use super::tree::{self, Entry, YamlFlaw};
use super::{Env, Kind, Manifest, Pack, Warning};
use crate::limits;

/// Reads a pack file; `file_name` decides between Markdown and TOML and stands in messages.
///
/// # Errors
/// Everything that is wrong with the file, first things first (E012).
pub fn parse(bytes: &[u8], file_name: &str, env: &Env) -> Result<Pack, Box<Error>> {
    let text = decoded(bytes, file_name)?;
    let digest = blake3::hash(bytes).to_hex().to_string();
    let refused = |flaw: Flaw| Error::new(file_name, text, vec![flaw]);
    let File { syntax, entries, body, odd } = divided(text, file_name).map_err(refused)?;
    let adapted = import::adapt(entries, env);
    let mut reader = Reader::new(syntax, adapted.format);
    let mut manifest = reader.manifest(&adapted.entries);
    reader.ignored(adapted.ignored, &mut manifest);
    place_body(&mut manifest, body, &mut reader);
    if manifest.version.is_empty() {
        manifest.version = format!("0.0.0+{}", &digest[..8]);
    }
    let Reader { flaws, warnings, .. } = reader;
    if !flaws.is_empty() {
        return Err(Error::new(file_name, text, flaws));
    }
    let mut odd: Vec<Flaw> = odd.into_iter().chain(adapted.warnings).chain(warnings).collect();
    odd.sort_by_key(|flaw| flaw.at.start);
    let warnings = odd.into_iter().map(|flaw| Warning::of(Problem::new(flaw, text))).collect();
    Ok(Pack { manifest, source: text.to_owned(), digest, warnings })
}

impl Warning {
    fn of(problem: Problem) -> Self {
        let Problem { line, column, message, help, .. } = problem;
        Self { line, column, message, help }
    }
}

/// The text of the file, if it is one and small enough.
fn decoded<'a>(bytes: &'a [u8], file_name: &str) -> Result<&'a str, Box<Error>> {
    let refused = |text: &str, at: Span, message: String, label: &str, help: &str| {
        let flaw = Flaw { at, message, label: label.to_owned(), help: help.to_owned() };
        Err(Error::new(file_name, text, vec![flaw]))
    };
    if bytes.len() > limits::PACK_BYTES {
        let message =
            format!("the file has {} bytes, a pack has at most {}", bytes.len(), limits::PACK_BYTES);
        return refused(
            "",
            0..0,
            message,
            "",
            "keep data in files of its own and grant the folder with `grants:`",
        );
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let at = error.valid_up_to();
            let message = format!("byte {at} is not UTF-8 (0x{:02X})", bytes[at]);
            let shown = String::from_utf8_lossy(bytes);
            let help = "save the file as UTF-8, for example: iconv -f latin1 -t utf-8 OLD.md > NEW.md";
            return refused(&shown, at..at + 1, message, "this byte", help);
        }
    };
    if let Some(at) = text.find('\0') {
        let message = format!("byte {at} is NUL");
        return refused(text, at..at + 1, message, "this byte", "remove the NUL bytes; a pack is plain text");
    }
    Ok(text)
}

struct File<'a> {
    syntax: Syntax,
    entries: Vec<Entry>,
    body: Body<'a>,
    /// Grammar that only a foreign reader forgives.
    odd: Option<Flaw>,
}

struct Body<'a> {
    text: &'a str,
    /// Where the front matter ends.
    at: usize,
}

fn divided<'a>(text: &'a str, file_name: &str) -> Result<File<'a>, Flaw> {
    if file_name.to_ascii_lowercase().ends_with(".toml") {
        let entries = tree::toml(text)?;
        let body = Body { text: "", at: text.len() };
        return Ok(File { syntax: Syntax::Toml, entries, body, odd: None });
    }
    let Fences { front, base, body } = fences(text)?;
    let body = Body { text: body.trim(), at: base + front.len() };
    match tree::yaml(front, base) {
        Ok(entries) => Ok(File { syntax: Syntax::Yaml, entries, body, odd: None }),
        Err(YamlFlaw { flaw, syntax }) => match import::forgiving(front, base).filter(|_| syntax) {
            Some(entries) => {
                let odd = Some(import::forgiven(flaw));
                Ok(File { syntax: Syntax::Yaml, entries, body, odd })
            }
            None => Err(flaw),
        },
    }
}

struct Fences<'a> {
    front: &'a str,
    /// Where `front` begins in the file.
    base: usize,
    body: &'a str,
}

fn fences(text: &str) -> Result<Fences<'_>, Flaw> {
    // Editors on Windows put a byte order mark in front.
    let mark = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let mut lines = text[mark..].split_inclusive('\n');
    let first = lines.next().unwrap_or_default();
    if first.trim_end() != "---" {
        return Err(Flaw {
            at: mark..mark + first.trim_end().len(),
            message: "the file does not begin with front matter".to_owned(),
            label: "expected `---`".to_owned(),
            help: "begin with a line `---`, then keys such as `name: my-pack`, then a line `---`, then the prompt; \
                   `hale packs init NAME.md` writes one"
                .to_owned(),
        });
    }
    let base = mark + first.len();
    let mut at = base;
    for line in lines {
        if line.trim_end() == "---" {
            return Ok(Fences { front: &text[base..at], base, body: &text[at + line.len()..] });
        }
        at += line.len();
    }
    Err(Flaw {
        at: mark..mark + 3,
        message: "the front matter has no end".to_owned(),
        label: "begins here".to_owned(),
        help: "put a line `---` after the last key".to_owned(),
    })
}

/// Decides what the body is, and whether an agent has a prompt.
fn place_body(manifest: &mut Manifest, body: Body<'_>, reader: &mut Reader) {
    if manifest.system_prompt.is_empty() && manifest.kind == Kind::Agent && !reader.seen("system_prompt") {
        manifest.system_prompt = body.text.to_owned();
    } else if !body.text.is_empty() {
        manifest.documentation = body.text.to_owned();
    }
    // A prompt that could not be read is a flaw already.
    let unread = reader.seen("system_prompt") && !reader.flaws.is_empty();
    if manifest.kind == Kind::Agent && manifest.system_prompt.trim().is_empty() && !unread {
        let help = match reader.syntax {
            Syntax::Yaml => "write the prompt below the second `---`, or in the key `system_prompt`",
            Syntax::Toml => "write the prompt in the key `system_prompt`",
        };
        reader.flaws.push(Flaw {
            at: body.at..body.at + 3,
            message: "the agent has no system prompt".to_owned(),
            label: "expected after this".to_owned(),
            help: help.to_owned(),
        });
    }
}
