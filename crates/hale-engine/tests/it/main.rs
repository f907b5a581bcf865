//! Facts about the engine: the whole of it over a store in memory and a scripted model, on a paused clock.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails at once")]

mod agent;
mod arms;
mod calls;
mod evidence;
mod fixes;
mod flight;
mod idle;
mod leaving;
mod logs;
mod modes;
mod packs;
mod recovery;
mod runs;
mod time;
mod world;
