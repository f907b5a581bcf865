//! Jobs: programs run under limits, watched, and ended as a whole.
//!
//! ```text
//! server ── supervisor ── program ── its descendants
//!             one thread,   launcher until the walls stand,
//!             one a job     then the program itself
//! ```
//!
//! Supervisor and launcher are this binary, called again ([`launcher_main`]). Guarantees: the program is an argument
//! list and never a shell string; nothing of it runs before its walls stand and suffice; every process of it ends with
//! it, with a cancellation, with its limits, or with the server; a verdict names the cause with its evidence; neither
//! memory nor disk grows with its output.
//! Leaves to others: which jobs run when (`hale-engine`), what its output means.
//! Everything is synchronous: a job has one thread here, which hands its events to a [`Sink`].
//! Read next: [`spec`], [`wall`], [`supervise`].

pub mod spec;
pub mod wall;
pub mod event;
pub(crate) mod plan;
pub mod limits;
pub mod cgroup;
pub mod reaper;
pub mod results;
mod supervise;
mod enter;

use crate::process::piped::{self, Launcher};
use event::{Ended, Event, Output, Started};
use hale_core::kill::{End, Facts, classify};
use hale_core::time::Millis;
use limits::WAITING_EVENTS;
use plan::{CANCEL, Message, Order, Plan};
use reaper::Reaper;
use spec::JobSpec;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Instant;
use wall::{Standing, Wall};

/// The longest line from a supervisor: one line of output with every byte escaped, or the last message.
const MESSAGE_BYTES: u64 = 1 << 20;

/// Where events go. It may wait: then the job's output waits too, and the job with it; its limits go on.
pub type Sink = Box<dyn FnMut(Event) + Send>;

/// A sink into a bounded channel. When its receiver is dropped, events are thrown away.
pub fn channel() -> (Sink, Receiver<Event>) {
    let (tx, rx) = sync_channel(WAITING_EVENTS);
    let sink = move |event| {
        let _ = tx.send(event);
    };
    (Box::new(sink), rx)
}

/// Why a job did not start. Nothing of its program has run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Spec(#[from] spec::Error),
    #[error("start job {job}: its policy requires the wall {wall}, which is not live: {why}")]
    Refused { job: String, wall: Wall, why: String },
    #[error("start job {job}: could not {tried}: {why}")]
    Failed { job: String, tried: String, why: String },
    #[error("start the supervisor of job {job} ({})", launcher.program.display())]
    Supervisor {
        job: String,
        launcher: Launcher,
        #[source]
        source: io::Error,
    },
}

/// What the launcher's subcommand runs, with the arguments behind it. Returns the exit code.
///
/// Call it first thing, while the process has one thread and no state.
pub fn launcher_main(args: &[OsString]) -> i32 {
    match args.first().and_then(|stage| stage.to_str()) {
        Some("supervise") => supervise::main(),
        Some("enter") => enter::main(),
        _ => 2,
    }
}

/// A job that runs. Dropping it kills the job.
#[derive(Debug)]
pub struct Job {
    started: Started,
    control: Arc<Control>,
    reader: JoinHandle<Ended>,
}

/// The pipe to the supervisor; when it closes, the job is killed.
#[derive(Debug)]
struct Control(Mutex<Option<ChildStdin>>);

/// Cancels a job from anywhere. Does not keep it alive.
#[derive(Clone, Debug)]
pub struct Canceller(Weak<Control>);

impl Job {
    /// Checks the job, starts it and waits until it runs, which takes some milliseconds.
    ///
    /// # Errors
    /// When it cannot be, a required wall is not live, or it cannot be started.
    pub fn start(spec: &JobSpec, sink: Sink) -> Result<Self, Error> {
        let plan = spec.check()?;
        let failed =
            |source| Error::Supervisor { job: spec.id.clone(), launcher: spec.launcher.clone(), source };
        let order = order(&plan, &spec.launcher).map_err(failed)?;
        let mut child = piped::supervisor(&spec.launcher).map_err(failed)?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (mut stdin, stdout) = pipes.ok_or_else(|| failed(io::Error::other("it has no pipes")))?;
        // A supervisor that ends at once says more by its silence below than by this error.
        let _ = stdin.write_all(order.as_bytes());
        let (tx, rx) = sync_channel(1);
        let reader = Reader { plan, child, walls: Vec::new(), since: Instant::now(), sink, first: Some(tx) };
        let named = std::thread::Builder::new().name(format!("job-{}", spec.id));
        let reader = named.spawn(move || reader.run(stdout)).map_err(failed)?;
        match rx.recv() {
            Ok(Ok(started)) => {
                let control = Arc::new(Control(Mutex::new(Some(stdin))));
                Ok(Self { started, control, reader })
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(failed(io::Error::other(
                "it ended without a word; the launcher must lead to hale_sandbox::job::launcher_main",
            ))),
        }
    }

    pub fn started(&self) -> &Started {
        &self.started
    }

    pub fn canceller(&self) -> Canceller {
        Canceller(Arc::downgrade(&self.control))
    }

    /// SIGTERM to the whole tree, and SIGKILL after the grace. Returns at once.
    pub fn cancel(&self) {
        self.control.cancel();
    }

    /// Waits until nothing of the job is left, and tells how it ended. The sink gets the same as its last event.
    pub fn wait(self) -> Ended {
        let ended = self.reader.join();
        drop(self.control);
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Canceller {
    /// As [`Job::cancel`]; nothing happens once the job has ended.
    pub fn cancel(&self) {
        if let Some(control) = self.0.upgrade() {
            control.cancel();
        }
    }
}

impl Control {
    fn cancel(&self) {
        let mut pipe = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One byte fits always; a closed pipe means that there is nothing to cancel.
        if let Some(pipe) = pipe.as_mut() {
            let _ = pipe.write_all(&[CANCEL]);
        }
    }
}

fn order(plan: &Plan, launcher: &Launcher) -> io::Result<String> {
    let utf8 = |arg: &OsString| arg.to_str().map(str::to_owned);
    let args = launcher.args.iter().map(utf8).collect::<Option<Vec<String>>>();
    let launcher_args = args.ok_or_else(|| io::Error::other("an argument of the launcher is not UTF-8"))?;
    let order = Order { plan: plan.clone(), launcher_program: launcher.program.clone(), launcher_args };
    let mut line = serde_json::to_string(&order)?;
    line.push('\n');
    Ok(line)
}

/// The thread of one job.
struct Reader {
    plan: Plan,
    child: Child,
    walls: Vec<Standing>,
    since: Instant,
    sink: Sink,
    first: Option<SyncSender<Result<Started, Error>>>,
}

impl Reader {
    fn run(mut self, stdout: ChildStdout) -> Ended {
        let mut lines = BufReader::new(stdout);
        let mut last = None;
        let mut line = Vec::new();
        while let Ok(1..) = (&mut lines).take(MESSAGE_BYTES).read_until(b'\n', &mut line) {
            let message = serde_json::from_slice(&line);
            line.clear();
            match message {
                Ok(Message::Event { event: Event::Ended(ended) }) => last = Some(*ended),
                Ok(message) => self.hear(message),
                // Nothing else writes there: the supervisor was killed in the middle of a line.
                Err(_) => break,
            }
        }
        drop(lines);
        let ended = last.unwrap_or_else(|| self.lost());
        let _ = self.child.wait();
        if self.first.is_none() {
            (self.sink)(Event::Ended(Box::new(ended.clone())));
        }
        ended
    }

    fn hear(&mut self, message: Message) {
        let job = || self.plan.id.clone();
        let first = match message {
            Message::Event { event } => {
                if let Event::Started(started) = &event {
                    self.walls.clone_from(&started.walls);
                    if let Some(first) = self.first.take() {
                        let _ = first.send(Ok(started.clone()));
                    }
                }
                (self.sink)(event);
                return;
            }
            Message::Refused { wall, why } => Error::Refused { job: job(), wall, why },
            Message::Failed { tried, why } => Error::Failed { job: job(), tried, why },
        };
        if let Some(waiting) = &self.first {
            let _ = waiting.send(Err(first));
        }
    }

    /// The supervisor was killed. The program has died with it; the rest is swept here.
    fn lost(&mut self) -> Ended {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let swept = Reaper::sweep_one(&self.plan.table, &self.plan.id).ok().flatten();
        let facts = Facts {
            end: End::Unseen,
            raw_status: None,
            stop: None,
            cgroup_oom_kills: None,
            machine_oom_kills: None,
            peak_rss_bytes: 0,
            peak_data_bytes: 0,
            peak_tasks: 0,
            cpu: Millis(0),
            wall: Millis::from(self.since.elapsed()),
            caps: self.plan.caps(),
            stderr_tail: Vec::new(),
        };
        Ended {
            verdict: classify(&facts),
            facts,
            walls: self.walls.clone(),
            output: Output::default(),
            leftovers: swept.as_ref().map_or(0, |reaped| reaped.killed),
            survivors: swept.as_ref().map_or(0, |reaped| reaped.survivors),
        }
    }
}
