//! Every bound of jobs, each with its reason.
//!
//! A bound that a pack may move is the default of [`super::spec::Limits`].
//! Read next: [`super::spec`].

use hale_core::time::Millis;

/// Memory of a job unless it says otherwise: a back-test over years of daily data in Python needs half of it.
pub const MEMORY_BYTES: u64 = 512 << 20;
/// The least memory: a program that maps the C library needs some MiB, and our own launcher runs first.
pub const MEMORY_BYTES_LEAST: u64 = 16 << 20;
/// One process may allocate twice the memory limit and this: the watchdog, which knows what is really used, comes
/// first, and the kernel refuses what a burst would take between two of its looks.
pub const DATA_SLACK_BYTES: u64 = 64 << 20;
/// CPU time of the whole tree.
pub const CPU: Millis = Millis::seconds(60);
/// Wall time: a run's own limit.
pub const WALL: Millis = hale_core::limits::RUN_TIMEOUT;
/// One file: an artifact cannot be larger.
pub const FILE_BYTES: u64 = hale_core::limits::ARTIFACT_BYTES;
/// Growth of all folders that it may write to.
pub const DISK_BYTES: u64 = 1 << 30;
/// Processes and threads together, as the kernel counts them; numeric libraries start one thread a core.
pub const TASKS: u64 = 128;
/// Files open at a time in one process.
pub const OPEN_FILES: u64 = 512;
/// Output kept; the rest is counted and thrown away.
pub const OUTPUT_BYTES: u64 = 16 << 20;
/// Between SIGTERM and SIGKILL.
pub const GRACE: Millis = Millis::seconds(5);
/// The longest grace: a cancelled job must not hold its slot.
pub const GRACE_MOST: Millis = Millis::seconds(60);

/// Arguments and environment together: the kernel's own bound on one string is 128 KiB, and the plan is one line.
pub const ARGUMENT_BYTES: usize = 128 << 10;
/// The plan as one line of JSON; escapes grow it up to sixfold.
pub const PLAN_BYTES: u64 = 1 << 20;
/// Letters in a job's id: it names a file.
pub const ID_BYTES: usize = 64;

/// The launcher and the supervisor answer each other within this; they only make system calls.
pub const HANDSHAKE: Millis = Millis::seconds(10);
/// Between two looks of the watchdog while the job is near a limit or just begun: memory fills at some GB/s.
pub const WATCH_FAST: Millis = Millis(5);
/// Between two looks while it is far from all limits.
pub const WATCH_SLOW: Millis = Millis(20);
/// Above this part of a limit, in percent, the watchdog looks fast.
pub const WATCH_FAST_PERCENT: u64 = 50;
/// How long a new job is watched fast.
pub const WATCH_FAST_FIRST: Millis = Millis(500);
/// Between two looks at the disk; one look reads up to [`DISK_ENTRIES`] entries.
pub const WATCH_DISK: Millis = Millis(100);
/// A look at the disk may take this part of the time, as one of so many.
pub const WATCH_DISK_SHARE: u32 = 10;
/// Entries that one look at the disk reads: 20 ms of a warm cache.
pub const DISK_ENTRIES: u64 = 20_000;
/// Between two exact readings of shared memory, each of which walks page tables.
pub const WATCH_EXACT: Millis = Millis(50);
/// Between two rounds of killing.
pub const KILL_EVERY: Millis = Millis(1);
/// A tree that outlives SIGKILL this long hangs in the kernel, and is reported.
pub const KILL_WITHIN: Millis = Millis::seconds(10);

/// Warnings at these parts of the memory limit, in percent.
pub const MEMORY_WARNINGS: [u64; 2] = [85, 92];

/// One line of output; a longer one is handed on in pieces.
pub const LINE_BYTES: usize = 8 << 10;
/// Bytes read from a pipe at a time: a pipe's whole buffer.
pub const READ_BYTES: usize = 64 << 10;
/// Events waiting for a slow reader, in bytes; above it the job's output is not read, so that the job waits.
pub const WAITING_BYTES: usize = 256 << 10;
/// Events waiting in [`super::channel`]: with [`LINE_BYTES`], 8 MiB at worst.
pub const WAITING_EVENTS: usize = 1024;
/// Lines of error output kept for the verdict.
pub const TAIL_LINES: usize = 20;
/// Bytes of each.
pub const TAIL_LINE_BYTES: usize = 400;

/// Result files of one job.
pub const RESULT_FILES: usize = 1000;
/// All result files of one job together.
pub const RESULT_BYTES: u64 = 1 << 30;
/// Depth of the results folder.
pub const RESULT_DEPTH: u64 = 8;
/// Entries looked at in the results folder.
pub const RESULT_ENTRIES: u64 = 20_000;
/// Looking through it ends after this.
pub const RESULT_TIME: Millis = Millis::seconds(30);

/// Leftovers of an earlier server are killed within this, then reported.
pub const SWEEP_WITHIN: Millis = Millis::seconds(10);
/// Bytes of one entry of the reaper table.
pub const ENTRY_BYTES: u64 = 64 << 10;
