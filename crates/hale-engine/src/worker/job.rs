//! A run of a `job` pack: one journaled step that starts a program behind walls and waits for its end.
//!
//! Guarantees: a stopped run is over only when nothing of its program is left; what the program says is told as it
//! comes; the stages that it announces (`STAGE name`) are in the journal when the next one begins; the step's result
//! has its walls, peak memory, CPU time and results, a failure has the graded verdict with its evidence.
//! Leaves to others: the folders ([`super::jobs`]), the walls and the verdict (`hale-sandbox`), the cause's name
//! (`hale_core::kill::cause`).
//! Read next: [`super::telling`], [`super::results`].

use super::host::{Broken, Done, Halt, Host};
use super::jobs::{Jobs, Place};
use super::results;
use super::telling::{LINES_MAX, Loud, Stream, Told, What};
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::kill::cause::{self, Told as End};
use hale_core::kill::{Kind, meaning};
use hale_core::pack::Job as Spec;
use hale_core::pack::job::{Command, Places};
use hale_core::retry::RetryClass;
use hale_core::run::{Dispatch, StepKind, StepSpec};
use hale_core::time::Millis;
use hale_sandbox::job::event::{Ended, Event, Line, Started, Warning};
use hale_sandbox::job::wall::{Standing, State};
use hale_sandbox::job::{self, Job};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Events between the program and the log; then its output waits, and with it the program.
const EVENTS: usize = 256;
/// Letters of an argument that the step's request shows.
const SHOWN: usize = 200;
/// Arguments that it shows.
const ARGS_SHOWN: usize = 64;

/// Runs the job to its end: `{"exit_code": 0, "results": […], …}`.
///
/// # Errors
/// [`Halt`]: it failed, was stopped, or the lease is gone.
pub async fn run(host: &Host<'_>) -> Result<Value, Halt> {
    let Some(job) = host.manifest.job.as_deref() else {
        let message = format!("run pack {}: it is a job without a program", host.manifest.name);
        return Err(Halt::failed(Failure::new(Code::E015, "pack.invalid", "worker", message)));
    };
    let input = host.input()?;
    let shown = command(job, &input, ("{work}", "{results}")).map_err(Halt::failed)?;
    let spec = StepSpec {
        index: host.next_index()?,
        kind: StepKind::Job,
        name: job.name().to_owned(),
        dispatch: if host.manifest.idempotent { Dispatch::Retry } else { Dispatch::Park },
        request: request(&shown),
    };
    let index = spec.index;
    let value = host.step_whole(spec, |attempt| Try { host, job, index, attempt }.execute(input)).await?;
    host.keep(results::named(&value));
    Ok(value)
}

fn command(job: &Spec, input: &Value, (work, results): (&str, &str)) -> Result<Command, Failure> {
    job.command(input, Places { work, results }).map_err(|missing| {
        let message = format!("make the command line of {}", job.name());
        Failure::new(Code::E002, "run.invalid_input", "worker", message).caused_by(&missing)
    })
}

/// For people: what was started, shortened.
fn request(command: &Command) -> Value {
    let short = |text: &String| match text.char_indices().nth(SHOWN) {
        None => text.clone(),
        Some((at, _)) => format!("{}…", &text[..at]),
    };
    json!({
        "program": command.program,
        "args": command.args.iter().take(ARGS_SHOWN).map(short).collect::<Vec<_>>(),
        "files": command.files.iter().map(|(name, text)| json!({ "name": name, "bytes": text.len() })).collect::<Vec<_>>(),
    })
}

/// One try of the step.
#[derive(Clone, Copy)]
struct Try<'a> {
    host: &'a Host<'a>,
    job: &'a Spec,
    index: u32,
    attempt: u32,
}

impl Try<'_> {
    async fn execute(self, input: Value) -> Result<Done, Broken> {
        let host = self.host;
        let Some(jobs) = host.worker.jobs.clone() else {
            let message = format!("run {}: this worker takes no jobs", self.job.name());
            return Err(Failure::new(Code::E013, "job.unavailable", "worker", message).into());
        };
        let (place, running, events) = self.start(&jobs, input).await?;
        let mut watch = Watch::new(self);
        let ended = watch.follow(running, events).await?;
        self.log_end(&ended);
        self.tell(What::Over);
        let outcome = self.judged(&ended, (&mut watch, &place)).await;
        let done = tokio::task::spawn_blocking(move || match outcome {
            Err(Broken::Failed(mut failure)) => {
                let kept = jobs.keep(&place);
                failure.chain.push(format!("its folder is kept for an hour: {}", kept.display()));
                Err(Broken::Failed(failure))
            }
            outcome => {
                jobs.remove(&place);
                outcome
            }
        });
        done.await.map_err(|error| Broken::Failed(Box::new(broken("clear up after the job", &error))))?
    }

    /// Makes its folder and starts it.
    async fn start(
        self,
        jobs: &Arc<Jobs>,
        input: Value,
    ) -> Result<(Place, Job, mpsc::Receiver<Event>), Broken> {
        let (jobs, manifest) = (jobs.clone(), self.host.manifest.clone());
        let allow = self.host.worker.files_allow.clone();
        let run = &self.host.run;
        let id = format!("{}-{}-{}", run.id, self.attempt, run.epoch);
        let left = Millis::from(self.host.deadline.saturating_duration_since(Instant::now()));
        let (sink, events) = mpsc::channel(EVENTS);
        let (switches, of) = (self.host.worker.switches.clone(), run.clone());
        let started = tokio::task::spawn_blocking(move || {
            let Some(job) = manifest.job.as_deref() else {
                return Err(unmade("find the job's keys", &"none"));
            };
            let place = jobs.place(id, job);
            let results = place.results.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
            let command = command(job, &input, (&place.work.display().to_string(), &results))?;
            let made = jobs
                .prepare(&place, (job, &command, &input.to_string()))
                .map_err(|error| unmade("make its folder", &error))
                .and_then(|()| jobs.spec((&manifest, job), (&place, command), (&allow, left)));
            let made = made.and_then(|spec| {
                // Making the folder took its time; nothing has run yet, so another try loses nothing.
                switches.still_on(&of)?;
                let hear = move |event| drop(sink.blocking_send(event));
                Job::start(&spec, Box::new(hear)).map_err(|error| refusal(&error))
            });
            match made {
                Ok(running) => Ok((place, running)),
                Err(failure) => {
                    jobs.remove(&place);
                    Err(failure)
                }
            }
        });
        let joined = started.await.map_err(|error| broken("start the job", &error));
        let (place, running) = joined.and_then(|started| started)?;
        self.tell(What::Begun { name: self.job.name().into() });
        let Started { pid, walls, .. } = running.started();
        self.log(
            Loud::Info,
            ("job_started", format!("Job started: {} (pid {pid}); {}", self.job.name(), stood(walls))),
        );
        Ok((place, running, events))
    }

    /// What the end means for the run.
    async fn judged(self, ended: &Ended, (watch, place): (&mut Watch<'_>, &Place)) -> Result<Done, Broken> {
        if let Some(halt) = watch.halt.take() {
            return Err(Broken::Halt(halt));
        }
        if self.host.stop.is_cancelled() {
            return Err(Broken::Halt(Halt::Stopped));
        }
        let name = self.job.name();
        let told = End {
            program: name,
            verdict: &ended.verdict,
            facts: &ended.facts,
            exits: &self.job.exits,
            last_word: &watch.last_word,
        };
        let failure = match watch.silent_for {
            Some(silence) => Some(hang(name, silence, ended)),
            None => cause::failure(told),
        };
        if let Some(failure) = failure {
            return Err(self.classed(with_walls(failure, ended)).into());
        }
        let kept = results::keep(self.host, place).await.map_err(|failure| self.classed(failure))?;
        let missing = self.job.expects.iter().find(|name| !kept.has(name));
        if let Some(missing) = missing {
            let message = format!(
                "run {name}: it ended with exit code 0 but left no {missing} in its results folder{}",
                kept.told()
            );
            let failure = Failure::new(Code::E016, "job.no_result", &format!("job:{name}"), message);
            return Err(self.classed(with_walls(failure, ended)).into());
        }
        watch.all_stages().await.map_err(Broken::Halt)?;
        let value = summary(name, ended, kept);
        Ok(Done { value, waiting_on: format!("job:{name}"), usage: None, is_error: false })
    }

    /// Another try may help only where the pack says that the job may be repeated, and how often; never against a limit.
    fn classed(self, failure: Failure) -> Failure {
        let repeatable = self.host.manifest.idempotent && self.host.manifest.retry.is_some();
        let worth = !matches!(failure.code, Code::E004 | Code::E013 | Code::E002);
        if repeatable && worth { failure.retried_as(RetryClass::Tool) } else { failure }
    }

    fn log_end(self, ended: &Ended) {
        let facts = &ended.facts;
        if matches!(cause_of(ended), Some("oom")) {
            self.log(Loud::Error, ("oom_kill", "Killed by OOM: memory limit exceeded".to_owned()));
        }
        let level = if ended.verdict.kind == (Kind::Exit { code: 0 }) { Loud::Info } else { Loud::Warn };
        let left = if ended.leftovers > 0 {
            format!(", {} processes that it left behind were ended", ended.leftovers)
        } else {
            String::new()
        };
        let text = format!(
            "Job ended: {}: {}; peak memory {} of {} bytes, CPU {}, {}{left}",
            self.job.name(),
            ended.verdict.says,
            facts.peak_rss_bytes,
            facts.caps.memory_bytes,
            facts.cpu,
            facts.wall
        );
        self.log(level, ("job_ended", text));
    }

    fn log(self, level: Loud, (event, text): (&str, String)) {
        self.tell(What::Log { level, event: event.to_owned(), text });
    }

    fn tell(self, what: What) {
        let run = &self.host.run;
        (self.host.worker.tell)(Told {
            run: run.id,
            pack: run.pack.name.clone(),
            correlation: run.correlation.clone(),
            step: self.index,
            attempt: self.attempt,
            what,
        });
    }
}

/// Listens to one program until nothing of it is left.
struct Watch<'a> {
    this: Try<'a>,
    lines: u64,
    last_word: String,
    /// Stages that are complete, in the order of the pack's `steps`.
    stages: u32,
    /// Why the run cannot go on whatever the program does.
    halt: Option<Halt>,
    /// It was ended because it said nothing for this long.
    silent_for: Option<Millis>,
}

impl<'a> Watch<'a> {
    fn new(this: Try<'a>) -> Self {
        Self { this, lines: 0, last_word: String::new(), stages: 0, halt: None, silent_for: None }
    }

    async fn follow(&mut self, job: Job, mut events: mpsc::Receiver<Event>) -> Result<Ended, Broken> {
        let silence = self.this.job.limits.silence;
        let (mut heard, mut told_to_end) = (Instant::now(), false);
        loop {
            let quiet = silence.map(|silence| heard + silence.duration());
            let event = tokio::select! {
                event = events.recv() => event,
                () = self.this.host.stop.cancelled(), if !told_to_end => {
                    told_to_end = true;
                    job.cancel();
                    continue;
                }
                () = until(quiet), if !told_to_end => {
                    (told_to_end, self.silent_for) = (true, silence);
                    job.cancel();
                    continue;
                }
            };
            match event {
                None | Some(Event::Ended(_)) => break,
                Some(event) => {
                    if matches!(event, Event::Stdout(_) | Event::Stderr(_)) {
                        heard = Instant::now();
                    }
                    if let Err(halt) = self.hear(event).await {
                        self.halt = Some(halt);
                        told_to_end = true;
                        job.cancel();
                    }
                }
            }
        }
        let ended = tokio::task::spawn_blocking(move || job.wait()).await;
        if self.lines > LINES_MAX {
            let more = self.lines - LINES_MAX;
            self.this
                .log(Loud::Info, ("job_output_cut", format!("{more} more lines of output are not shown")));
        }
        ended.map_err(|error| broken("wait for the job", &error).into())
    }

    async fn hear(&mut self, event: Event) -> Result<(), Halt> {
        match event {
            Event::Stdout(line) => self.line(Stream::Stdout, line).await,
            Event::Stderr(line) => {
                if !line.text.trim().is_empty() {
                    self.last_word.clone_from(&line.text);
                }
                self.line(Stream::Stderr, line).await
            }
            Event::Warning(warning) => {
                self.warn(warning);
                Ok(())
            }
            Event::Started(_) | Event::Ended(_) => Ok(()),
        }
    }

    async fn line(&mut self, stream: Stream, line: Line) -> Result<(), Halt> {
        self.lines += 1;
        let stage = line.text.strip_prefix("STAGE ").map(|stage| stage.trim().to_owned());
        if self.lines <= LINES_MAX {
            self.this.tell(What::Line { stream, text: line.text });
        }
        match stage {
            Some(stage) => self.stage(&stage).await,
            None => Ok(()),
        }
    }

    fn warn(&self, warning: Warning) {
        let (event, text) = match warning {
            Warning::Memory { percent, .. } => ("memory_warning", format!("Memory usage at {percent}%")),
            // The run's own limit is the engine's to tell; this one is the program's.
            Warning::Wall { passed, limit } if self.this.job.limits.wall.is_some() => {
                ("time_warning", format!("Execution time: {}s of {}s limit", passed.0 / 1000, limit.0 / 1000))
            }
            Warning::Wall { .. } => return,
            Warning::Output { limit_bytes } => (
                "output_warning",
                format!("Output limit of {limit_bytes} bytes reached: more is counted and thrown away"),
            ),
        };
        self.this.log(Loud::Warn, (event, text));
    }

    /// It says where it stands; a stage of the pack ends those before it.
    async fn stage(&mut self, text: &str) -> Result<(), Halt> {
        self.this.tell(What::Note { text: text.to_owned() });
        let name = text.split_ascii_whitespace().next().unwrap_or_default();
        let steps = &self.this.host.manifest.steps;
        match steps.iter().position(|step| step == name) {
            Some(place) => self.stages_to(u32::try_from(place).unwrap_or(u32::MAX)).await,
            None => Ok(()),
        }
    }

    async fn all_stages(&mut self) -> Result<(), Halt> {
        // Goes with the step's end, in one commit.
        self.note_stages(self.this.host.manifest.steps.len() as u32);
        Ok(())
    }

    async fn stages_to(&mut self, complete: u32) -> Result<(), Halt> {
        if self.note_stages(complete) { self.this.host.write(Vec::new()).await } else { Ok(()) }
    }

    fn note_stages(&mut self, complete: u32) -> bool {
        let (host, before) = (self.this.host, self.stages);
        for (n, name) in (1u32..).zip(&host.manifest.steps).take(complete as usize).skip(before as usize) {
            host.stage_completed(n, host.manifest.steps.len() as u32, name);
            self.stages = n;
        }
        self.stages > before
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// The last part of its cause, where hale itself measured it.
fn cause_of(ended: &Ended) -> Option<&'static str> {
    use hale_core::kill::{Bound, Grade};
    match ended.verdict.kind {
        Kind::OomProved | Kind::OomByUs => Some("oom"),
        Kind::Limit { bound: Bound::Memory } if ended.verdict.grade == Grade::Proved => Some("oom"),
        _ => None,
    }
}

fn hang(name: &str, silence: Millis, ended: &Ended) -> Failure {
    let message = format!(
        "run {name}: it hangs: it said nothing for {silence} (limits.silence) and was ended with all its processes"
    );
    let mut failure = Failure::new(Code::E003, "job.hang", &format!("job:{name}"), message);
    failure.chain.extend(ended.verdict.evidence.iter().cloned());
    failure
}

fn with_walls(mut failure: Failure, ended: &Ended) -> Failure {
    failure.chain.push(stood(&ended.walls));
    failure
}

/// The effective set in one line.
fn stood(walls: &[Standing]) -> String {
    let live = walls.iter().filter(|standing| standing.state == State::Live).count();
    let missing = walls.iter().filter_map(|standing| match &standing.state {
        State::NotAvailable { why } => Some(format!("{} ({why})", standing.wall)),
        State::Live | State::NotAsked => None,
    });
    let missing = missing.collect::<Vec<_>>();
    let missing = if missing.is_empty() { "none".to_owned() } else { missing.join(", ") };
    format!("walls: {live} live, not available: {missing}")
}

/// The step's result, and the run's output.
fn summary(name: &str, ended: &Ended, kept: results::Kept) -> Value {
    let facts = &ended.facts;
    let exit_code = match facts.end {
        hale_core::kill::End::Exited { code } => Some(code),
        _ => None,
    };
    let of = |wanted: fn(&State) -> bool| {
        let walls = ended.walls.iter().filter(|standing| wanted(&standing.state));
        walls.map(|standing| standing.wall.name()).collect::<Vec<_>>()
    };
    let why = ended.walls.iter().filter_map(|standing| match &standing.state {
        State::NotAvailable { why } => Some((standing.wall.name().to_owned(), json!(why))),
        _ => None,
    });
    json!({
        "program": name,
        "exit_code": exit_code,
        "means": exit_code.map(meaning::of_exit),
        "took_ms": facts.wall.0,
        "cpu_ms": facts.cpu.0,
        "memory": { "peak_bytes": facts.peak_rss_bytes, "limit_bytes": facts.caps.memory_bytes },
        "processes": { "peak": facts.peak_tasks, "limit": facts.caps.tasks, "left_behind": ended.leftovers },
        "output": ended.output,
        "walls": {
            "live": of(|state| *state == State::Live),
            "not_available": why.collect::<serde_json::Map<_, _>>(),
            "not_asked": of(|state| *state == State::NotAsked),
        },
        "results": kept.artifacts,
        "refused": kept.refused,
    })
}

/// Why the sandbox did not start it.
fn refusal(error: &job::Error) -> Failure {
    use hale_sandbox::job::spec;
    let (code, cause) = match error {
        job::Error::Spec(spec::Error::ProgramMissing { .. }) => (Code::E013, "job.program_missing"),
        job::Error::Spec(spec::Error::NotExecutable { .. }) => (Code::E013, "job.not_executable"),
        job::Error::Spec(spec::Error::OutsideAllowed { .. }) => (Code::E013, "job.outside_allowed"),
        job::Error::Spec(_) | job::Error::Refused { .. } => (Code::E013, "job.refused"),
        job::Error::Failed { .. } | job::Error::Supervisor { .. } => (Code::E016, "job.not_started"),
    };
    let mut failure = Failure::new(code, cause, "worker", error.to_string());
    let source = std::error::Error::source(error);
    if let Some(source) =
        source.filter(|source| !matches!(error, job::Error::Spec(_)) || source.source().is_some())
    {
        failure = failure.caused_by(source);
    }
    if cause != "job.not_started" && cause != "job.refused" {
        failure.message.push_str("; see: hale config explain jobs.allow");
    }
    failure
}

fn unmade(tried: &str, why: &dyn std::fmt::Display) -> Failure {
    Failure::new(Code::E016, "job.not_started", "worker", format!("start the job: {tried}: {why}"))
}

fn broken(tried: &str, error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::new(Code::E015, "job.worker_panicked", "worker", tried).caused_by(error)
}
