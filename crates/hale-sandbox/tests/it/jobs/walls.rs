//! The walls, looked at from inside.

use super::*;
use hale_sandbox::job::wall::{ALL, Standing, State, Wall};

fn look(place: &Place, args: &[&str]) -> String {
    let mut all = vec!["look"];
    all.extend(args);
    let (ended, events) = run(&place.spec(&all));
    check_kind(&ended, Kind::Exit { code: 0 });
    stdout(&events).join("\n")
}

fn state(walls: &[Standing], wall: Wall) -> &State {
    &walls.iter().find(|standing| standing.wall == wall).unwrap().state
}

/// Whether this machine has it; a test of what it forbids means nothing without.
fn has(place: &Place, wall: Wall) -> bool {
    let (ended, _) = run(&place.spec(&["exit", "0"]));
    *state(&ended.walls, wall) == State::Live
}

#[test]
fn every_wall_is_reported_once_and_the_basic_ones_stand() {
    let place = Place::new();
    let (ended, events) = run(&place.spec(&["exit", "0"]));
    let Some(Event::Started(started)) = events.first() else { panic!("{events:?}") };
    assert_eq!(started.walls, ended.walls);
    assert_eq!(started.pid, started.pgid);
    let mut reported: Vec<Wall> = ended.walls.iter().map(|standing| standing.wall).collect();
    reported.sort();
    let mut all = ALL.to_vec();
    all.sort();
    assert_eq!(reported, all);
    for wall in [
        Wall::Session,
        Wall::Subreaper,
        Wall::ParentDeath,
        Wall::NoNewPrivileges,
        Wall::RlimitData,
        Wall::RlimitCpu,
        Wall::RlimitFileSize,
        Wall::RlimitOpenFiles,
        Wall::RlimitCore,
        Wall::ClosedFiles,
        Wall::OomScore,
        Wall::Capabilities,
        Wall::SystemCalls,
        Wall::Sockets,
        Wall::MemoryWatch,
        Wall::TaskWatch,
        Wall::CpuWatch,
        Wall::DiskWatch,
    ] {
        assert_eq!(*state(&ended.walls, wall), State::Live, "{wall}");
    }
    let State::NotAvailable { why } = state(&ended.walls, Wall::CgroupMemory) else { panic!() };
    assert!(why.contains("cgroup v2"), "{why}");
}

#[test]
fn the_program_finds_itself_alone_small_and_without_rights() {
    let place = Place::new();
    let mut spec = place.spec(&["look", "surroundings"]);
    spec.limits.cpu = Millis(2500);
    // Left open without the mark, as careless libraries do.
    let careless = std::fs::File::open("/dev/null").unwrap();
    rustix::io::fcntl_setfd(&careless, rustix::io::FdFlags::empty()).unwrap();
    let (_, events) = run(&spec);
    drop(careless);
    let said = stdout(&events);
    for line in [
        "NoNewPrivs:1",
        "Seccomp:2",
        "CapEff:0000000000000000",
        "CapPrm:0000000000000000",
        "Threads:1",
        "fds:[0, 1, 2]",
        "stdin:/dev/null",
        "leads:true",
        "oom:500",
        "Max cpu time 3 4 seconds",
        "Max core file size 0 0 bytes",
        "Max open files 512 512 files",
    ] {
        assert!(said.iter().any(|said| said == line), "{line} is not in {said:#?}");
    }
    assert!(said.contains(&format!("folder:{}", place.work().display())));
}

#[test]
fn the_environment_is_what_was_listed_and_the_marker() {
    let place = Place::new();
    let mut spec = place.spec(&["look", "environ"]);
    spec.environment = vec![("LANG".to_owned(), "C".to_owned()), ("EMPTY".to_owned(), String::new())];
    let (_, events) = run(&spec);
    let Some(Event::Started(started)) = events.first() else { panic!("{events:?}") };
    let mut said = stdout(&events);
    said.sort();
    assert_eq!(said, ["EMPTY=".to_owned(), started.marker.clone(), "LANG=C".to_owned()]);
}

#[test]
fn dangerous_system_calls_are_denied() {
    let place = Place::new();
    let said = look(&place, &["calls"]);
    for call in [
        "ptrace",
        "mount",
        "bpf",
        "keyctl",
        "setns",
        "unshare",
        "kexec_load",
        "io_uring_setup",
        "socket",
        "clone-newuser",
    ] {
        assert!(said.lines().any(|line| line == format!("{call} 1")), "{call} in {said}");
    }
    assert!(said.contains("clone3 38"), "{said}");
}

#[test]
fn without_the_network_there_is_no_socket_and_with_it_there_is() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let place = Place::new();
    assert_eq!(look(&place, &["connect", &address]), "denied");
    assert_eq!(look(&place, &["unix", "/run/some.sock"]), "denied");
    assert_eq!(look(&place, &["pair"]), "done");
    let mut spec = place.spec(&["look", "connect", &address]);
    spec.network = Network::Allowed;
    let (ended, events) = run(&spec);
    assert_eq!(stdout(&events), ["done"]);
    assert_eq!(*state(&ended.walls, Wall::Sockets), State::NotAsked);
    assert_eq!(*state(&ended.walls, Wall::Tcp), State::NotAsked);
}

#[test]
fn files_outside_the_named_folders_are_out_of_reach() {
    let place = Place::new();
    if !has(&place, Wall::Files) {
        return;
    }
    let secret = place.root().join("secret");
    std::fs::write(&secret, "key").unwrap();
    let secret = secret.to_str().unwrap();
    assert_eq!(look(&place, &["read", secret]), "denied");
    assert_eq!(look(&place, &["write", secret]), "denied");
    assert_eq!(look(&place, &["truncate", secret]), "denied");
    assert_eq!(std::fs::read_to_string(secret).unwrap(), "key");
    let ours = format!("/proc/{}/environ", std::process::id());
    assert_eq!(look(&place, &["read", &ours]), "denied");
    let table = place.table().join("x.job");
    assert_eq!(look(&place, &["write", table.to_str().unwrap()]), "denied");
    assert_eq!(look(&place, &["write", "here"]), "done");

    let data = place.root().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("prices"), "1").unwrap();
    let prices = data.join("prices");
    let mut spec = place.spec(&["look", "read", prices.to_str().unwrap()]);
    spec.read_only = vec![data.clone()];
    assert_eq!(stdout(&run(&spec).1), ["done"]);
    spec.args[1] = "write".to_owned();
    assert_eq!(stdout(&run(&spec).1), ["denied"]);
    spec.read_write = vec![data];
    assert_eq!(stdout(&run(&spec).1), ["done"]);
}

#[test]
fn processes_outside_cannot_be_signalled() {
    let place = Place::new();
    if !has(&place, Wall::Scope) {
        return;
    }
    let ours = std::process::id().to_string();
    assert_eq!(look(&place, &["signal", &ours]), "denied");
}

#[test]
fn a_required_wall_that_is_missing_refuses_the_job_before_anything_runs() {
    let place = Place::new();
    let mut spec = place.spec(&["look", "write", "was-here"]);
    spec.required = vec![Wall::Session, Wall::CgroupMemory];
    let (sink, events) = channel();
    let error = Job::start(&spec, sink).unwrap_err();
    let said = error.to_string();
    assert!(said.contains("requires the wall cgroup-memory, which is not live: no cgroup v2"), "{said}");
    assert_eq!(events.iter().count(), 0);
    until("the end of the supervisor", || place.orphans().is_empty());
    assert!(!place.work().join("was-here").exists());
    place.check_clean();
    spec.required = vec![Wall::Sockets];
    spec.network = Network::Allowed;
    let said = Job::start(&spec, channel().0).unwrap_err().to_string();
    assert!(said.contains("may use the network"), "{said}");
    spec.network = Network::Denied;
    assert_eq!(stdout(&run(&spec).1), ["done"]);
}

#[test]
fn walls_have_names_that_read_back() {
    for wall in ALL {
        assert_eq!(wall.name().parse::<Wall>().unwrap(), wall);
        assert_eq!(serde_json::to_value(wall).unwrap(), wall.name());
    }
    let said = "socket".parse::<Wall>().unwrap_err().to_string();
    assert!(said.contains("did you mean sockets?"), "{said}");
}
