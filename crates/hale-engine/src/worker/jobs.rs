//! Where jobs live on this machine: their folders, the reaper table, and what programs may run.
//!
//! Guarantees: every try has a folder of its own below the data folder, which no tool sees; it is removed when its results
//! are kept, and a failed one after [`KEPT_FOR`]; what a killed server or worker left running is ended before the first
//! job starts.
//! Leaves to others: running one ([`super::job`]), building walls (`hale-sandbox`).
//! Everything here blocks.
//! Read next: [`super::job`].

use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::limits;
use hale_core::pack::job::{Command, Job};
use hale_core::pack::{Limits, Manifest};
use hale_core::time::Millis;
use hale_sandbox::Launcher;
use hale_sandbox::grant::{Grant, Mode};
use hale_sandbox::job::reaper::{Reaped, Reaper};
use hale_sandbox::job::spec::{self, JobSpec, Network};
use hale_sandbox::job::wall::{Standing, Wall};
use hale_sandbox::job::{self, cgroup};
use hale_sandbox::process;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

/// The folder of a try that failed is kept this long, for whoever looks into it.
pub const KEPT_FOR: Duration = Duration::from_secs(3600);
/// Kept folders at most; the oldest go first.
const KEPT_MAX: usize = 20;
/// Beyond the run's limit: the engine ends the run first, and says TIMEOUT; this is for a server that is gone.
const WALL_SLACK: Millis = Millis::seconds(5);
/// Where programs without a path of their own look for others.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// What an operator says of jobs.
#[derive(Clone, Debug)]
pub struct JobsConfig {
    /// Programs, and folders of programs.
    pub allow: Vec<PathBuf>,
    /// How this program calls itself as supervisor and launcher.
    pub launcher: Launcher,
}

impl Default for JobsConfig {
    fn default() -> Self {
        Self { allow: Vec::new(), launcher: Launcher::current(&["__job-launcher"]) }
    }
}

/// Whose jobs they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The server, which holds the lock of the data folder.
    Server,
    /// A worker process, by its pid.
    Worker(u32),
}

/// The jobs of one process.
#[derive(Debug)]
pub struct Jobs {
    config: JobsConfig,
    /// The data folder: nothing that holds it or lies in it is granted.
    data: PathBuf,
    own: PathBuf,
    cgroup: Result<PathBuf, String>,
    walls: OnceLock<Vec<Standing>>,
}

/// The folders of one try.
#[derive(Clone, Debug)]
pub struct Place {
    pub id: String,
    base: PathBuf,
    pub work: PathBuf,
    pub results: Option<PathBuf>,
}

impl Jobs {
    /// Makes the folders and ends what former owners left behind.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(data: &Path, owner: Owner, config: JobsConfig) -> std::io::Result<(Self, Vec<Reaped>)> {
        let data = data.canonicalize()?;
        let root = data.join("jobs");
        make(&root)?;
        let own = root.join(match owner {
            Owner::Server => "server".to_owned(),
            Owner::Worker(pid) => format!("w-{pid}-{}", process::start_time(pid).unwrap_or(0)),
        });
        let mut reaped = Vec::new();
        if owner == Owner::Server {
            reaped.extend(swept(&own));
        }
        for folder in children(&root) {
            if is_left(&folder) {
                reaped.extend(swept(&folder));
                // A table that still names survivors stays for the next sweep.
                if children(&folder.join("table")).is_empty() {
                    let _ = std::fs::remove_dir_all(&folder);
                }
            }
        }
        for folder in ["table", "work", "probe"] {
            make(&own.join(folder))?;
        }
        let jobs = Self { config, data, own, cgroup: cgroup::detect(), walls: OnceLock::new() };
        jobs.tidy();
        Ok((jobs, reaped))
    }

    /// Removes kept folders that are old, or too many.
    pub fn tidy(&self) {
        let age = |path: &PathBuf| path.metadata().and_then(|meta| meta.modified()).ok()?.elapsed().ok();
        let kept = children(&self.own.join("work")).into_iter().filter(|path| path.extension().is_some());
        let mut kept: Vec<(Duration, PathBuf)> =
            kept.map(|path| (age(&path).unwrap_or_default(), path)).collect();
        kept.sort();
        for (place, (age, path)) in kept.into_iter().enumerate() {
            if place >= KEPT_MAX || age > KEPT_FOR {
                let _ = std::fs::remove_dir_all(path);
            }
        }
    }

    /// Where a try will be; nothing is made yet.
    pub fn place(&self, id: String, job: &Job) -> Place {
        let base = self.own.join("work").join(&id);
        let work = base.join("w");
        let results = job.results.as_ref().map(|results| work.join(results));
        Place { id, base, work, results }
    }

    /// Makes the folders of one try and writes its files.
    ///
    /// # Errors
    /// What the file system says.
    pub fn prepare(
        &self,
        place: &Place,
        (job, command, input): (&Job, &Command, &str),
    ) -> std::io::Result<()> {
        let (work, results) = (&place.work, &place.results);
        make(work)?;
        let below = |name: &str| {
            let path = work.join(name);
            path.parent().map_or(Ok(()), make).map(|()| path)
        };
        for (name, text) in &command.files {
            std::fs::write(below(name)?, text)?;
        }
        std::fs::write(below("input.json")?, input)?;
        for folder in results.iter().chain(job.workdir.as_ref().map(|folder| work.join(folder)).iter()) {
            make(folder)?;
        }
        Ok(())
    }

    /// Nothing of the try is needed any more.
    pub fn remove(&self, place: &Place) {
        let _ = std::fs::remove_dir_all(&place.base);
        self.tidy();
    }

    /// Somebody may look into it, for a while. Returns where.
    pub fn keep(&self, place: &Place) -> PathBuf {
        let kept = place.base.with_extension("failed");
        let moved = std::fs::rename(&place.base, &kept);
        self.tidy();
        if moved.is_ok() { kept } else { place.base.clone() }
    }

    /// The job as the sandbox wants it.
    ///
    /// # Errors
    /// A program or a folder that may not be used here (E013).
    pub fn spec(
        &self,
        (manifest, job): (&Manifest, &Job),
        (place, command): (&Place, Command),
        (grants, left): (&[Grant], Millis),
    ) -> Result<JobSpec, Failure> {
        let folders = self.granted(manifest, grants)?;
        let of =
            |mode| folders.iter().filter(move |grant| grant.mode == mode).map(|grant| grant.root.clone());
        let required = job.require.iter().filter_map(|name| name.parse::<Wall>().ok()).collect();
        Ok(JobSpec {
            id: place.id.clone(),
            program: self.program(job)?,
            args: command.args,
            working_folder: job.workdir.as_ref().map_or(place.work.clone(), |sub| place.work.join(sub)),
            environment: environment(&place.work, command.env),
            limits: bounds(&manifest.limits, job, left),
            allowed_programs: self.config.allow.clone(),
            read_only: of(Mode::Ro).collect(),
            read_write: of(Mode::Rw).chain([place.work.clone()]).collect(),
            network: if job.network { Network::Allowed } else { Network::Denied },
            required,
            results_folder: place.results.clone(),
            table: self.own.join("table"),
            cgroup_root: self.cgroup.clone().ok(),
            launcher: self.config.launcher.clone(),
        })
    }

    /// The granted folders with their links resolved. None may show hale's own data to a program.
    ///
    /// # Errors
    /// E013 for one that is not allowed, or that holds hale's data or lies in it.
    pub fn granted(&self, manifest: &Manifest, allow: &[Grant]) -> Result<Vec<Grant>, Failure> {
        let mut folders = Vec::new();
        for text in &manifest.files {
            let message = format!("grant {text} to the job {}", manifest.name);
            let refused = |error: &(dyn std::error::Error + 'static)| {
                Failure::new(Code::E013, "pack.grant_refused", "worker", message.clone()).caused_by(error)
            };
            let grant: Grant = text.parse().map_err(|error| refused(&error))?;
            let grant = grant.allowed_by(allow).map_err(|error| refused(&error))?;
            if self.data.starts_with(&grant.root) || grant.root.starts_with(&self.data) {
                let why = format!(
                    "{message}: hale's data folder {} would be open to the program; grant another folder",
                    self.data.display()
                );
                return Err(Failure::new(Code::E013, "pack.grant_refused", "worker", why));
            }
            folders.push(grant);
        }
        Ok(folders)
    }

    /// The program's file: a bare name is looked for among the allowed programs and folders, and nowhere else.
    fn program(&self, job: &Job) -> Result<PathBuf, Failure> {
        let name = job.program();
        if name.starts_with('/') {
            return Ok(PathBuf::from(name));
        }
        let here = |entry: &PathBuf| {
            let path = if entry.file_name().is_some_and(|last| last == name) && !entry.is_dir() {
                entry.clone()
            } else {
                entry.join(name)
            };
            path.exists().then_some(path)
        };
        self.config.allow.iter().find_map(here).ok_or_else(|| {
            let allowed = self.config.allow.iter().map(|path| path.display().to_string());
            let allowed = allowed.collect::<Vec<_>>().join(", ");
            let message = format!(
                "find the program {name}: it is in none of the allowed places ({}); install it there, or add its \
                 place to jobs.allow; see: hale config explain jobs.allow",
                if allowed.is_empty() { "none are set" } else { &allowed }
            );
            Failure::new(Code::E013, "job.program_missing", "worker", message)
        })
    }

    /// What would keep a job of this pack from starting here; for warnings at a deploy.
    pub fn objection(&self, manifest: &Manifest, allow: &[Grant]) -> Option<String> {
        let job = manifest.job.as_deref()?;
        let probe = self.own.join("probe");
        let place = Place { id: "probe".to_owned(), base: probe.clone(), work: probe, results: None };
        let spec = match self.spec(
            (manifest, job),
            (&place, Command::default()),
            (allow, manifest.limits.timeout),
        ) {
            Ok(spec) => JobSpec { working_folder: place.work.clone(), ..spec },
            Err(failure) => return Some(failure.to_string()),
        };
        if let Err(error) = spec.check() {
            return Some(error.to_string());
        }
        let standing = self.walls.get()?;
        let missing = spec.required.iter().find_map(|wall| {
            let found = standing.iter().find(|standing| standing.wall == *wall)?;
            match &found.state {
                hale_sandbox::job::wall::State::NotAvailable { why } => Some((wall, why)),
                _ => None,
            }
        });
        missing.map(|(wall, why)| format!("it requires the wall {wall}, which is not live here: {why}"))
    }

    /// Which walls stand on this machine: found out by a job that only tells our version.
    pub fn probe_walls(&self) -> &[Standing] {
        self.walls.get_or_init(|| {
            let Ok(program) = std::env::current_exe() else { return Vec::new() };
            let probe = self.own.join("probe");
            let spec = JobSpec {
                id: "probe".to_owned(),
                program: program.clone(),
                args: vec!["--version".to_owned()],
                working_folder: probe,
                environment: Vec::new(),
                limits: spec::Limits { wall: Millis::seconds(10), ..spec::Limits::default() },
                allowed_programs: vec![program],
                read_only: Vec::new(),
                read_write: Vec::new(),
                network: Network::Denied,
                required: Vec::new(),
                results_folder: None,
                table: self.own.join("table"),
                cgroup_root: self.cgroup.clone().ok(),
                launcher: self.config.launcher.clone(),
            };
            match job::Job::start(&spec, Box::new(|_| {})) {
                Ok(job) => job.wait().walls,
                Err(error) => {
                    tracing::warn!(event = "walls_unknown", error = %error, "could not find out which walls stand");
                    Vec::new()
                }
            }
        })
    }

    /// The walls, if they are known by now.
    pub fn walls(&self) -> Option<&[Standing]> {
        self.walls.get().map(Vec::as_slice)
    }
}

/// The worker's own environment holds secrets, so that nothing of it goes to a program.
fn environment(work: &Path, own: Vec<(String, String)>) -> Vec<(String, String)> {
    let work = work.display().to_string();
    let usual = [("PATH", PATH), ("LANG", "C.UTF-8"), ("HOME", work.as_str()), ("TMPDIR", work.as_str())];
    let usual = usual.into_iter().filter(|(name, _)| own.iter().all(|(other, _)| other != name));
    usual.map(|(name, value)| (name.to_owned(), value.to_owned())).chain(own.clone()).collect()
}

fn bounds(limits: &Limits, job: &Job, left: Millis) -> spec::Limits {
    let (base, own) = (spec::Limits::default(), &job.limits);
    spec::Limits {
        memory_bytes: limits.memory.unwrap_or(base.memory_bytes),
        data_bytes: None,
        // A program that computes all the time uses as much as its run may take.
        cpu: own.cpu.unwrap_or(base.cpu.max(limits.timeout)),
        wall: own.wall.unwrap_or(left + WALL_SLACK).min(limits::RUN_TIMEOUT_MAX),
        file_bytes: own.file_size.unwrap_or(base.file_bytes),
        disk_bytes: own.disk.unwrap_or(base.disk_bytes),
        tasks: own.processes.unwrap_or(base.tasks),
        open_files: base.open_files,
        output_bytes: own.output.unwrap_or(base.output_bytes),
        grace: own.grace.unwrap_or(base.grace),
    }
}

/// For its owner only: results are secrets until somebody says otherwise.
fn make(folder: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn children(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// The folder of a worker process that is gone.
fn is_left(folder: &Path) -> bool {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let of = || {
        let (pid, start) = name.strip_prefix("w-")?.split_once('-')?;
        Some((pid.parse::<u32>().ok()?, start.parse::<u64>().ok()?))
    };
    of().is_some_and(|(pid, start)| !process::is_alive(pid, start))
}

fn swept(own: &Path) -> Vec<Reaped> {
    let table = own.join("table");
    if !table.is_dir() {
        return Vec::new();
    }
    let mut reaped = Vec::new();
    match Reaper::sweep(&table) {
        Ok(all) => {
            for one in all {
                match one {
                    Ok(one) => reaped.push(one),
                    Err(error) => {
                        tracing::warn!(event = "job_unswept", error = %error, "a job of a former process could not be swept");
                    }
                }
            }
        }
        Err(error) => {
            tracing::warn!(event = "job_unswept", error = %error, "the jobs of a former process could not be swept");
        }
    }
    // Tries that were cut off: nobody asks for their folders, but somebody may look.
    for folder in children(&own.join("work")) {
        if folder.extension().is_none() {
            let _ = std::fs::rename(&folder, folder.with_extension("failed"));
        }
    }
    reaped
}
