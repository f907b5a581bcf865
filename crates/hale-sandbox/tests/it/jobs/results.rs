//! Results: plain files of the job, and nothing else.

use super::*;
use hale_sandbox::job::results::{Error, Results};
use std::io::Read;

#[test]
fn plain_files_are_results_and_links_doubles_and_pipes_are_not() {
    let place = Place::new();
    let outside = place.root().join("outside");
    std::fs::write(&outside, "secret").unwrap();
    let mut spec = place.spec(&["results", outside.to_str().unwrap()]);
    spec.results_folder = Some(place.work().join("results"));
    let (ended, _) = run(&spec);
    check_kind(&ended, Kind::Exit { code: 0 });
    let results = Results::of(&place.work().join("results")).unwrap().unwrap();
    let files: Vec<(&str, u64)> =
        results.files.iter().map(|file| (file.path.to_str().unwrap(), file.bytes)).collect();
    assert_eq!(files, [("charts/equity.svg", 6), ("result.json", 2)]);
    let refused: Vec<(&str, &str)> =
        results.refused.iter().map(|file| (file.path.to_str().unwrap(), file.why)).collect();
    assert_eq!(
        refused,
        [
            ("fifo", "it is no plain file"),
            ("folder-link", "it is a link"),
            ("link", "it is a link"),
            ("twice", "it has a second name, which may lie outside"),
        ]
    );
    assert!(!results.cut);
    let mut text = String::new();
    results.open(&results.files[1]).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "{}");
    // Swapped after it was listed.
    let file = place.work().join("results/result.json");
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink(&outside, &file).unwrap();
    assert!(matches!(results.open(&results.files[1]), Err(Error::Read(_))));
}

#[test]
fn a_folder_that_was_never_made_is_empty_and_a_link_in_its_place_is_refused() {
    let place = Place::new();
    let folder = place.work().join("results");
    assert!(Results::of(&folder).unwrap().is_none());
    std::os::unix::fs::symlink("/etc", &folder).unwrap();
    assert!(Results::of(&folder).is_err());
}

#[test]
fn more_files_than_the_bound_are_said_to_be_cut() {
    let place = Place::new();
    let folder = place.work();
    for index in 0..1001 {
        std::fs::write(folder.join(format!("r{index}")), "").unwrap();
    }
    let results = Results::of(&folder).unwrap().unwrap();
    assert!(results.cut && results.files.len() == 1000);
}
