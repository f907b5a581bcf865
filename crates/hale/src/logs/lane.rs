//! Lines on their way to one place, kept until they are written together.
//!
//! Guarantees: never more than its bound; when it is full the oldest common lines go, never a warning or an error,
//! and it says how many went.
//! Leaves to others: when lines are written ([`super::sink`]).

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worth {
    /// INFO and below: written with others, and the first to go when there is no room.
    Common,
    /// WARN and ERROR: written before the call that logged it returns.
    Urgent,
}

/// What is written together.
#[derive(Debug, Default)]
pub struct Bundle {
    pub bytes: Vec<u8>,
    /// Lines that had to go since the last bundle; they stood before the ones in it.
    pub dropped: u64,
}

#[derive(Debug)]
pub struct Lane {
    most: usize,
    bytes: Vec<u8>,
    /// Where each line ends.
    lines: Vec<(usize, Worth)>,
    dropped: u64,
}

impl Lane {
    /// Holds at most `most` bytes, beside one urgent line of each thread that waits for it to be written.
    pub fn new(most: usize) -> Self {
        Self { most, bytes: Vec::new(), lines: Vec::new(), dropped: 0 }
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.dropped == 0
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn push(&mut self, line: &[u8], worth: Worth) {
        if self.bytes.len() + line.len() > self.most {
            self.make_room(line.len());
        }
        if worth == Worth::Common && self.bytes.len() + line.len() > self.most {
            self.dropped += 1;
            return;
        }
        self.bytes.extend_from_slice(line);
        self.lines.push((self.bytes.len(), worth));
    }

    /// Drops the oldest common lines until half is free, so that the next lines need not move everything again.
    fn make_room(&mut self, wanted: usize) {
        let goal = (self.bytes.len() + wanted).saturating_sub(self.most / 2);
        let (mut from, mut to, mut freed) = (0, 0, 0);
        let (bytes, dropped) = (&mut self.bytes, &mut self.dropped);
        self.lines.retain_mut(|(end, worth)| {
            let line = from..*end;
            from = *end;
            if freed < goal && *worth == Worth::Common {
                freed += line.len();
                *dropped += 1;
                return false;
            }
            let len = line.len();
            bytes.copy_within(line, to);
            to += len;
            *end = to;
            true
        });
        self.bytes.truncate(to);
    }

    /// Takes out what is here; `spare` is used for what comes next.
    pub fn take(&mut self, mut spare: Vec<u8>) -> Bundle {
        spare.clear();
        self.lines.clear();
        let bytes = std::mem::replace(&mut self.bytes, spare);
        Bundle { bytes, dropped: std::mem::take(&mut self.dropped) }
    }
}
