//! The program of the job tests: it misbehaves as told, and is the launcher of its own jobs.
//!
//! `launcher …` leads to `hale_sandbox::job::launcher_main`, as a subcommand of `hale` does. Everything else is one way
//! to use what a job may not have. All ways are bounded, so that a wall that is down costs seconds and not the machine.
//! The last argument is often a mark by which the tests find the process in `/proc`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where by panicking")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its output is what the tests read")]

mod reach;

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const MIB: usize = 1 << 20;
/// Nothing here lives longer, whatever happens.
const LONGEST: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    if args.first().is_some_and(|first| first == "launcher") {
        return ExitCode::from(hale_sandbox::job::launcher_main(&args[1..]) as u8);
    }
    let texts: Vec<&str> = args.iter().map(|arg| arg.to_str().unwrap()).collect();
    let number = |index: usize| texts[index].parse::<usize>().unwrap();
    match texts[0] {
        "hog" => hog(number(1)),
        "reserve" => drop(vec![1_u8; number(1) * MIB]),
        "share" => share(number(1), number(2)),
        "crowd" => crowd(number(1), texts[2]),
        "bomb" => bomb(number(1), texts[2]),
        "threads" => threads(number(1)),
        "file" => file(number(1)),
        "files" => files(number(1)),
        "zombies" => zombies(number(1), texts[2]),
        "stubborn" => stubborn(),
        "polite" => sleep(),
        "shout" => shout(number(1)),
        "lines" => lines(),
        "daemon" => daemon(texts[1]),
        "daemon-inner" => daemon_inner(texts[1]),
        "sleep" => sleep(),
        "exit" => return ExitCode::from(number(1) as u8),
        "complain" => {
            eprintln!("{}", texts[2]);
            return ExitCode::from(number(1) as u8);
        }
        "crash" => crash(),
        "kill-self" => kill_self(number(1)),
        "counted-kill" => {
            std::fs::write(texts[1], "low 0\noom 1\noom_kill 1\n").unwrap();
            kill_self(9);
        }
        "spin" => spin(),
        "spin-deaf" => {
            ignore(libc::SIGXCPU);
            spin();
        }
        "spin-many" => spin_many(number(1), texts[2]),
        "listen" => listen(),
        "results" => reach::results(texts[1]),
        "look" => reach::look(&texts[1..]),
        other => panic!("{other} is no way to misbehave"),
    }
    ExitCode::SUCCESS
}

fn sleep() {
    std::thread::sleep(LONGEST);
}

/// Takes memory and touches it, so that it is really there.
fn hog(mib: usize) {
    let mut held = Vec::new();
    for _ in 0..mib {
        held.push(vec![1_u8; MIB]);
        std::thread::sleep(Duration::from_micros(300));
    }
    println!("holds {} MiB", held.len());
    sleep();
}

/// Forks, so that many processes show the same pages.
fn share(mib: usize, children: usize) {
    let held = vec![1_u8; mib * MIB];
    for _ in 0..children {
        fork_and_sleep(2);
    }
    std::thread::sleep(Duration::from_millis(600));
    println!("{} shared by {children}", held.len());
}

#[expect(unsafe_code, reason = "only a fork without exec shares pages; the process has one thread")]
fn fork_and_sleep(seconds: u32) {
    // SAFETY: one thread; the child makes two system calls and ends.
    unsafe {
        if libc::fork() == 0 {
            libc::sleep(seconds);
            libc::_exit(0);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the tests' own program starts what the job under test would")]
fn again(args: &[&str]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args(args).stdin(Stdio::null());
    command
}

/// Children of one process, as fast as it can.
fn crowd(most: usize, mark: &str) {
    let mut children = Vec::new();
    for _ in 0..most {
        match again(&["sleep", mark]).spawn() {
            Ok(child) => children.push(child),
            Err(error) => {
                eprintln!("fork: {error}");
                std::process::exit(1);
            }
        }
    }
    println!("{} children", children.len());
    sleep();
}

/// Every process starts two more in sessions of their own, `depth` times.
fn bomb(depth: usize, mark: &str) {
    let _ = rustix::process::setsid();
    if depth > 0 {
        let next = (depth - 1).to_string();
        for _ in 0..2 {
            let _ = again(&["bomb", &next, mark]).spawn();
        }
    }
    sleep();
}

fn threads(count: usize) {
    let threads: Vec<_> = (0..count).map_while(|_| std::thread::Builder::new().spawn(sleep).ok()).collect();
    println!("{} threads", threads.len());
    sleep();
}

/// One file that grows.
fn file(mib: usize) {
    let mut file = std::fs::File::create("large").unwrap();
    for _ in 0..mib {
        file.write_all(&vec![1; MIB]).unwrap();
    }
}

/// Many files of a MiB.
fn files(count: usize) {
    for index in 0..count {
        std::fs::write(format!("part-{index}"), vec![1; MIB]).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
    println!("wrote {count}");
    sleep();
}

/// Children that end and are never waited for.
fn zombies(count: usize, mark: &str) {
    for _ in 0..count {
        if again(&["exit", "0", mark]).spawn().is_err() {
            break;
        }
    }
    println!("made {count} zombies");
    sleep();
}

#[expect(unsafe_code, reason = "no safe wrapper ignores a signal")]
fn ignore(signal: i32) {
    // SAFETY: ignoring a signal installs no handler.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

fn stubborn() {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT] {
        ignore(signal);
    }
    println!("deaf");
    sleep();
}

fn shout(mib: usize) {
    let block = [b"all work and no play makes a dull job\n".as_slice(); 1725].concat();
    let mut out = io::stdout().lock();
    let mut left = mib * MIB;
    while left > 0 {
        let now = left.min(block.len());
        out.write_all(&block[..now]).unwrap();
        left -= now;
    }
}

fn lines() {
    println!("first");
    eprintln!("wrong");
    println!("{}", "ä".repeat(6000));
    io::stdout().write_all(b"bad \xff byte\n").unwrap();
    print!("unended");
}

/// Leaves the session and the environment behind, twice removed from the job.
fn daemon(mark: &str) {
    again(&["daemon-inner", mark]).process_group(0).spawn().unwrap().wait().unwrap();
    println!("left it behind");
}

#[expect(clippy::zombie_processes, reason = "leaving it behind is the fault")]
fn daemon_inner(mark: &str) {
    let _ = rustix::process::setsid();
    again(&["stubborn", mark])
        .env_clear()
        .process_group(0)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
}

#[expect(unsafe_code, reason = "this is the fault")]
fn crash() {
    // SAFETY: none; the address is never mapped, and the process is meant to die of it.
    unsafe { std::ptr::write_volatile(std::ptr::without_provenance_mut::<u8>(16), 1) };
}

fn kill_self(signal: usize) {
    let signal = rustix::process::Signal::from_named_raw(signal as i32).unwrap();
    rustix::process::kill_process(rustix::process::getpid(), signal).unwrap();
}

fn spin() {
    let end = Instant::now() + LONGEST;
    let mut turns = 0_u64;
    while Instant::now() < end {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}

/// Processes one after the other, none of which uses much.
fn spin_many(count: usize, mark: &str) {
    let mut children: Vec<_> = (0..count).map(|_| again(&["spin", mark]).spawn().unwrap()).collect();
    for child in &mut children {
        child.wait().unwrap();
    }
}

fn listen() {
    let mut text = String::new();
    let count = io::stdin().read_to_string(&mut text).unwrap();
    println!("read {count}");
}
