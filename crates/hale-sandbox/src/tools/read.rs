//! `files.read`: the text of a file, or a stated part of it.
//!
//! Reads one bounded window from the descriptor that was judged, never the whole file. A file that grows or shrinks
//! meanwhile gives what was there; `bytes_total` is never less than what was read.
//! Read next: [`super::text`].

use super::args::Args;
use super::place::{Place, locate};
use super::text::{Text, beginning, begun, end, is_binary};
use crate::control::Control;
use crate::error::Error;
use crate::folder::{Folder, Node};
use crate::limits::{READ_LINES_MOST, TEXT_BYTES};
use serde_json::{Value, json};
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Which part was asked for.
enum Part {
    From(u64),
    Head(u64),
    Tail(u64),
}

/// Bytes of a file, and where they begin.
struct Window {
    bytes: Vec<u8>,
    start: u64,
    total: u64,
}

pub(super) fn run(args: &Value, folders: &[Folder], ctl: &Control) -> Result<Value, Error> {
    let args = Args::new(args, &["path", "offset", "max_bytes", "head", "tail"])?;
    let path = args.required("path")?;
    let part = part(&args)?;
    let most = args.count("max_bytes", 1..=TEXT_BYTES as u64)?.unwrap_or(TEXT_BYTES as u64);
    let place = locate(folders, path)?;
    let (file, stat) = match place.open()? {
        Node::File(file, stat) => (file, stat),
        Node::Dir(_) => return Err(Error::argument("path", "it is a folder, not a file; use files.list")),
    };
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    let start = match part {
        Part::From(offset) if offset > size => {
            let problem = format!("{offset} lies past the end; the file has {size} bytes");
            return Err(Error::argument("offset", problem));
        }
        Part::From(offset) => offset,
        Part::Head(_) => 0,
        Part::Tail(_) => size.saturating_sub(most),
    };
    let bytes = window(&file, (start, most), &place, ctl)?;
    let total = size.max(start + bytes.len() as u64);
    Ok(answer(&place, &part, Window { bytes, start, total }))
}

fn part(args: &Args<'_>) -> Result<Part, Error> {
    let offset = args.count("offset", 0..=u64::MAX)?;
    let head = args.count("head", 1..=READ_LINES_MOST)?;
    let tail = args.count("tail", 1..=READ_LINES_MOST)?;
    match (offset, head, tail) {
        (offset, None, None) => Ok(Part::From(offset.unwrap_or(0))),
        (None, Some(lines), None) => Ok(Part::Head(lines)),
        (None, None, Some(lines)) => Ok(Part::Tail(lines)),
        (_, Some(_), _) => Err(Error::argument("head", "give only one of offset, head and tail")),
        (_, None, Some(_)) => Err(Error::argument("tail", "give only one of offset, head and tail")),
    }
}

/// At most `most` bytes from `start`.
fn window(
    file: &File,
    (start, most): (u64, u64),
    place: &Place<'_>,
    ctl: &Control,
) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; usize::try_from(most).unwrap_or(TEXT_BYTES)];
    let mut filled = 0;
    while filled < bytes.len() {
        ctl.check()?;
        match file.read_at(&mut bytes[filled..], start + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::io("read", &place.path(), error)),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

fn answer(place: &Place<'_>, part: &Part, window: Window) -> Value {
    let Window { bytes, start, total } = window;
    if is_binary(&bytes) {
        return json!({
            "path": place.shown(), "bytes_total": total, "binary": true, "truncated": true,
            "limits_reached": ["binary"], "note": "the file is binary, so its content is not shown",
        });
    }
    let (text, limit) = cut(part, &bytes, (start > 0, start + (bytes.len() as u64) < total));
    let (from, to) = (start + text.from as u64, start + text.to as u64);
    let truncated = from > 0 || to < total;
    let mut answer = json!({
        "path": place.shown(), "bytes_total": total, "from": from, "to": to,
        "lines": text.text.lines().count(), "truncated": truncated, "limits_reached": limit.as_slice(),
    });
    if to < total {
        answer["next_offset"] = json!(to);
    }
    if text.replaced > 0 {
        answer["note"] = json!(format!("{} sequences are not UTF-8 and shown as U+FFFD", text.replaced));
    }
    answer["text"] = json!(text.text);
    answer
}

/// The part of the window that was asked for and fits, and the bound, if one and not the caller's wish left something
/// out. `before` and `after` say whether the file goes on beyond the window.
fn cut(part: &Part, bytes: &[u8], (before, after): (bool, bool)) -> (Text, Option<&'static str>) {
    let whole = match bytes.len() - if after { begun(bytes) } else { 0 } {
        // A window smaller than one character still moves on.
        0 => bytes,
        whole => &bytes[..whole],
    };
    let (text, fits, held) = match part {
        Part::From(_) => first(whole, None, !after),
        Part::Head(lines) => first(whole, lines_end(whole, *lines), !after),
        Part::Tail(lines) => last(bytes, lines_start(bytes, *lines), !before),
    };
    let limit = match (fits, held) {
        (false, _) => Some("result_bytes"),
        (true, false) => Some("max_bytes"),
        (true, true) => None,
    };
    (text, limit)
}

/// The text up to `stop` or to the end of the window, whether it fits, and whether the window held all of it.
fn first(bytes: &[u8], stop: Option<usize>, complete: bool) -> (Text, bool, bool) {
    let wanted = stop.unwrap_or(bytes.len());
    let text = beginning(&bytes[..wanted], TEXT_BYTES);
    let fits = text.to == wanted;
    (text, fits, complete || stop.is_some())
}

/// As [`first`], from `start` or the beginning of the window.
fn last(bytes: &[u8], start: Option<usize>, complete: bool) -> (Text, bool, bool) {
    // The window may begin inside a character.
    let broken = || bytes.iter().take(3).take_while(|byte| **byte & 0b1100_0000 == 0b1000_0000).count();
    let skipped = start.unwrap_or_else(broken);
    let mut text = end(&bytes[skipped..], TEXT_BYTES);
    let fits = text.from == 0;
    text.from += skipped;
    text.to += skipped;
    (text, fits, complete || start.is_some())
}

/// Where the first so many lines end, if the window holds them.
fn lines_end(bytes: &[u8], lines: u64) -> Option<usize> {
    let mut breaks = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    breaks.nth(usize::try_from(lines - 1).unwrap_or(usize::MAX))
}

/// Where the last so many lines start, if the window holds them; the break that ends the last line starts none.
fn lines_start(bytes: &[u8], lines: u64) -> Option<usize> {
    let body = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let mut breaks = body.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    breaks.nth(usize::try_from(lines - 1).unwrap_or(usize::MAX))
}
