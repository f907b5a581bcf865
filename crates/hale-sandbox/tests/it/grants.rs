//! Grants: how they are written, and what the operator's list allows.

use crate::place::Place;
use hale_sandbox::{Folder, Grant, Mode, grant};
use std::fs;
use std::os::unix::fs::symlink;

fn check(text: &str, expected: &str) {
    let read = match text.parse::<Grant>() {
        Ok(grant) => grant.to_string(),
        Err(error) => error.to_string(),
    };
    assert!(read.contains(expected), "{text:?} gave {read:?}, expected {expected:?}");
}

#[test]
fn a_grant_is_an_absolute_folder_and_a_mode_read_only_by_default() {
    check("/var/log", "/var/log:ro");
    check("/var/log:ro", "/var/log:ro");
    check("/var/log:rw", "/var/log:rw");
    check("/var//log/./", "/var/log:ro");
    check("/srv/a:b/logs", "/srv/a:b/logs:ro");
    check("/", "/:ro");
}

#[test]
fn a_wrong_grant_says_what_is_wrong_and_how_it_is_written() {
    for (text, problem) in [
        ("", "not absolute"),
        ("logs", "not absolute"),
        ("./logs:rw", "not absolute"),
        (":ro", "not absolute"),
        ("~/logs", "`~` is not expanded"),
        ("/var/log:rx", "neither ro nor rw"),
        ("/var/log:", "neither ro nor rw"),
        ("/var/../etc", "`..`"),
        ("/var/\0log", "NUL"),
    ] {
        check(text, problem);
        check(text, "for example \"/var/log:ro\"");
    }
}

fn allowed(place: &Place, asked: &str, mode: Mode, list: &[(&str, Mode)]) -> Result<Grant, grant::Error> {
    let list: Vec<Grant> =
        list.iter().map(|(path, mode)| Grant { root: place.inside(path), mode: *mode }).collect();
    Grant { root: place.inside(asked), mode }.allowed_by(&list)
}

#[test]
fn a_grant_must_lie_below_an_allowed_folder() {
    let place = Place::new();
    assert!(allowed(&place, "sub", Mode::Ro, &[("", Mode::Ro)]).is_ok());
    assert!(allowed(&place, "sub", Mode::Ro, &[("sub", Mode::Ro)]).is_ok());
    let refused = allowed(&place, "", Mode::Ro, &[("sub", Mode::Rw)]).unwrap_err();
    assert!(matches!(refused, grant::Error::NotAllowed { .. }), "{refused}");
    assert!(refused.to_string().contains("files.allow"), "{refused}");
    let refused = allowed(&place, "sub", Mode::Ro, &[]).unwrap_err().to_string();
    assert!(refused.contains("no entry"), "{refused}");
    // The beginning of a name is no parent folder.
    fs::create_dir(place.inside("sub-other")).unwrap();
    assert!(allowed(&place, "sub-other", Mode::Ro, &[("sub", Mode::Ro)]).is_err());
}

#[test]
fn write_access_needs_an_entry_that_allows_it() {
    let place = Place::new();
    let refused = allowed(&place, "sub", Mode::Rw, &[("", Mode::Ro)]).unwrap_err();
    assert!(matches!(refused, grant::Error::ReadOnly { .. }), "{refused}");
    assert!(allowed(&place, "sub", Mode::Rw, &[("", Mode::Ro), ("sub", Mode::Rw)]).is_ok());
    assert!(allowed(&place, "sub", Mode::Ro, &[("", Mode::Rw)]).is_ok());
}

#[test]
fn links_in_a_grant_are_resolved_before_it_is_compared() {
    let place = Place::new();
    let refused = allowed(&place, "link-out", Mode::Ro, &[("", Mode::Ro)]).unwrap_err();
    assert!(matches!(refused, grant::Error::NotAllowed { .. }), "{refused}");
    symlink("sub", place.inside("alias")).unwrap();
    let grant = allowed(&place, "alias", Mode::Ro, &[("sub", Mode::Ro)]).unwrap();
    assert_eq!(grant.root, place.inside("sub").canonicalize().unwrap());
}

#[test]
fn a_missing_folder_and_a_file_are_refused_with_their_name() {
    let place = Place::new();
    let missing = allowed(&place, "nowhere", Mode::Ro, &[("", Mode::Ro)]).unwrap_err();
    assert!(missing.to_string().contains("nowhere"), "{missing}");
    let file = allowed(&place, "a.txt", Mode::Ro, &[("", Mode::Ro)]).unwrap_err();
    assert!(matches!(file, grant::Error::NotFolder { .. }), "{file}");
    // An allowed folder that is missing covers nothing and breaks nothing.
    assert!(allowed(&place, "sub", Mode::Ro, &[("nowhere", Mode::Rw), ("", Mode::Ro)]).is_ok());
}

#[test]
fn windows_into_the_kernel_are_no_folders_of_files() {
    let opened = Folder::open(&"/proc:ro".parse().unwrap());
    assert!(opened.unwrap_err().to_string().contains("procfs"));
}
