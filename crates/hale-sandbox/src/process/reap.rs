//! Taking the status and the usage of ended children.
//!
//! Leaves to others: what they mean ([`hale_core::kill`]).

use super::stat::TICKS_PER_SECOND;
use hale_core::time::Millis;
use std::mem::MaybeUninit;

/// A child that has ended and is gone now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) pid: u32,
    /// The wait status as the kernel gave it.
    pub(crate) status: i32,
    /// Its largest resident memory.
    pub(crate) peak_rss_bytes: u64,
    /// User and system time, with that of children it has waited for.
    pub(crate) cpu: Millis,
}

/// What [`next`] found.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Next {
    Ended(Ended),
    /// Children are there and run.
    Running,
    /// The kernel says that this process has no child: for a subreaper, that none of its descendants is left.
    NoChild,
}

/// The next ended child, without waiting.
#[expect(unsafe_code, reason = "only wait4 gives the usage of one child; no safe wrapper has it")]
pub(crate) fn next() -> Next {
    let mut status: libc::c_int = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    loop {
        // SAFETY: both pointers are to live memory of the right type; the call writes there and nowhere else.
        let pid = unsafe { libc::wait4(-1, &raw mut status, libc::WNOHANG, usage.as_mut_ptr()) };
        match u32::try_from(pid) {
            Ok(0) => return Next::Running,
            Ok(pid) => {
                // SAFETY: all zeroes is a valid rusage, and wait4 has filled it.
                let usage = unsafe { usage.assume_init() };
                return Next::Ended(ended(pid, status, &usage));
            }
            Err(_) if std::io::Error::last_os_error().raw_os_error() == Some(libc::EINTR) => {}
            Err(_) => return Next::NoChild,
        }
    }
}

fn ended(pid: u32, status: i32, usage: &libc::rusage) -> Ended {
    let millis = |time: libc::timeval| {
        u64::try_from(time.tv_sec).unwrap_or(0) * 1000 + u64::try_from(time.tv_usec).unwrap_or(0) / 1000
    };
    let peak_rss_bytes = u64::try_from(usage.ru_maxrss).unwrap_or(0) * 1024;
    Ended { pid, status, peak_rss_bytes, cpu: Millis(millis(usage.ru_utime) + millis(usage.ru_stime)) }
}

/// Ticks of `/proc` as time.
pub(crate) fn ticks(ticks: u64) -> Millis {
    Millis(ticks * 1000 / TICKS_PER_SECOND)
}
