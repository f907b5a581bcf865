//! The launcher: builds the walls around itself, then becomes the program.
//!
//! It is a fresh process with one thread, so that every step is ordinary code; nothing runs between fork and exec.
//! The order matters: what needs rights or files comes before what takes them away. Nothing of the program runs before
//! the supervisor has seen the walls and said so.
//! Leaves to others: deciding whether the walls suffice ([`super::supervise`]).
//! Read next: [`landlocked`], [`filtered`].

mod filtered;
mod landlocked;
mod limited;

use super::plan::{Built, Entrance, GO, Plan};
use super::spec::Network;
use super::wall::{Standing, Wall};
use crate::process::piped::{Program, become_program};
use rustix::process::{Pid, Signal};
use rustix::thread::{CapabilitySet, CapabilitySets};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;

/// Why the launcher ended without becoming the program. Its supervisor reads the message; nobody reads this code.
const FAILED: i32 = 125;

/// Runs the launcher. Returns only when the program could not be started.
pub(super) fn main() -> i32 {
    match enter() {
        Ok(never) => match never {},
        Err(_) => FAILED,
    }
}

fn enter() -> io::Result<std::convert::Infallible> {
    let line = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut input = BufReader::new(line.try_clone()?);
    let mut output = line;
    let mut order = String::new();
    input.read_line(&mut order)?;
    let entrance: Entrance = serde_json::from_str(&order)?;
    let walls = build(&entrance)?;
    let mut answer = serde_json::to_string(&Built { walls })?;
    answer.push('\n');
    output.write_all(answer.as_bytes())?;
    let mut go = [0];
    input.read_exact(&mut go)?;
    if go != [GO] {
        return Err(io::Error::other("the supervisor has refused"));
    }
    drop(input);
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    let plan = &entrance.plan;
    let mut environment = plan.environment.clone();
    environment
        .extend(entrance.marker.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())));
    let (path, args, folder) = (&plan.program, &plan.args, &plan.working_folder);
    let why = become_program(&Program { path, args, folder, environment: &environment });
    output.write_all(why.to_string().as_bytes())?;
    Err(why)
}

/// Fails only where going on would be dangerous; else says what is missing.
fn build(entrance: &Entrance) -> io::Result<Vec<Standing>> {
    let plan = &entrance.plan;
    let mut walls = vec![
        Wall::Session.built(rustix::process::setsid().map(drop)),
        Wall::ParentDeath.built(parent_death(entrance.supervisor)?),
        Wall::NoNewPrivileges.built(rustix::thread::set_no_new_privs(true)),
    ];
    walls.push(Wall::OomScore.built(std::fs::write("/proc/self/oom_score_adj", "500")));
    walls.push(Wall::ClosedFiles.built(close_files()));
    // Opened while we may: landlock may hide it.
    walls.extend(limited::build(&plan.limits));
    walls.extend(landlocked::build(plan));
    walls.push(Wall::Capabilities.built(drop_capabilities()));
    walls.extend(filters(plan));
    Ok(walls)
}

/// The signal is tied to the supervisor's thread, and it has only one.
fn parent_death(supervisor: u32) -> io::Result<rustix::io::Result<()>> {
    let set = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    // It may have died before the signal was set.
    let parent = rustix::process::getppid().map(Pid::as_raw_nonzero).map(std::num::NonZero::get);
    if parent != i32::try_from(supervisor).ok() {
        return Err(io::Error::other("the supervisor is gone"));
    }
    Ok(set)
}

/// Marks everything above standard error to be closed when the program starts; what others had left open in the server
/// without that mark is among it.
#[expect(unsafe_code, reason = "no safe wrapper marks a range of descriptors")]
fn close_files() -> io::Result<()> {
    // SAFETY: with this flag the call closes nothing now and touches no memory.
    let done = unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// With no-new-privileges the program cannot regain them, not even as root.
fn drop_capabilities() -> io::Result<()> {
    let none = CapabilitySet::empty();
    // The ambient set is lost with the inheritable one.
    rustix::thread::set_capabilities(
        None,
        CapabilitySets { effective: none, permitted: none, inheritable: none },
    )?;
    let left = rustix::thread::capabilities(None)?;
    if left.effective.is_empty() && left.permitted.is_empty() {
        return Ok(());
    }
    Err(io::Error::other("some were left"))
}

fn filters(plan: &Plan) -> [Standing; 2] {
    let calls = Wall::SystemCalls.built(filtered::deny_calls());
    let sockets = match plan.network {
        Network::Allowed => Wall::Sockets.not_asked(),
        Network::Denied => Wall::Sockets.built(filtered::deny_sockets()),
    };
    [calls, sockets]
}
