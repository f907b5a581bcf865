//! Starting a job: from the server's order to the program's first instruction.
//!
//! The order is: tree, group, launcher, reaper table, walls, the decision whether they suffice, go. The table knows the
//! job before anything of the program runs.
//! Read next: [`super::Supervisor`].

use super::outbox::Outbox;
use super::output::{Output, Pipe, Stream};
use super::watch::Watch;
use super::{Phase, Supervisor};
use crate::job::cgroup::Cgroup;
use crate::job::event::{Event, Started};
use crate::job::limits::{HANDSHAKE, PLAN_BYTES};
use crate::job::plan::{Built, Entrance, GO, MARKER, Message, Order, Plan};
use crate::job::reaper::{Entry, Record};
use crate::job::wall::{Standing, Wall, lacking};
use crate::process::piped::{self, Launcher};
use crate::process::{oom, start_time, tree};
use rustix::fs::OFlags;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Child;

/// A job that has not begun, and what the server is told.
pub(super) struct NotBegun {
    out: Option<Outbox>,
    message: Message,
}

impl NotBegun {
    pub(super) fn tell(self) {
        let Some(mut out) = self.out else { return };
        out.push(&self.message);
        while !out.is_empty() {
            out.flush();
            out.wait();
        }
    }
}

fn failed(tried: impl Into<String>, why: impl std::fmt::Display) -> Message {
    Message::Failed { tried: tried.into(), why: why.to_string() }
}

pub(super) fn start() -> Result<Supervisor, NotBegun> {
    let out = own(io::stdout().as_fd()).and_then(|file| nonblocking(&file).map(|()| file));
    let mut out = out.ok().map(Outbox::new);
    match begin(&mut out) {
        Ok(supervisor) => Ok(supervisor),
        Err(message) => Err(NotBegun { out, message }),
    }
}

fn begin(out: &mut Option<Outbox>) -> Result<Supervisor, Message> {
    // A session of our own: who interrupts the server at its terminal does not interrupt us.
    let _ = rustix::process::setsid();
    let control = own(io::stdin().as_fd()).map_err(|error| failed("open the pipe from the server", error))?;
    let order = read_order(&control).map_err(|error| failed("read the order of the server", error))?;
    nonblocking(&control).map_err(|error| failed("open the pipe from the server", error))?;
    let launcher = order.launcher();
    let plan = order.plan;
    let own_pid = std::process::id();
    let subreaper = rustix::process::set_child_subreaper(rustix::process::Pid::from_raw(1));
    let mut walls = vec![Wall::Subreaper.built(subreaper)];
    let cgroup = group(&plan, &mut walls);
    let machine = oom::machine();
    let entering = Entering::start(&plan, &launcher, cgroup.as_ref());
    let built = entering.and_then(|entering| {
        watched(own_pid, &mut walls);
        entering.enter(&plan, &mut walls)
    });
    let (child, entry, marker) = match built {
        Ok(built) => built,
        Err(message) => {
            cgroup.into_iter().for_each(Cgroup::remove);
            return Err(message);
        }
    };
    let mut watch = Watch::new(&plan);
    watch.begin();
    let pid = child.id();
    let pipes = pipes(child).map_err(|error| failed("open the output of the program", error))?;
    let mut out = out.take().ok_or_else(|| failed("open the pipe to the server", "it is closed"))?;
    let started = Started { pid, pgid: pid, supervisor_pid: own_pid, marker, walls: walls.clone() };
    out.push(&Message::Event { event: Event::Started(started) });
    Ok(Supervisor {
        output: Output::new(plan.limits.output_bytes),
        plan,
        walls,
        control: Some(control),
        out,
        pipes,
        watch,
        cgroup,
        entry,
        machine_oom_kills: machine,
        own_pid,
        pid,
        ended: None,
        stop: None,
        phase: Phase::Running,
        leftovers: 0,
    })
}

/// Byte by byte up to the line's end: what follows belongs to the loop.
fn read_order(mut control: &File) -> io::Result<Order> {
    let mut line = Vec::new();
    let mut byte = [0];
    while control.read(&mut byte)? == 1 && byte != *b"\n" {
        line.push(byte[0]);
        if line.len() as u64 > PLAN_BYTES {
            return Err(io::Error::other("it is longer than a plan may be"));
        }
    }
    Ok(serde_json::from_slice(&line)?)
}

fn group(plan: &Plan, walls: &mut Vec<Standing>) -> Option<Cgroup> {
    let made = match &plan.cgroup_root {
        Some(root) => Cgroup::create(root, &plan.id, &plan.limits),
        None => Err("no cgroup v2 folder was given in which groups may be made".to_owned()),
    };
    match made {
        Ok(cgroup) => {
            walls.extend([Wall::CgroupMemory.live(), Wall::CgroupTasks.live()]);
            Some(cgroup)
        }
        Err(why) => {
            walls.extend([Wall::CgroupMemory.missing(&why), Wall::CgroupTasks.missing(&why)]);
            None
        }
    }
}

/// Our own watches work where `/proc` shows us our child.
fn watched(own_pid: u32, walls: &mut Vec<Standing>) {
    let seen = !tree::below(own_pid).is_empty();
    let state = || if seen { Ok(()) } else { Err("/proc does not show the processes of the job") };
    let watches = [Wall::MemoryWatch, Wall::TaskWatch, Wall::CpuWatch];
    walls.extend(watches.map(|wall| wall.built(state())));
    walls.push(Wall::DiskWatch.live());
}

/// A launcher on its way in.
struct Entering {
    child: Child,
    line: UnixStream,
    entry: Entry,
    marker: String,
}

impl Entering {
    fn start(plan: &Plan, launcher: &Launcher, cgroup: Option<&Cgroup>) -> Result<Self, Message> {
        let tried = "start the launcher";
        let (line, theirs) = UnixStream::pair().map_err(|error| failed(tried, error))?;
        line.set_read_timeout(Some(HANDSHAKE.duration())).map_err(|error| failed(tried, error))?;
        let child = piped::launcher(launcher, OwnedFd::from(theirs)).map_err(|error| failed(tried, error))?;
        let supervisor = std::process::id();
        let since = |pid| start_time(pid).ok_or_else(|| failed("find a process in /proc", pid));
        let supervisor_start = since(supervisor)?;
        // Unique in this boot: no two processes have both numbers.
        let marker = format!("{MARKER}={}.{supervisor}.{supervisor_start}", plan.id);
        let record = Record {
            job: plan.id.clone(),
            boot: crate::job::reaper::boot(),
            supervisor,
            supervisor_start,
            pid: child.id(),
            pgid: child.id(),
            start: since(child.id())?,
            marker: marker.clone(),
            escaped: Vec::new(),
        };
        let entry =
            Entry::write(&plan.table, record).map_err(|error| failed("write the reaper table", error))?;
        let entering = Self { child, line, entry, marker };
        if let Some(cgroup) = cgroup
            && let Err(error) = cgroup.add(entering.child.id())
        {
            return Err(entering.abandon(failed("move the job into its cgroup", error)));
        }
        Ok(entering)
    }

    fn enter(mut self, plan: &Plan, walls: &mut Vec<Standing>) -> Result<(Child, Entry, String), Message> {
        let built = match self.build(plan) {
            Ok(built) => built,
            Err(error) => return Err(self.abandon(failed("build the walls of the job", error))),
        };
        walls.extend(built.walls);
        if let Some((wall, why)) = lacking(&plan.required, walls) {
            return Err(self.abandon(Message::Refused { wall, why }));
        }
        match self.go() {
            Ok(None) => Ok((self.child, self.entry, self.marker)),
            Ok(Some(why)) => {
                let tried = format!("run {} in {}", plan.program.display(), plan.working_folder.display());
                Err(self.abandon(failed(tried, why)))
            }
            Err(error) => Err(self.abandon(failed("let the program begin", error))),
        }
    }

    fn build(&mut self, plan: &Plan) -> io::Result<Built> {
        let supervisor = std::process::id();
        let entrance = Entrance { plan: plan.clone(), marker: self.marker.clone(), supervisor };
        let mut line = serde_json::to_string(&entrance)?;
        line.push('\n');
        self.line.write_all(line.as_bytes())?;
        let mut answer = String::new();
        BufReader::new((&self.line).take(PLAN_BYTES)).read_line(&mut answer)?;
        if answer.is_empty() {
            return Err(io::Error::other("the launcher ended without an answer"));
        }
        Ok(serde_json::from_str(&answer)?)
    }

    /// Lets it go. The line closes when the program runs; what comes before is why it does not.
    fn go(&mut self) -> io::Result<Option<String>> {
        self.line.write_all(&[GO])?;
        let mut why = String::new();
        (&self.line).take(PLAN_BYTES).read_to_string(&mut why)?;
        Ok(Some(why).filter(|why| !why.is_empty()))
    }

    fn abandon(mut self, message: Message) -> Message {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.entry.remove();
        message
    }
}

fn pipes(child: Child) -> io::Result<[Pipe; 2]> {
    let missing = || io::Error::other("it has none");
    let stdout = File::from(OwnedFd::from(child.stdout.ok_or_else(missing)?));
    let stderr = File::from(OwnedFd::from(child.stderr.ok_or_else(missing)?));
    nonblocking(&stdout)?;
    nonblocking(&stderr)?;
    Ok([Pipe::new(Stream::Stdout, stdout), Pipe::new(Stream::Stderr, stderr)])
}

fn own(fd: std::os::fd::BorrowedFd<'_>) -> io::Result<File> {
    fd.try_clone_to_owned().map(File::from)
}

fn nonblocking(file: &File) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(file)?;
    Ok(rustix::fs::fcntl_setfl(file, flags | OFlags::NONBLOCK)?)
}
