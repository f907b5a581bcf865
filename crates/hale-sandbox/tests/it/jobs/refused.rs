//! Jobs that cannot be: refused with what, why and the way out, and nothing started.

use super::*;
use hale_sandbox::job::Error;
use hale_sandbox::job::spec;
use std::os::unix::fs::{PermissionsExt, symlink};

#[track_caller]
fn check(place: &Place, change: impl FnOnce(&mut JobSpec), says: &[&str]) -> spec::Error {
    let mut spec = place.spec(&["exit", "0"]);
    change(&mut spec);
    let Err(Error::Spec(error)) = Job::start(&spec, channel().0) else { panic!("it was not refused") };
    for part in says {
        assert!(error.to_string().contains(part), "{part} is not in: {error}");
    }
    place.check_clean();
    error
}

#[test]
fn a_program_that_is_missing_not_executable_or_not_allowed_is_named() {
    let place = Place::new();
    let missing = place.root().join("no-such");
    let error = check(&place, |spec| spec.program = missing, &["no such file", "install it"]);
    assert!(matches!(error, spec::Error::ProgramMissing { .. }));
    let plain = place.root().join("script");
    std::fs::write(&plain, "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(&plain, std::fs::Permissions::from_mode(0o644)).unwrap();
    let allowed = place.root().to_owned();
    let error = check(
        &place,
        |spec| {
            spec.program = plain.clone();
            spec.allowed_programs = vec![allowed];
        },
        &["not executable", "chmod +x"],
    );
    assert!(matches!(error, spec::Error::NotExecutable { .. }));
    let error =
        check(&place, |spec| spec.program = "/bin/sh".into(), &["outside the allowed paths", STAND_IN]);
    assert!(matches!(error, spec::Error::OutsideAllowed { .. }));
    check(&place, |spec| spec.allowed_programs.clear(), &["none are set"]);
    check(&place, |spec| spec.program = "sh".into(), &["not absolute"]);
    // A link in an allowed folder leads out of it.
    let link = place.root().join("innocent");
    symlink("/bin/sh", &link).unwrap();
    let allowed = place.root().to_owned();
    check(
        &place,
        |spec| {
            spec.program = link;
            spec.allowed_programs = vec![allowed];
        },
        &["outside the allowed paths"],
    );
}

#[test]
fn folders_texts_and_limits_that_make_no_sense_are_named() {
    let place = Place::new();
    check(&place, |spec| spec.working_folder = "/no/such".into(), &["working folder", "create it"]);
    check(
        &place,
        |spec| spec.results_folder = Some("/tmp".into()),
        &["results folder", "below the working folder"],
    );
    let sneaky = place.work().join("../results");
    check(&place, |spec| spec.results_folder = Some(sneaky), &["results folder"]);
    check(&place, |spec| spec.id = "../up".into(), &["id", "letters, digits"]);
    check(&place, |spec| spec.args = vec!["a\0b".into()], &["argument 1", "NUL"]);
    check(&place, |spec| spec.args = vec!["a".repeat(200 << 10)], &["pass a file"]);
    check(&place, |spec| spec.environment = vec![("A=B".into(), "c".into())], &["environment"]);
    check(&place, |spec| spec.environment = vec![("HALE_JOB".into(), "c".into())], &["is set by hale"]);
    check(&place, |spec| spec.limits.memory_bytes = 1, &["memory"]);
    check(&place, |spec| spec.limits.tasks = 0, &["tasks is 0"]);
    check(&place, |spec| spec.limits.wall = Millis::seconds(1_000_000), &["longer than"]);
    check(&place, |spec| spec.limits.grace = Millis::seconds(3600), &["grace"]);
    let table = place.work();
    check(&place, |spec| spec.table = table, &["reaper table", "keep it elsewhere"]);
}

#[test]
fn a_program_that_the_kernel_does_not_start_is_named() {
    let place = Place::new();
    let script = place.root().join("script");
    std::fs::write(&script, "#!/no/such/interpreter\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut spec = place.spec(&[]);
    spec.program.clone_from(&script);
    spec.allowed_programs = vec![script];
    let (sink, events) = channel();
    let error = Job::start(&spec, sink).unwrap_err();
    assert!(matches!(&error, Error::Failed { tried, .. } if tried.contains("script")), "{error}");
    assert_eq!(events.iter().count(), 0);
    place.check_clean();
}

#[test]
fn a_launcher_that_leads_nowhere_is_named() {
    let place = Place::new();
    let mut spec = place.spec(&["exit", "0"]);
    spec.launcher = Launcher { program: "/bin/true".into(), args: Vec::new() };
    let error = Job::start(&spec, channel().0).unwrap_err();
    assert!(matches!(error, Error::Supervisor { .. }), "{error}");
}
