//! All processes below one process, and all that carry a marker in their environment.
//!
//! A list is true for the moment it was read; who ends a tree reads it again until the kernel says that no child is
//! left ([`super::reap`]).
//! Read next: [`super::stat`].

use super::stat::Stat;
use std::collections::BTreeMap;
use std::fs;

/// Every live or dead descendant of `root`, without `root` itself.
pub(crate) fn below(root: u32) -> Vec<Stat> {
    if fs::exists(format!("/proc/{root}/task/{root}/children")).unwrap_or(false) {
        return by_children(root);
    }
    // A kernel without CONFIG_PROC_CHILDREN: read every process of the machine.
    by_parents(root, &all())
}

fn by_children(root: u32) -> Vec<Stat> {
    let mut found = Vec::new();
    let mut ask = vec![root];
    while let Some(pid) = ask.pop() {
        for child in children(pid) {
            if let Some(stat) = Stat::of(child) {
                found.push(stat);
                ask.push(child);
            }
        }
    }
    found
}

/// A child belongs to the thread that forked it, so that every thread is asked.
fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let read = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("children")).unwrap_or_default();
    let lines = threads.flatten().map(read);
    lines.flat_map(|line| line.split_ascii_whitespace().flat_map(str::parse).collect::<Vec<u32>>()).collect()
}

fn by_parents(root: u32, all: &[Stat]) -> Vec<Stat> {
    let mut of: BTreeMap<u32, Vec<Stat>> = BTreeMap::new();
    for stat in all {
        of.entry(stat.parent).or_default().push(*stat);
    }
    let mut found = Vec::new();
    let mut ask = vec![root];
    while let Some(pid) = ask.pop() {
        let children = of.remove(&pid).unwrap_or_default();
        ask.extend(children.iter().map(|child| child.pid));
        found.extend(children);
    }
    found
}

/// Every process of the machine that we may see.
pub(crate) fn all() -> Vec<Stat> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(Stat::of).collect()
}

/// Whether the process was started with exactly this `NAME=value` in its environment.
pub(crate) fn is_marked(pid: u32, marker: &str) -> bool {
    fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|entry| entry == marker.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(pid: u32, parent: u32) -> Stat {
        let line = format!("{pid} (a) b) S {parent} 1 1 0 -1 0 0 0 0 0 1 2 3 4 20 0 7 0 99 0 5");
        Stat::parse(pid, line.as_bytes()).expect("a whole line")
    }

    #[test]
    fn a_line_is_read_past_a_name_with_brackets() {
        let read = stat(8, 3);
        assert_eq!((read.state, read.parent, read.group, read.session), ('S', 3, 1, 1));
        assert_eq!((read.cpu_ticks, read.threads, read.start_time, read.rss_pages), (10, 7, 99, 5));
        assert_eq!(Stat::parse(8, b"8 (cut) S 3"), None);
    }

    #[test]
    fn descendants_are_found_by_their_parents_too() {
        let all = [stat(2, 1), stat(3, 2), stat(4, 3), stat(5, 1), stat(6, 5)];
        let mut found: Vec<u32> = by_parents(2, &all).iter().map(|stat| stat.pid).collect();
        found.sort_unstable();
        assert_eq!(found, [3, 4]);
        assert_eq!(by_parents(6, &all), []);
    }
}
