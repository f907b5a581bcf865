//! Where lines are gathered and written: one write for all that came within [`GATHER`].
//!
//! Guarantees: a line is with the kernel [`GATHER`] after it was logged (longer only if the disk or the reader of
//! stderr takes longer), a WARN or ERROR before the call that logged it returns, with everything before it; the
//! order is kept; at most [`HELD_BYTES`] wait for a place, and what had to go is counted in the log. Dropping the
//! sink, a panic and [`super::flush`] write what waits. A SIGKILL loses what came in the last [`GATHER`].
//! Leaves to others: what a line looks like ([`super::line`]), which go when there are too many ([`super::lane`]).

use super::lane::{Bundle, Lane, Worth};
use super::line;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Lines wait this long for others: short for a person, long for a machine that ends a thousand runs in it.
pub const GATHER: Duration = Duration::from_millis(50);
/// Bytes that may wait for one place: half a second at 25,000 lines a second, the most that a server was seen to log.
pub const HELD_BYTES: usize = 4 << 20;
/// Buffers that grew larger are given back.
const SPARE_BYTES: usize = 512 << 10;
/// A panic tries so often, a millisecond apart, to get at the outputs; it may itself have happened in a write.
const PANIC_TRIES: u32 = 20;

/// When common lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// By a thread of the sink, together with what came within [`GATHER`].
    Gathered,
    /// Each by whoever logs it.
    Each,
}

/// Where lines are written to.
pub struct Output {
    pub to: Box<dyn Write + Send>,
    /// How this place says that lines had to go.
    pub tell: fn(&str) -> String,
}

impl Output {
    /// Lines in JSON.
    pub fn json(to: impl Write + Send + 'static) -> Self {
        Self { to: Box::new(to), tell: |text| line::note("log_lines_dropped", text) }
    }

    /// Lines in the operators' text form.
    pub fn text(to: impl Write + Send + 'static) -> Self {
        Self { to: Box::new(to), tell: |text| line::text_form("WARN", None, text) }
    }

    fn write(&mut self, bundle: &Bundle) {
        if bundle.dropped > 0 {
            let told =
                format!("{} log lines dropped: they came faster than they were written", bundle.dropped);
            let note = (self.tell)(&told);
            let whole = [note.as_bytes(), &bundle.bytes].concat();
            // Nobody can be told that the output is gone.
            let _ = self.to.write_all(&whole);
        } else if !bundle.bytes.is_empty() {
            let _ = self.to.write_all(&bundle.bytes);
        }
    }
}

/// One line, in the form of each place that wants it.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    pub file: Option<&'a [u8]>,
    pub terminal: Option<&'a [u8]>,
    pub worth: Worth,
}

/// What the writing thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writer {
    /// Waits for a line.
    Asleep,
    /// Waits for more lines.
    Gathers,
    /// Writes, or is about to.
    Writes,
}

struct Pending {
    file: Lane,
    terminal: Lane,
    writer: Writer,
    ended: bool,
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.file.is_empty() && self.terminal.is_empty()
    }

    /// Whether the writing thread must hear of what just came.
    fn must_wake(&mut self) -> bool {
        let next = match self.writer {
            Writer::Asleep => Writer::Gathers,
            Writer::Gathers if self.file.len().max(self.terminal.len()) > HELD_BYTES / 4 => Writer::Writes,
            _ => return false,
        };
        self.writer = next;
        true
    }
}

struct Outputs {
    file: Option<Output>,
    terminal: Option<Output>,
    spare: [Vec<u8>; 2],
}

impl Outputs {
    fn take(&mut self, pending: &mut Pending) -> [Bundle; 2] {
        let [file, terminal] = std::mem::take(&mut self.spare);
        [pending.file.take(file), pending.terminal.take(terminal)]
    }

    fn write(&mut self, bundles: [Bundle; 2]) {
        for (output, bundle) in [&mut self.file, &mut self.terminal].into_iter().zip(&bundles) {
            if let Some(output) = output {
                output.write(bundle);
            }
        }
        self.spare = bundles.map(|bundle| bundle.bytes);
        for spare in &mut self.spare {
            spare.clear();
            spare.shrink_to(SPARE_BYTES);
        }
    }
}

struct Shared {
    /// Taken before `pending` by whoever writes, so that lines keep their order.
    outputs: Mutex<Outputs>,
    pending: Mutex<Pending>,
    wake: Condvar,
}

/// Gathers and writes.
pub struct Sink {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sink").finish_non_exhaustive()
    }
}

impl Sink {
    /// Writes to these places. Where no thread can be had every line is written by whoever logs it.
    pub fn start(file: Option<Output>, terminal: Option<Output>, pace: Pace) -> Self {
        let outputs = Outputs { file, terminal, spare: Default::default() };
        let pending = Pending {
            file: Lane::new(HELD_BYTES),
            terminal: Lane::new(HELD_BYTES),
            writer: Writer::Asleep,
            ended: false,
        };
        let shared =
            Shared { outputs: Mutex::new(outputs), pending: Mutex::new(pending), wake: Condvar::new() };
        let shared = Arc::new(shared);
        let thread = match pace {
            Pace::Each => None,
            Pace::Gathered => {
                let shared = shared.clone();
                let named = std::thread::Builder::new().name("hale-log".to_owned());
                named.spawn(move || shared.work()).ok()
            }
        };
        Self { shared, thread }
    }

    pub fn put(&self, entry: Entry<'_>) {
        let mut pending = self.shared.pending();
        if let Some(line) = entry.file {
            pending.file.push(line, entry.worth);
        }
        if let Some(line) = entry.terminal {
            pending.terminal.push(line, entry.worth);
        }
        if entry.worth == Worth::Urgent || self.thread.is_none() {
            drop(pending);
            self.shared.flush();
        } else if pending.must_wake() {
            drop(pending);
            self.shared.wake.notify_one();
        }
    }

    /// Writes what waits, before it returns.
    pub fn flush(&self) {
        self.shared.flush();
    }

    /// As [`Self::flush`], but gives up when the outputs cannot be had: the caller may be the one who holds them.
    pub fn flush_in_panic(&self) {
        for _ in 0..PANIC_TRIES {
            if self.shared.try_flush() {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.shared.pending().ended = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.shared.flush();
    }
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn flush(&self) {
        let mut outputs = self.outputs.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody who logs waits for the disk: the lanes are free again before the write.
        let bundles = outputs.take(&mut self.pending());
        outputs.write(bundles);
    }

    fn try_flush(&self) -> bool {
        let (Some(mut outputs), Some(mut pending)) =
            (free(self.outputs.try_lock()), free(self.pending.try_lock()))
        else {
            return false;
        };
        let bundles = outputs.take(&mut pending);
        drop(pending);
        outputs.write(bundles);
        true
    }

    /// The writing thread. Sleeps without a beat while nothing is logged.
    fn work(&self) {
        loop {
            let asleep = |pending: &mut Pending| {
                let sleeps = pending.is_empty() && !pending.ended;
                if sleeps {
                    pending.writer = Writer::Asleep;
                }
                sleeps
            };
            let mut pending = self.pending();
            pending.writer = Writer::Gathers;
            let pending = self.wake.wait_while(pending, asleep);
            let pending = pending.unwrap_or_else(PoisonError::into_inner);
            let gathers = |pending: &mut Pending| pending.writer == Writer::Gathers && !pending.ended;
            let waited = self.wake.wait_timeout_while(pending, GATHER, gathers);
            let (mut pending, _) = waited.unwrap_or_else(PoisonError::into_inner);
            pending.writer = Writer::Writes;
            let ended = pending.ended;
            drop(pending);
            self.flush();
            if ended {
                return;
            }
        }
    }
}

fn free<T>(tried: Result<T, TryLockError<T>>) -> Option<T> {
    match tried {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}
