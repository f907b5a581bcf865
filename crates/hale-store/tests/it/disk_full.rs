//! A full disk: new work is refused, work in progress is written, reads go on, and it ends when space returns.

use crate::power_cut::platter::{Mount, Platter};
use crate::power_cut::vfs;
use crate::world::*;
use hale_core::id::RunId;
use hale_store::{Error, ListFilter, Op, OpResult, Options, Sqlite, Store};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

const KIB: u64 = 1024;
const FLOOR: u64 = 256 * KIB;
const BALLAST: u64 = 512 * KIB;

/// Something that can take room away from the store and give it back.
trait Fill {
    /// Leaves so many bytes.
    fn leave(&self, bytes: u64);
    fn give_back(&self);
}

fn leased(store: &Sqlite, from: u64, n: u64) -> Vec<Life> {
    let lives: Vec<Life> = (from..from + n).map(|n| wish(n).accepted().leased()).collect();
    let results = apply(store, lives.iter().map(Life::insert).collect());
    assert!(results.iter().all(|result| *result == OpResult::Done), "{results:?}");
    lives
}

/// Fills the disk to a byte count and checks everything that must hold.
fn fill_and_recover(store: &Sqlite, fill: &dyn Fill, left: u64, next: &mut u64) -> OpResult {
    let working = leased(store, *next, 4);
    *next += 100;
    fill.leave(left);
    let fresh = wish(*next + 50).accepted();
    let promised = |life: &Life| {
        life.insert_promised(&format!("k{}", life.run.id), 1, hale_core::time::Timestamp(i64::MAX))
    };
    let taken = one(store, promised(&fresh));
    match &taken {
        OpResult::Done => assert!(store.space().unwrap().full_since.is_none(), "{left}"),
        OpResult::Full => {
            let space = store.space().unwrap();
            assert!(space.full_since.is_some() && !space.ballast, "{left}: {space:?}");
            assert_eq!(store.run(fresh.run.id).unwrap(), None);
            // Refused again, and never accepted in secret.
            assert_eq!(one(store, promised(&fresh)), OpResult::Full);
        }
        other => panic!("{left}: {other:?}"),
    }
    for life in working {
        let done = life.clone().stepped().completed();
        assert_eq!(one(store, done.update_since(life.run.seq)), OpResult::Done, "{left}");
        assert_eq!(store.run(life.run.id).unwrap().unwrap().run, done.run);
    }
    fill.give_back();
    let back = one(store, promised(&fresh));
    match taken {
        OpResult::Done => assert_eq!(back, OpResult::Duplicate { run: fresh.run.id, digest: [1; 32] }),
        _ => assert_eq!(back, OpResult::Done, "{left}"),
    }
    let space = store.space().unwrap();
    assert!(space.full_since.is_none() && space.ballast, "{left}: {space:?}");
    taken
}

fn everything(store: &Sqlite) -> Vec<RunId> {
    store.list(&ListFilter::default(), None, 100_000).unwrap().runs.iter().map(|run| run.id).collect()
}

/// Byte counts around every bound, and between.
fn byte_counts() -> Vec<u64> {
    let mut counts = vec![0, 1, 511, 4096, 5000];
    counts.extend((1..24).map(|step| step * 37 * KIB));
    counts.extend([FLOOR - 1, FLOOR, FLOOR + 1, FLOOR + BALLAST, FLOOR + BALLAST + 64 * KIB]);
    counts
}

fn at_many_byte_counts(store: &Sqlite, fill: &dyn Fill) {
    let (mut next, mut full, mut open) = (1, 0, 0);
    for left in byte_counts() {
        match fill_and_recover(store, fill, left, &mut next) {
            OpResult::Full => full += 1,
            _ => open += 1,
        }
    }
    assert!(full > 5 && open > 5, "{full} full, {open} not: the disk was not filled across the bound");
    assert!(store.verify().unwrap().is_well());
}

struct Quota<'a>(&'a Mount);

impl Fill for Quota<'_> {
    fn leave(&self, bytes: u64) {
        let mut state = self.0.platter.state();
        state.quota = Some(usize::MAX);
        state.quota = Some(state.used() + bytes as usize);
    }

    fn give_back(&self) {
        self.0.platter.state().quota = None;
    }
}

fn tight() -> Options {
    Options { floor_bytes: FLOOR, ballast_bytes: BALLAST, ..Options::default() }
}

#[test]
fn a_disk_filled_to_any_byte_count_loses_nothing_and_recovers() {
    let dir = tempfile::tempdir().unwrap();
    let mount = Mount::new(dir.path(), Platter::default());
    let options = Options { vfs: Some(vfs::register()), disk: mount.platter.clone(), ..tight() };
    let store = open(&mount.dir, options.clone());
    at_many_byte_counts(&store, &Quota(&mount));
    let before = everything(&store);
    drop(store);
    assert_eq!(everything(&open(&mount.dir, options)), before);
}

#[test]
fn a_batch_that_does_not_fit_is_refused_and_not_torn() {
    let dir = tempfile::tempdir().unwrap();
    let mount = Mount::new(dir.path(), Platter::default());
    let store =
        open(&mount.dir, Options { vfs: Some(vfs::register()), disk: mount.platter.clone(), ..tight() });
    let fill = Quota(&mount);
    fill.leave(FLOOR + 64 * KIB);
    let life = wish(1).accepted();
    let Op::Insert(mut insert) = life.insert() else { unreachable!() };
    insert.input = format!("{:?}", "x".repeat(1 << 20)).into();
    let small = wish(2).accepted();
    assert_eq!(
        apply(&store, vec![small.insert(), Op::Insert(insert.clone())]),
        [OpResult::Full, OpResult::Full]
    );
    assert!(everything(&store).is_empty());
    fill.give_back();
    assert_eq!(apply(&store, vec![small.insert(), Op::Insert(insert)]), [OpResult::Done, OpResult::Done]);
    assert!(store.verify().unwrap().is_well());
}

#[test]
fn blobs_leave_the_last_bytes_to_the_database() {
    let dir = tempfile::tempdir().unwrap();
    let mount = Mount::new(dir.path(), Platter::default());
    let store =
        open(&mount.dir, Options { vfs: Some(vfs::register()), disk: mount.platter.clone(), ..tight() });
    let fill = Quota(&mount);
    fill.leave(FLOOR + 10 * KIB);
    let error = store.blobs().put(&vec![1; 11 * KIB as usize]).unwrap_err();
    assert!(matches!(error, Error::Full { .. }), "{error}");
    assert_eq!(error.code(), hale_core::code::Code::E007);
    store.blobs().put(&vec![1; 9 * KIB as usize]).unwrap();
}

#[test]
fn a_store_that_starts_on_a_full_disk_reads_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mount = Mount::new(dir.path(), Platter::default());
    let options = Options { vfs: Some(vfs::register()), disk: mount.platter.clone(), ..tight() };
    let store = open(&mount.dir, options.clone());
    let life = leased(&store, 1, 1).remove(0);
    drop(store);
    mount.platter.state().remove(&mount.dir.join("ballast")).unwrap();
    let fill = Quota(&mount);
    fill.leave(FLOOR + BALLAST - 1);
    let store = open(&mount.dir, options);
    assert!(store.space().unwrap().full_since.is_some());
    assert_eq!(one(&store, wish(2).accepted().insert()), OpResult::Full);
    assert_eq!(store.run(life.run.id).unwrap().unwrap().run, life.run);
    assert_eq!(one(&store, life.clone().stepped().update_since(life.run.seq)), OpResult::Done);
    fill.give_back();
    assert_eq!(one(&store, wish(2).accepted().insert()), OpResult::Done);
}

/// A real file system of a fixed size, where this machine lets us mount one.
struct Tmpfs {
    dir: tempfile::TempDir,
}

impl Tmpfs {
    #[expect(clippy::disallowed_methods, reason = "the test mounts a file system, which no library does")]
    fn mount(bytes: u64) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let size = format!("size={bytes}");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(dir.path()).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self { dir })
    }

    fn filler(&self) -> PathBuf {
        self.dir.path().join("filler")
    }
}

impl Drop for Tmpfs {
    #[expect(clippy::disallowed_methods, reason = "the test unmounts what it mounted")]
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.dir.path()).output();
    }
}

fn free(dir: &Path) -> u64 {
    let stat = rustix::fs::statvfs(dir).unwrap();
    stat.f_bavail * stat.f_frsize
}

impl Fill for Tmpfs {
    fn leave(&self, bytes: u64) {
        let take = free(self.dir.path()).saturating_sub(bytes);
        let file = File::create(self.filler()).unwrap();
        if take > 0 {
            rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, take).unwrap();
        }
        assert!(free(self.dir.path()) <= bytes + 4096, "the disk was not filled");
    }

    fn give_back(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }
}

#[test]
fn a_small_file_system_behaves_like_the_quota() {
    let Some(tmpfs) = Tmpfs::mount(24 << 20) else {
        // Only root may mount; the quota above proves the same without.
        return;
    };
    let store = open(&tmpfs.dir.path().join("data"), tight());
    at_many_byte_counts(&store, &tmpfs);
    let before = everything(&store);
    drop(store);
    let store = open(&tmpfs.dir.path().join("data"), tight());
    assert_eq!(everything(&store), before);
    drop(store);
}

#[test]
fn small_file_systems_fill_up_by_work_alone_and_lose_nothing() {
    for mib in [14, 15, 17, 20] {
        let Some(tmpfs) = Tmpfs::mount(mib << 20) else { return };
        let store = open(tmpfs.dir.path(), Options::default());
        let (mut accepted, mut n) = (Vec::new(), 0);
        let refused = loop {
            n += 100;
            let lives: Vec<Life> = (n..n + 100).map(|n| wish(n).accepted().leased()).collect();
            let results = apply(&store, lives.iter().map(Life::insert).collect());
            let taken = results.iter().filter(|result| **result == OpResult::Done).count();
            accepted.extend(lives.into_iter().take(taken));
            if taken < 100 {
                break results[99].clone();
            }
            assert!(n < 1_000_000, "the file system never filled");
        };
        assert_eq!(refused, OpResult::Full, "{mib} MiB");
        for life in accepted.iter().take(500) {
            let done = life.clone().stepped().completed();
            assert_eq!(one(&store, done.update_since(life.run.seq)), OpResult::Done, "{mib} MiB");
        }
        assert_eq!(everything(&store).len(), accepted.len());
        // Retention makes the room again.
        let pruned = store.prune(hale_core::time::Timestamp(i64::MAX), u64::MAX).unwrap();
        assert_eq!(pruned.runs, accepted.len().min(500) as u64);
        assert!(store.verify().unwrap().is_well());
        drop(store);
    }
}
