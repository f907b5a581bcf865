//! Server-sent events out of bytes, however they were cut.
//!
//! Guarantees: the same bytes give the same events whatever the chunk boundaries; lines end with LF, CR LF or CR;
//! comments, a leading byte order mark and unknown fields are skipped; several `data` lines are joined with LF; a
//! line or an event beyond its bound is an error and never buffered.
//! Leaves to others: what the data means; data stays bytes, so that whoever parses it sees invalid UTF-8.
//! Read next: [`crate::openai`].

/// One event: its `data` lines, joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The `event` field, empty if there was none.
    pub name: Vec<u8>,
    pub data: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("read an event of a stream: it is longer than {bytes_max} bytes")]
pub struct TooLong {
    pub bytes_max: usize,
}

/// Takes bytes, gives events.
#[derive(Debug)]
pub struct Splitter {
    bytes_max: usize,
    line: Vec<u8>,
    name: Vec<u8>,
    data: Option<Vec<u8>>,
    place: Place,
}

/// Where in the stream the next byte falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The first line, where a byte order mark may stand.
    FirstLine,
    Line,
    /// After a CR, which already ended its line: an LF that follows belongs to it.
    AfterCr,
}

impl Splitter {
    /// `bytes_max` bounds a line, and the data of one event.
    pub fn new(bytes_max: usize) -> Self {
        Self { bytes_max, line: Vec::new(), name: Vec::new(), data: None, place: Place::FirstLine }
    }

    /// Takes the next bytes and hands each event that they complete to `take`.
    ///
    /// # Errors
    /// [`TooLong`]; the splitter must not be used afterwards.
    pub fn push(&mut self, mut bytes: &[u8], mut take: impl FnMut(Event)) -> Result<(), TooLong> {
        if self.place == Place::AfterCr && !bytes.is_empty() {
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
            self.place = Place::Line;
        }
        while let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            self.extend_line(&bytes[..end])?;
            let was_cr = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            self.end_line(&mut take)?;
            if was_cr && bytes.is_empty() {
                self.place = Place::AfterCr;
            } else if was_cr {
                bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
            }
        }
        self.extend_line(bytes)
    }

    /// The stream is over: an event whose blank line never came is handed out all the same, since some servers
    /// leave it away after the last one. Whoever reads it decides whether it is whole.
    pub fn finish(mut self) -> Option<Event> {
        let mut last = None;
        // Too long is as good as cut: there is no event then.
        self.end_line(&mut |event| last = Some(event)).ok()?;
        self.end_line(&mut |event| last = Some(event)).ok()?;
        last
    }

    fn extend_line(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        if self.line.len() + bytes.len() > self.bytes_max {
            return Err(TooLong { bytes_max: self.bytes_max });
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line(&mut self, take: &mut impl FnMut(Event)) -> Result<(), TooLong> {
        let line = std::mem::take(&mut self.line);
        let mut text = line.as_slice();
        if self.place == Place::FirstLine {
            text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        }
        self.place = Place::Line;
        if text.is_empty() {
            let name = std::mem::take(&mut self.name);
            if let Some(data) = self.data.take() {
                take(Event { name, data });
            }
        } else {
            self.field(text)?;
        }
        self.line = line;
        self.line.clear();
        Ok(())
    }

    fn field(&mut self, line: &[u8]) -> Result<(), TooLong> {
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &line[..colon] {
            b"event" => self.name = value.to_vec(),
            b"data" => {
                let held = self.data.as_ref().map_or(0, Vec::len);
                if held + value.len() + 1 > self.bytes_max {
                    return Err(TooLong { bytes_max: self.bytes_max });
                }
                match &mut self.data {
                    Some(data) => {
                        data.push(b'\n');
                        data.extend_from_slice(value);
                    }
                    None => self.data = Some(value.to_vec()),
                }
            }
            // `id` and `retry` are for reconnecting, which no model stream does; an empty name is a comment.
            _ => {}
        }
        Ok(())
    }
}
