//! A full disk: new work is refused with a time to come back, work in progress ends, reads go on, and it passes.
//!
//! The disk is a small tmpfs in a mount namespace of the server's own; it goes when the server goes. The test reaches
//! it through `/proc/PID/root`.

use crate::world::{Http, World, order, submit, until};
use hale_lab::history::{Submission, check};
use serde_json::{Value, json};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The server's disk: its reserve, its floor, and some room.
const DISK_BYTES: u64 = 40 << 20;
/// Below the server's floor of 4 MiB, down to nothing, whole blocks and odd numbers.
const LEFT: [u64; 7] = [0, 1, 4096, 5000, 64 << 10, 1 << 20, 3 << 20];
/// What a file system gives away at once.
const BLOCK: u64 = 4096;
const PATIENCE: Duration = Duration::from_secs(30);

/// How this process may make a mount namespace.
fn namespace() -> [&'static str; 2] {
    let works = |flags: &str| {
        #[expect(clippy::disallowed_methods, reason = "a proof about processes starts processes")]
        let tried = Command::new("unshare")
            .args([flags, "mount", "-t", "tmpfs", "tmpfs", "/mnt"])
            .stderr(Stdio::null())
            .status();
        tried.is_ok_and(|status| status.success())
    };
    match ["-Urm", "-m"].into_iter().find(|flags| works(flags)) {
        Some(flags) => ["unshare", flags],
        None => {
            panic!("this proof needs a small disk: run it as root, or allow user namespaces for unshare(1)")
        }
    }
}

/// The server's disk as this process sees it.
struct Disk {
    root: PathBuf,
    fill: PathBuf,
}

impl Disk {
    fn of(world: &World) -> Self {
        let pid = world.server.as_ref().unwrap().pid();
        let inside = world.data.strip_prefix("/").unwrap().to_owned();
        let root = Path::new(&format!("/proc/{pid}/root")).join(inside);
        Self { fill: root.join("others.data"), root }
    }

    fn free(&self) -> u64 {
        let stat = rustix::fs::statvfs(&self.root).unwrap();
        stat.f_bavail * stat.f_frsize
    }

    /// Takes room until so many bytes are left, whatever the server gives up meanwhile.
    fn leave(&self, left: u64) {
        let mut file = File::options().create(true).append(true).open(&self.fill).unwrap();
        for _ in 0..3 {
            let take = self.free().saturating_sub(left);
            let piece = vec![b'x'; 64 << 10];
            let mut taken = 0;
            while taken < take {
                let size = (take - taken).min(piece.len() as u64) as usize;
                if file.write_all(&piece[..size]).is_err() {
                    break;
                }
                taken += size as u64;
            }
        }
    }

    fn give_back(&self) {
        std::fs::remove_file(&self.fill).unwrap();
    }
}

fn causes(http: &mut Http) -> (Vec<String>, Value) {
    let doctor = http.get("/api/v1/doctor").unwrap().json();
    let findings = doctor["verdict"]["findings"].as_array().unwrap_or_else(|| panic!("{doctor:#}"));
    (findings.iter().filter_map(|finding| Some(finding["code"].as_str()?.to_owned())).collect(), doctor)
}

fn reads_work(http: &mut Http, id: &str, left: u64) {
    let run = format!("/api/v1/runs/{id}");
    for path in [&run, &format!("{run}/history"), "/api/v1/runs", "/api/v1/status"] {
        let answer = http.get(path).unwrap();
        assert_eq!(answer.status, 200, "{path} with {left} bytes left: {}", answer.text);
    }
}

/// Fills the disk while a run is under way, and checks everything that must hold.
fn fill_and_recover(world: &mut World, disk: &Disk, (n, left): (usize, u64)) -> Vec<Submission> {
    let mut http = world.http();
    let calls = world.calls().1;
    let mut under_way = order("hello", &format!("under-way-{n}"));
    let taken = submit(&mut http, &mut under_way).unwrap();
    assert_eq!(taken.status, 202, "{}", taken.text);
    until("the model is asked", PATIENCE, || (world.calls().1 > calls).then_some(()));
    let id = under_way.receipts[0]["id"].as_str().unwrap().to_owned();
    disk.leave(left);
    let mut fresh = order("echo", &format!("fresh-{n}"));
    // The reserve is given up first; what others take after that cannot be met any more.
    let refused = until("new work is refused", PATIENCE, || {
        disk.leave(left);
        let mut probe = order("echo", &format!("fresh-{n}"));
        let answer = submit(&mut http, &mut probe).unwrap();
        fresh.receipts.extend(probe.receipts);
        (answer.status != 200 && answer.status != 202).then_some(answer)
    });
    assert_eq!(refused.status, 503, "{left} bytes left: {}", refused.text);
    let wait: u64 = refused.headers["retry-after"].parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(refused.json()["code"], "E014", "{}", refused.text);
    // Every other time the others take what the server gave up for its own last writes, too.
    let reserve_taken = n % 2 == 1;
    if reserve_taken {
        disk.leave(left);
        assert!(disk.free() <= left + BLOCK, "{} bytes are free", disk.free());
    }
    reads_work(&mut http, &id, left);
    let (found, doctor) = causes(&mut http);
    assert!(found.iter().any(|cause| cause == "store.disk_full"), "{left} bytes left: {found:?} {doctor:#}");
    let ended = |http: &mut Http| http.get(&format!("/api/v1/runs/{id}?wait=20s")).unwrap().json();
    if !reserve_taken {
        let ended = ended(&mut http);
        assert_eq!(ended["state"], "COMPLETED", "with {left} bytes left: {ended:#}\n{}", world.log());
    }
    disk.give_back();
    let last = ended(&mut http);
    assert_eq!(last["state"], "COMPLETED", "{left} bytes were left: {last:#}\n{}", world.log());
    until("new work is taken again", PATIENCE, || {
        let answer = submit(&mut http, &mut fresh).unwrap();
        matches!(answer.status, 200 | 202).then_some(())
    });
    until("the doctor is content", PATIENCE, || {
        let (found, _) = causes(&mut http);
        (!found.iter().any(|cause| cause == "store.disk_full")).then_some(())
    });
    vec![under_way, fresh]
}

#[test]
fn a_full_disk_refuses_new_work_and_loses_none() {
    let mut world = World::new();
    std::fs::create_dir(&world.data).unwrap();
    let mount = format!("mount -t tmpfs -o size={DISK_BYTES} tmpfs \"$0\" && exec \"$@\"");
    let [unshare, flags] = namespace();
    let data = world.data.display().to_string();
    let mut command = world.server_command(&[unshare, flags, "sh", "-c", &mount, &data]);
    // The address is on the small disk too.
    world.up_inside(&mut command);
    world.model_does(&json!({"fault": {"kind": "slow", "first_token_ms": 1500, "per_chunk_ms": 0}}));
    let disk = Disk::of(&world);
    let total = rustix::fs::statvfs(&disk.root).unwrap();
    assert!(total.f_blocks * total.f_frsize <= DISK_BYTES, "the server is not on the small disk");
    let mut submissions = Vec::new();
    for point in LEFT.into_iter().enumerate() {
        submissions.extend(fill_and_recover(&mut world, &disk, point));
    }
    world.settle(PATIENCE);
    let observed = world.observe(submissions, Vec::new());
    let violations = check(&observed);
    assert!(violations.is_empty(), "{violations:#?}");
}
