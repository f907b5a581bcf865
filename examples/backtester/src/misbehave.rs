//! Going wrong on purpose, so that a platform can prove what it does about it.
//!
//! For fault tests only: the option is hidden in the help, and each way is the real thing, not a message about it.
//! Read next: [`crate::job`], which calls it in the middle of the simulation.

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Misbehave {
    /// Stop working in the middle of the simulation and never end
    Hang,
    /// Take memory in the middle of the simulation until somebody ends it
    Oom,
    /// Do all the work, write nothing, and end with 0
    NoResult,
    /// Abort in the middle of the simulation
    Crash,
}

/// Taken at a time: fast enough for a test, slow enough for a watchdog that looks every tenth of a second.
const CHUNK_BYTES: usize = 4 << 20;

/// What happens when half of the bars are walked.
pub fn at_half(way: Misbehave) {
    match way {
        Misbehave::Hang => loop {
            std::thread::park();
        },
        Misbehave::Oom => {
            let mut taken: Vec<Vec<u8>> = Vec::new();
            loop {
                // Written to, or the kernel would only promise it.
                taken.push(std::hint::black_box(vec![0x5a; CHUNK_BYTES]));
            }
        }
        Misbehave::Crash => std::process::abort(),
        Misbehave::NoResult => {}
    }
}
