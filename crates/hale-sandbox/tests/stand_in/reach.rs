//! What a job can reach: each look prints one line.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::os::unix::fs::symlink;

pub fn look(at: &[&str]) {
    match at[0] {
        "surroundings" => surroundings(),
        "environ" => {
            for (name, value) in std::env::vars() {
                println!("{name}={value}");
            }
        }
        "read" => said(fs::read(at[1])),
        "write" => said(fs::write(at[1], "mine")),
        "truncate" => said(fs::OpenOptions::new().write(true).truncate(true).open(at[1])),
        "connect" => said(TcpStream::connect(at[1])),
        "unix" => said(std::os::unix::net::UnixStream::connect(at[1])),
        "pair" => said(std::os::unix::net::UnixStream::pair()),
        "signal" => {
            let pid = rustix::process::Pid::from_raw(at[1].parse().unwrap()).unwrap();
            said(rustix::process::test_kill_process(pid).map_err(std::io::Error::from));
        }
        "calls" => calls(),
        other => panic!("{other} cannot be looked at"),
    }
}

fn said<T>(result: std::io::Result<T>) {
    match result {
        Ok(_) => println!("done"),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => println!("denied"),
        Err(error) => println!("{error}"),
    }
}

/// What the kernel says of this process.
fn surroundings() {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    for name in ["NoNewPrivs", "Seccomp", "CapEff", "CapPrm", "Threads"] {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        println!("{}", line.replace('\t', ""));
    }
    let mut open: Vec<u32> = fs::read_dir("/proc/self/fd")
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap())
        .collect();
    open.sort_unstable();
    // The highest is the one that reads the folder.
    open.pop();
    println!("fds:{open:?}");
    println!("stdin:{}", fs::read_link("/proc/self/fd/0").unwrap().display());
    let pid = std::process::id();
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let ids: Vec<u32> = stat.split_ascii_whitespace().skip(4).take(2).map(|id| id.parse().unwrap()).collect();
    println!("leads:{}", ids == [pid, pid]);
    println!("oom:{}", fs::read_to_string("/proc/self/oom_score_adj").unwrap().trim());
    println!("folder:{}", std::env::current_dir().unwrap().display());
    for line in fs::read_to_string("/proc/self/limits").unwrap().lines() {
        if ["Max cpu", "Max data", "Max file", "Max core", "Max open"]
            .iter()
            .any(|name| line.starts_with(name))
        {
            println!("{}", line.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }
}

/// System calls that are denied, by their numbers; the arguments are harmless where one passes.
#[expect(unsafe_code, reason = "raw system calls with null arguments")]
fn calls() {
    let calls = [
        ("ptrace", libc::SYS_ptrace),
        ("mount", libc::SYS_mount),
        ("bpf", libc::SYS_bpf),
        ("keyctl", libc::SYS_keyctl),
        ("setns", libc::SYS_setns),
        ("unshare", libc::SYS_unshare),
        ("kexec_load", libc::SYS_kexec_load),
        ("io_uring_setup", libc::SYS_io_uring_setup),
        ("socket", libc::SYS_socket),
        ("clone3", libc::SYS_clone3),
    ];
    for (name, number) in calls {
        // SAFETY: each of these fails on these arguments or does nothing.
        let answer = unsafe { libc::syscall(number, -1_i64, 0, 0, 0, 0) };
        let error = std::io::Error::last_os_error();
        println!("{name} {}", if answer < 0 { error.raw_os_error().unwrap() } else { 0 });
    }
    // SAFETY: makes a child in a new user namespace, which ends at once.
    let child =
        unsafe { libc::syscall(libc::SYS_clone, i64::from(libc::CLONE_NEWUSER | libc::SIGCHLD), 0, 0, 0, 0) };
    if child == 0 {
        std::process::exit(0);
    }
    println!(
        "clone-newuser {}",
        if child < 0 { std::io::Error::last_os_error().raw_os_error().unwrap() } else { 0 }
    );
}

/// Good results, and everything that must not be taken for one.
pub fn results(outside: &str) {
    fs::create_dir_all("results/charts").unwrap();
    fs::write("results/result.json", "{}").unwrap();
    fs::write("results/charts/equity.svg", "<svg/>").unwrap();
    symlink(outside, "results/link").unwrap();
    symlink("/etc", "results/folder-link").unwrap();
    fs::write("twice", "x").unwrap();
    fs::hard_link("twice", "results/twice").unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        "results/fifo",
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
}
