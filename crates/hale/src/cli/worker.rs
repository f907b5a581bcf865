//! `hale worker`: a process that executes runs of a server, over the batched worker protocol.
//!
//! Guarantees: it never opens the store; a lease that it could not renew is not used any more; SIGTERM and Ctrl-C drain:
//! what cannot end within the grace period is given back, so that another worker goes on with it at once.
//! Leaves to others: what a run is (`hale-engine/src/worker.rs`), the wire ([`link`]).
//! Read next: [`link`].

mod link;

use super::ctx::Ctx;
use crate::config::Config;
use crate::config::value::LogLevel;
use crate::exit::{Error, Exit};
use crate::logs::{self, Terminal};
use hale_core::id::WorkerId;
use hale_core::limits;
use hale_core::time::Millis;
use hale_engine::facade::hostname;
use hale_engine::facade::workers::Welcome;
use hale_engine::input::Hello;
use hale_engine::live::Hub;
use hale_engine::worker::Worker;
use hale_engine::worker::jobs::{Jobs, Owner};
use hale_engine::{Clock, tasks};
use hale_gateway::Gateway;
use hale_gateway::call::{ProviderConfig, Timeouts};
use hale_gateway::site::Speaks;
use link::Server;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Execute runs of a server in this process
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale worker
  hale worker --url http://127.0.0.1:8080 --slots 8
  hale worker --queues gpu,default               # takes runs of these queues only
  hale worker --grace 2m                         # lets runs in hand end when it is stopped

SIGTERM and Ctrl-C drain: no new runs, those in hand end, what does not end within --grace is given back
to the queue with all its finished steps. A second signal gives them back at once.")]
pub struct Args {
    /// Runs executed at the same time [default: worker.concurrency]
    #[arg(long)]
    pub slots: Option<u32>,
    /// How long runs in hand may go on after the signal to end
    #[arg(long, value_name = "SPAN", default_value_t = limits::DRAIN)]
    pub grace: Millis,
    /// Queues to take runs from; without it, all
    #[arg(long, value_delimiter = ',', value_name = "QUEUE")]
    pub queues: Vec<String>,
    /// The id under which the server started it
    #[arg(long, hide = true, requires = "seat")]
    pub id: Option<WorkerId>,
    /// Its place among the processes that the server keeps
    #[arg(long, hide = true, requires = "id")]
    pub seat: Option<u32>,
}

pub fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let config = ctx.config(Vec::new(), None)?;
    // One that the server keeps writes into a file of its seat: what needs a person, and what a crash leaves behind.
    let level = if args.seat.is_some() {
        LogLevel::Warn.min(config.settings.log_level)
    } else {
        config.settings.log_level.max(LogLevel::Info)
    };
    logs::install_terminal(Terminal::Lines(config.settings.log_format, level));
    if let Some(bad) = args.queues.iter().find(|name| !hale_core::pack::is_name(name)) {
        let error = Error::new(Exit::InvalidInput, format!("serve the queue {bad:?}: it is not a name"));
        return Err(error.hint("use a-z, 0-9, - and _, a letter first: hale worker --queues default"));
    }
    if args.queues.len() > limits::WORKER_QUEUES {
        let (n, most) = (args.queues.len(), limits::WORKER_QUEUES);
        return Err(Error::new(Exit::InvalidInput, format!("serve {n} queues: at most {most} are allowed")));
    }
    let slots = args.slots.unwrap_or(config.settings.worker_concurrency);
    if slots == 0 || slots > limits::WORKER_CONCURRENCY_MAX {
        let message = format!(
            "start a worker with {slots} slots: between 1 and {} are allowed",
            limits::WORKER_CONCURRENCY_MAX
        );
        return Err(Error::new(Exit::InvalidInput, message));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("hale-worker").build();
    let runtime = runtime.map_err(|error| Error::new(Exit::Failed, "start the runtime").caused_by(&error))?;
    let done = runtime.block_on(work((slots, args), &config, ctx));
    runtime.shutdown_background();
    done.map(|()| Exit::Done)
}

async fn work((slots, args): (u32, Args), config: &Config, ctx: &mut Ctx) -> Result<(), Error> {
    let (grace, queues) = (args.grace, args.queues);
    let client = Arc::new(ctx.client().await?);
    let clock = Clock::start();
    let id = match args.id {
        Some(id) => id,
        None => mint(clock)?,
    };
    let hello = Hello {
        id,
        kind: hale_store::WorkerKind::Process,
        host: hostname(),
        pid: std::process::id(),
        slots,
        queues: queues.iter().map(|name| Arc::from(name.as_str())).collect(),
        seat: args.seat,
    };
    let welcome: Welcome = client.post("/api/v1/workers", &hello).await?;
    let gateway = gateway(config, &welcome, clock)?;
    let server = Server::new(client.clone(), hello, &welcome.token);
    let (writes, written) = mpsc::channel(limits::INBOX);
    let mut worker = Worker::new(id, link::link(writes), Arc::new(gateway), Hub::default(), clock);
    worker.files_allow.clone_from(&config.settings.files_allow);
    worker.model_timeout = config.settings.model_timeout;
    worker.guard_default = crate::serve::guard_default(config);
    worker.hidden = vec![config.data.clone()];
    worker.jobs = jobs(config);
    let (tells, told) = mpsc::channel(limits::INBOX);
    worker.tell = link::tell(tells);
    worker.keep = Some(server.keep());
    let worker = Arc::new(worker);
    let (orders, received) = mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    tasks::spawn("worker-writes", server.clone().write(worker.clone(), written));
    tasks::spawn("worker-tells", server.clone().tell(worker.clone(), told));
    tasks::spawn("worker-polls", server.clone().poll(worker.clone(), orders, stop.clone()));
    tasks::spawn("worker", worker.clone().work(received, stop.child_token()));
    ctx.screen
        .note(&format!("worker {id} executes up to {slots} runs of {}; Ctrl-C drains", client.address()));
    end_asked().await;
    ctx.screen.note(&format!(
        "draining: runs in hand have {grace} to end, a second Ctrl-C gives them back at once"
    ));
    server.drain(&worker, (grace.duration(), end_asked()), &stop).await;
    Ok(())
}

fn mint(clock: Clock) -> Result<WorkerId, Error> {
    let mut chance = [0u8; 16];
    getrandom::fill(&mut chance).map_err(|error| Error::new(Exit::Failed, format!("draw an id: {error}")))?;
    Ok(WorkerId::mint(clock.now(), u128::from_le_bytes(chance)))
}

/// Where this process's jobs live, once what a former worker left running is ended; without it no job is taken.
fn jobs(config: &Config) -> Option<Arc<Jobs>> {
    let opened = std::fs::create_dir_all(&config.data).and_then(|()| {
        Jobs::open(&config.data, Owner::Worker(std::process::id()), crate::serve::jobs(config))
    });
    match opened {
        Ok((jobs, reaped)) => {
            for one in reaped.iter().filter(|one| one.killed + one.survivors > 0) {
                tracing::warn!(event = "job_reaped", job = %one.job, killed = one.killed, survivors = one.survivors, "a job of a former worker was left running and was ended");
            }
            Some(Arc::new(jobs))
        }
        Err(error) => {
            tracing::error!(event = "jobs_off", error = %error, "this worker takes no jobs: make the folder jobs in {}", config.data.display());
            None
        }
    }
}

async fn end_asked() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        (Ok(mut interrupt), Ok(mut terminate)) => tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        },
        _ => std::future::pending().await,
    }
}

/// Providers as the server names them; keys are this process's own.
fn gateway(config: &Config, welcome: &Welcome, clock: Clock) -> Result<Gateway, Error> {
    let gateway = Gateway::new(config.secrets(), Arc::new(move || clock.now()));
    gateway.arms().allow(config.settings.arms_allow.iter().cloned());
    gateway.web().allow(config.settings.web_allow.iter().cloned());
    let timeouts = Timeouts { first_chunk: config.settings.model_timeout.duration(), ..Timeouts::default() };
    let provider = |(name, url): (&String, &String)| ProviderConfig {
        name: name.clone(),
        base_url: url.clone(),
        key: crate::serve::key_source(name, url),
        speaks: welcome.dialects.get(name).and_then(|name| Speaks::of(name)).unwrap_or_default(),
        timeouts,
    };
    let providers = welcome.providers.iter().map(provider).collect();
    gateway.configure(providers).map_err(|error| Error::failed(&error.failure()))?;
    Ok(gateway)
}
