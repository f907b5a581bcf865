//! One line of `/proc/PID/stat`, read into the fields that we use.
//!
//! Read next: [`super::tree`].

/// Clock ticks of `/proc` in a second: the kernel's `USER_HZ`, 100 on every architecture that we build for.
pub(crate) const TICKS_PER_SECOND: u64 = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) pid: u32,
    pub(crate) state: char,
    pub(crate) parent: u32,
    pub(crate) group: u32,
    pub(crate) session: u32,
    /// User and system time of its own and of children it has waited for, in ticks.
    pub(crate) cpu_ticks: u64,
    pub(crate) threads: u64,
    pub(crate) start_time: u64,
    pub(crate) rss_pages: u64,
}

impl Stat {
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let line = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
        Self::parse(pid, &line)
    }

    pub(crate) fn parse(pid: u32, line: &[u8]) -> Option<Self> {
        // The second field is the program's name in brackets; it may hold spaces and brackets of its own.
        let name_end = line.iter().rposition(|byte| *byte == b')')?;
        let fields = std::str::from_utf8(line.get(name_end + 1..)?).ok()?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        // The state is field 3.
        let field = |number: usize| fields.get(number - 3).copied();
        let count = |number: usize| field(number)?.parse::<u64>().ok();
        let id = |number: usize| field(number)?.parse::<u32>().ok();
        Some(Self {
            pid,
            state: field(3)?.chars().next()?,
            parent: id(4)?,
            group: id(5)?,
            session: id(6)?,
            cpu_ticks: count(14)? + count(15)? + count(16)? + count(17)?,
            threads: count(20)?,
            start_time: count(22)?,
            rss_pages: count(24)?,
        })
    }

    /// A zombie holds no memory and runs nothing; only its parent can remove it.
    pub(crate) fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }
}
