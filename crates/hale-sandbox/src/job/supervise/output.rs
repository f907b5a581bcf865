//! The program's output: cut into lines, kept up to its limit, counted beyond.
//!
//! Memory is bounded by one line a stream, and nothing is written to disk. The last lines of the error output are kept
//! for the verdict even where they are beyond the limit.
//! Read next: [`super::watch`].

use super::outbox::Outbox;
use crate::job::event::{self, Event, Line, Warning};
use crate::job::limits::{LINE_BYTES, READ_BYTES, TAIL_LINE_BYTES, TAIL_LINES};
use crate::job::plan::Message;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

/// What both streams share.
pub(super) struct Output {
    pub(super) counts: event::Output,
    limit: u64,
    kept: u64,
    warned: bool,
    tail: Vec<u8>,
    buffer: Vec<u8>,
}

/// One stream.
pub(super) struct Pipe {
    stream: Stream,
    /// Non-blocking; gone at its end.
    file: Option<File>,
    /// The line that is not ended yet.
    line: Vec<u8>,
}

impl Output {
    pub(super) fn new(limit: u64) -> Self {
        let counts = event::Output::default();
        Self { counts, limit, kept: 0, warned: false, tail: Vec::new(), buffer: vec![0; READ_BYTES] }
    }

    /// The last lines of the error output, shortened.
    pub(super) fn tail_lines(&self) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.tail);
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let from = lines.len().saturating_sub(TAIL_LINES);
        lines[from..].iter().map(|line| line.chars().take(TAIL_LINE_BYTES).collect()).collect()
    }

    /// How many of these bytes are within the limit.
    fn count(&mut self, stream: Stream, bytes: &[u8]) -> usize {
        let length = bytes.len() as u64;
        match stream {
            Stream::Stdout => self.counts.stdout_bytes += length,
            Stream::Stderr => {
                self.counts.stderr_bytes += length;
                self.tail.extend_from_slice(bytes);
                let over = self.tail.len().saturating_sub(TAIL_LINES * TAIL_LINE_BYTES);
                self.tail.drain(..over);
            }
        }
        let within = length.min(self.limit - self.kept);
        self.kept += within;
        self.counts.dropped_bytes += length - within;
        // It is at most a buffer's length.
        usize::try_from(within).unwrap_or(usize::MAX)
    }
}

/// Whether more may come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum More {
    Perhaps,
    /// Nothing now, or never again.
    No,
}

impl Pipe {
    pub(super) fn new(stream: Stream, file: File) -> Self {
        Self { stream, file: Some(file), line: Vec::new() }
    }

    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_ref().map(AsFd::as_fd)
    }

    /// Reads once, without waiting.
    pub(super) fn read(&mut self, output: &mut Output, out: &mut Outbox) -> More {
        let Some(file) = &mut self.file else { return More::No };
        let mut buffer = std::mem::take(&mut output.buffer);
        let more = match file.read(&mut buffer) {
            Ok(0) => {
                self.close(out);
                More::No
            }
            Ok(count) => {
                self.take(&buffer[..count], output, out);
                More::Perhaps
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => More::Perhaps,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => More::No,
            Err(_) => {
                self.close(out);
                More::No
            }
        };
        output.buffer = buffer;
        more
    }

    /// Hands on the last line even if it was never ended.
    pub(super) fn close(&mut self, out: &mut Outbox) {
        self.file = None;
        if !self.line.is_empty() {
            let rest = std::mem::take(&mut self.line);
            self.say(&rest, false, out);
        }
    }

    fn take(&mut self, bytes: &[u8], output: &mut Output, out: &mut Outbox) {
        let within = output.count(self.stream, bytes);
        for piece in bytes[..within].split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            while self.line.len() > LINE_BYTES {
                let cut = boundary(&self.line, LINE_BYTES);
                let rest = self.line.split_off(cut);
                let full = std::mem::replace(&mut self.line, rest);
                self.say(&full, true, out);
            }
            if self.line.last() == Some(&b'\n') {
                let mut whole = std::mem::take(&mut self.line);
                whole.pop();
                self.say(&whole, false, out);
            }
        }
        if within < bytes.len() && !output.warned {
            output.warned = true;
            let warning = Warning::Output { limit_bytes: output.limit };
            out.push(&Message::Event { event: Event::Warning(warning) });
        }
    }

    fn say(&self, line: &[u8], continues: bool, out: &mut Outbox) {
        let line = Line { text: String::from_utf8_lossy(line).into_owned(), continues };
        let event = match self.stream {
            Stream::Stdout => Event::Stdout(line),
            Stream::Stderr => Event::Stderr(line),
        };
        out.push(&Message::Event { event });
    }
}

/// The end of a letter at `most` or up to three bytes before it.
fn boundary(bytes: &[u8], most: usize) -> usize {
    let starts = |index: &usize| bytes[*index] & 0xc0 != 0x80;
    (most - 3..=most).rev().find(starts).unwrap_or(most)
}
