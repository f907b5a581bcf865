//! Facts about the engine: the whole of it over a store in memory and a scripted model, on a paused clock.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails at once")]

mod agent;
mod approvals;
mod children;
mod sleeps;
mod bulk;
mod arms;
mod calls;
mod durable_faults;
mod evidence;
mod fetches;
mod fixes;
mod flight;
mod guard;
mod jobs;
mod killswitch;
mod idle;
mod leaving;
mod letters;
mod logs;
mod modes;
mod packs;
mod processes;
mod queues;
mod quarantine;
mod recovery;
mod replay;
mod runs;
mod schedules;
mod simulation;
mod time;
mod world;
