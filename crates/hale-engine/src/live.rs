//! What happens in a run as it happens: for those who watch, and for what a run is doing now.
//!
//! Nothing here is durable; a slow or late reader sees a gap and reads the journal.
//! Read next: `hale/src/http/events.rs`.

use hale_core::id::RunId;
use hale_core::run::{Record, StepKind};
use hale_core::time::Timestamp;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::broadcast;

/// Messages kept for a slow watcher; more than that and it is cut.
pub const RING: usize = 256;

/// Cells kept before those that nobody watches any more are looked for.
const CELLS: usize = 1024;

#[derive(Clone, Debug)]
pub enum Live {
    /// Lines of the journal, durable.
    Records(Arc<[Record]>),
    StepStarted {
        index: u32,
        attempt: u32,
        kind: StepKind,
        name: Arc<str>,
    },
    /// Text of a model; `offset` counts bytes within (step, attempt).
    Chunk {
        index: u32,
        attempt: u32,
        offset: u64,
        text: Arc<str>,
    },
    /// A line of a job's output.
    Line {
        index: u32,
        attempt: u32,
        stream: &'static str,
        text: Arc<str>,
    },
    /// Where the step stands, in its own words.
    Note {
        index: u32,
        attempt: u32,
        text: Arc<str>,
    },
    Ended,
}

/// The step that a run is in.
#[derive(Clone, Debug)]
pub struct Doing {
    pub kind: StepKind,
    pub name: Arc<str>,
    pub index: u32,
    pub attempt: u32,
    pub since: Timestamp,
    /// It waits for a place, because as many do the same as may.
    pub limited: bool,
    /// Where it stands, in its own words.
    pub note: Option<Arc<str>>,
}

#[derive(Debug, Default)]
struct Cell {
    watchers: Option<broadcast::Sender<Live>>,
    doing: Option<Doing>,
}

impl Cell {
    fn is_used(&self) -> bool {
        self.doing.is_some() || self.watchers.as_ref().is_some_and(|watchers| watchers.receiver_count() > 0)
    }
}

/// All live runs of this process.
#[derive(Clone, Debug, Default)]
pub struct Hub {
    cells: Arc<Mutex<HashMap<RunId, Cell>>>,
}

impl Hub {
    fn with<T>(&self, act: impl FnOnce(&mut HashMap<RunId, Cell>) -> T) -> T {
        act(&mut self.cells.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn watch(&self, run: RunId) -> broadcast::Receiver<Live> {
        self.with(|cells| {
            if cells.len() > CELLS {
                cells.retain(|_, cell| cell.is_used());
            }
            let cell = cells.entry(run).or_default();
            cell.watchers.get_or_insert_with(|| broadcast::channel(RING).0).subscribe()
        })
    }

    pub fn step(&self, run: RunId, doing: Doing) {
        self.with(|cells| {
            let cell = cells.entry(run).or_default();
            if let Some(watchers) = &cell.watchers {
                let Doing { kind, name, index, attempt, .. } = doing.clone();
                let _ = watchers.send(Live::StepStarted { index, attempt, kind, name });
            }
            cell.doing = Some(doing);
        });
    }

    /// The step that a run is in waits for a place, or has got it.
    pub fn limited(&self, run: RunId, limited: bool) {
        self.with(|cells| {
            if let Some(doing) = cells.get_mut(&run).and_then(|cell| cell.doing.as_mut()) {
                doing.limited = limited;
            }
        });
    }

    /// Where a step stands.
    pub fn note(&self, run: RunId, (index, attempt): (u32, u32), text: Arc<str>) {
        self.with(|cells| {
            let Some(cell) = cells.get_mut(&run) else { return };
            if let Some(watchers) = &cell.watchers {
                let _ = watchers.send(Live::Note { index, attempt, text: text.clone() });
            }
            if let Some(doing) = cell.doing.as_mut().filter(|doing| doing.index == index) {
                doing.note = Some(text);
            }
        });
    }

    pub fn step_over(&self, run: RunId) {
        self.with(|cells| {
            if let Some(cell) = cells.get_mut(&run) {
                cell.doing = None;
                if cell.watchers.is_none() {
                    cells.remove(&run);
                }
            }
        });
    }

    pub fn chunk(&self, run: RunId, live: impl FnOnce() -> Live) {
        self.with(|cells| {
            if let Some(watchers) = cells.get(&run).and_then(|cell| cell.watchers.as_ref()) {
                let _ = watchers.send(live());
            }
        });
    }

    /// Durable lines; the end of the run closes its cell.
    pub fn records(&self, run: RunId, records: &[Record], ended: bool) {
        self.with(|cells| {
            if let Some(watchers) = cells.get(&run).and_then(|cell| cell.watchers.as_ref()) {
                let _ = watchers.send(Live::Records(records.into()));
                if ended {
                    let _ = watchers.send(Live::Ended);
                }
            }
            if ended {
                cells.remove(&run);
            }
        });
    }

    pub fn doing(&self, run: RunId) -> Option<Doing> {
        self.with(|cells| cells.get(&run).and_then(|cell| cell.doing.clone()))
    }
}
