//! What exit codes and signals mean by themselves, and the words by which programs report a limit.
//!
//! The numbers are Linux's on x86-64 and 64-bit ARM. Leaves to others: what a code means together with measured facts
//! ([`super::classify`]).

pub const SIGABRT: i32 = 6;
pub const SIGKILL: i32 = 9;
pub const SIGSEGV: i32 = 11;
pub const SIGTERM: i32 = 15;
pub const SIGXCPU: i32 = 24;
pub const SIGXFSZ: i32 = 25;

/// An allocation was refused: Python, Rust, C++, the C library, Node, Go and Java in their own words.
pub const MEMORY_WORDS: [&str; 8] = [
    "MemoryError",
    "memory allocation of",
    "bad_alloc",
    "Cannot allocate memory",
    "JavaScript heap out of memory",
    "runtime: out of memory",
    "java.lang.OutOfMemoryError",
    "Out of memory",
];
/// `EFBIG`: runtimes that ignore SIGXFSZ, as Python does, see the limit as an error.
pub const FILE_WORDS: [&str; 2] = ["File too large", "EFBIG"];
/// `EAGAIN` of fork and of thread creation.
pub const TASK_WORDS: [&str; 4] =
    ["Resource temporarily unavailable", "BlockingIOError", "can't start new thread", "Cannot fork"];

/// What a supervisor may conclude from this code alone.
pub fn of_exit(code: i32) -> &'static str {
    match code {
        0 => "it ended in order; check whether that was meant, as when scaling down",
        1 => "an error of the program; look for the first error line of its start",
        2 => "it was called wrongly, or an error of the program",
        126 => "the file is there but cannot be executed",
        127 => "the command was not found",
        130 => "interrupted from a terminal (128 + SIGINT), as its shell reports it",
        134 => "it aborted itself (128 + SIGABRT), as its shell reports it",
        137 => "killed (128 + SIGKILL), as its shell reports it; often, but not always, a lack of memory",
        139 => {
            "segmentation fault (128 + SIGSEGV), as its shell reports it: memory corruption; update the program"
        }
        143 => "asked to end (128 + SIGTERM), as its shell reports it: a normal shutdown, as in a deploy",
        129..=192 => "a signal (the code less 128), as its shell reports it",
        _ => "the program's own code; see its documentation",
    }
}

/// What a supervisor may conclude from this signal alone.
pub fn of_signal(signal: i32) -> &'static str {
    match signal {
        1 | 2 => "its terminal or session asked it to end",
        4 => "illegal instruction: built for another CPU, or memory corruption",
        SIGABRT => "it aborted itself: a failed assertion, a panic or a refused allocation",
        7 => "bus error: a mapped file shrank, or the disk is full",
        8 => "arithmetic error: often a division by zero",
        SIGKILL => "somebody killed it",
        SIGSEGV => "segmentation fault: memory corruption; update the program",
        13 => "it wrote to a pipe that nobody reads",
        SIGTERM => "it was asked to end: a normal shutdown, as in a deploy",
        SIGXCPU => "its limit of CPU time",
        SIGXFSZ => "its limit of file size",
        31 => "it made a system call that is denied",
        _ => "no usual cause; see the program's documentation",
    }
}

/// `SIGTERM` for 15.
pub fn signal_name(signal: i32) -> &'static str {
    const NAMES: [&str; 31] = [
        "SIGHUP",
        "SIGINT",
        "SIGQUIT",
        "SIGILL",
        "SIGTRAP",
        "SIGABRT",
        "SIGBUS",
        "SIGFPE",
        "SIGKILL",
        "SIGUSR1",
        "SIGSEGV",
        "SIGUSR2",
        "SIGPIPE",
        "SIGALRM",
        "SIGTERM",
        "SIGSTKFLT",
        "SIGCHLD",
        "SIGCONT",
        "SIGSTOP",
        "SIGTSTP",
        "SIGTTIN",
        "SIGTTOU",
        "SIGURG",
        "SIGXCPU",
        "SIGXFSZ",
        "SIGVTALRM",
        "SIGPROF",
        "SIGWINCH",
        "SIGIO",
        "SIGPWR",
        "SIGSYS",
    ];
    let index = usize::try_from(signal).ok().and_then(|signal| signal.checked_sub(1));
    index.and_then(|index| NAMES.get(index)).copied().unwrap_or("a real-time signal")
}
