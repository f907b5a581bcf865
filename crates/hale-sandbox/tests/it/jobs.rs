//! Jobs: real programs that misbehave, each ended within its limits and its cause named.

mod ends;
mod limits;
mod orphans;
mod output;
mod refused;
mod results;
mod walls;

use hale_core::kill::{Bound, Kind};
use hale_core::time::Millis;
use hale_sandbox::Launcher;
use hale_sandbox::job::event::{Ended, Event, Warning};
use hale_sandbox::job::spec::{JobSpec, Limits, Network};
use hale_sandbox::job::{Job, channel};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const MIB: u64 = 1 << 20;
const STAND_IN: &str = env!("CARGO_BIN_EXE_hale-job-stand-in");

/// A place for one job: its folder and a reaper table.
pub struct Place {
    dir: TempDir,
    /// Unique on the machine: the mark of its processes.
    id: String,
}

impl Place {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let dir = TempDir::new().unwrap();
        std::fs::create_dir(dir.path().join("work")).unwrap();
        std::fs::create_dir(dir.path().join("table")).unwrap();
        let id = format!("jt-{}-{:06}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self { dir, id }
    }

    pub fn work(&self) -> PathBuf {
        self.dir.path().join("work").canonicalize().unwrap()
    }

    pub fn table(&self) -> PathBuf {
        self.dir.path().join("table")
    }

    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    /// `MARK` among the arguments becomes the id.
    pub fn spec(&self, args: &[&str]) -> JobSpec {
        let args = args.iter().map(|arg| if *arg == "MARK" { self.id.clone() } else { (*arg).to_owned() });
        JobSpec {
            id: self.id.clone(),
            program: PathBuf::from(STAND_IN),
            args: args.collect(),
            working_folder: self.work(),
            environment: Vec::new(),
            limits: Limits {
                memory_bytes: 200 * MIB,
                wall: Millis::seconds(30),
                grace: Millis(200),
                ..Limits::default()
            },
            allowed_programs: vec![PathBuf::from(STAND_IN)],
            read_only: Vec::new(),
            read_write: Vec::new(),
            network: Network::Denied,
            required: Vec::new(),
            results_folder: None,
            table: self.table(),
            cgroup_root: None,
            launcher: launcher(),
        }
    }

    /// Processes of this job: by the marker in their environment or the mark in their arguments. Zombies do not count.
    pub fn orphans(&self) -> Vec<u32> {
        let marker = format!("HALE_JOB={}.", self.id);
        let has = |file: String, text: &str| {
            let bytes = std::fs::read(file).unwrap_or_default();
            bytes.windows(text.len()).any(|window| window == text.as_bytes())
        };
        let pids = std::fs::read_dir("/proc").unwrap().flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        pids.filter(|pid| {
            has(format!("/proc/{pid}/environ"), &marker) || has(format!("/proc/{pid}/cmdline"), &self.id)
        })
        .collect()
    }

    #[track_caller]
    pub fn check_clean(&self) {
        assert_eq!(self.orphans(), Vec::<u32>::new(), "processes were left behind");
        let entries: Vec<_> = std::fs::read_dir(self.table()).unwrap().flatten().collect();
        assert!(entries.is_empty(), "the table still has {entries:?}");
    }
}

pub fn launcher() -> Launcher {
    Launcher { program: PathBuf::from(STAND_IN), args: vec!["launcher".into()] }
}

/// Runs it to its end.
#[track_caller]
pub fn run(spec: &JobSpec) -> (Ended, Vec<Event>) {
    let (sink, events) = channel();
    let job = Job::start(spec, sink).unwrap_or_else(|error| panic!("{error}"));
    let events: Vec<Event> = events.iter().collect();
    let ended = job.wait();
    assert!(matches!(events.first(), Some(Event::Started(_))), "{events:?}");
    assert_eq!(events.last(), Some(&Event::Ended(Box::new(ended.clone()))));
    (ended, events)
}

/// Starts it and waits for a line of its output.
#[track_caller]
pub fn start_until(spec: &JobSpec, line: &str) -> (Job, Receiver<Event>) {
    let (sink, events) = channel();
    let job = Job::start(spec, sink).unwrap_or_else(|error| panic!("{error}"));
    loop {
        let event = events.recv_timeout(Duration::from_secs(20)).expect("the line comes");
        if matches!(&event, Event::Stdout(said) if said.text.contains(line)) {
            return (job, events);
        }
    }
}

pub fn stdout(events: &[Event]) -> Vec<String> {
    let text = |event: &Event| match event {
        Event::Stdout(line) => Some(line.text.clone()),
        _ => None,
    };
    events.iter().filter_map(text).collect()
}

pub fn warnings(events: &[Event]) -> Vec<Warning> {
    let warning = |event: &Event| match event {
        Event::Warning(warning) => Some(*warning),
        _ => None,
    };
    events.iter().filter_map(warning).collect()
}

pub const fn limit(bound: Bound) -> Kind {
    Kind::Limit { bound }
}

#[track_caller]
pub fn check_kind(ended: &Ended, kind: Kind) {
    assert_eq!(ended.verdict.kind, kind, "{}\n{:#?}", ended.verdict, ended.verdict.evidence);
    assert_eq!(ended.survivors, 0);
}

/// Asks until it holds; the end of a stranger's process has no channel.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < give_up, "{what} did not happen");
        std::thread::yield_now();
    }
}
