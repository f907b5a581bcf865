//! The built-in playbooks, and how an operator's join them.

use hale_core::operation::DECLARED;
use hale_playbooks::catalogue::{FILES, catalogue, explain, with_operators};
use hale_playbooks::playbook::load::load;
use hale_playbooks::playbook::{Risk, Verb};
use hale_playbooks::signal::{SIGNALS, find, suggest};

#[test]
fn every_built_in_playbook_loads() {
    for (file, text) in FILES {
        if let Err(error) = load(text, file) {
            panic!("{error}");
        }
    }
    assert_eq!(catalogue().len(), FILES.len());
    assert!(with_operators(Vec::new()).is_ok());
}

#[test]
fn every_file_of_the_catalogue_is_built_in() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/catalogue");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, FILES.map(|(file, _)| file));
}

#[test]
fn signals_are_sorted_and_found() {
    assert!(SIGNALS.is_sorted_by(|a, b| a.name < b.name));
    for signal in SIGNALS {
        assert_eq!(find(signal.name), Some(signal));
        assert!(!signal.doc.is_empty());
    }
    assert_eq!(find("workers.alive"), None);
    assert_eq!(suggest("workers.lve"), Some("workers.live"));
    assert_eq!(suggest("inodes_free_ratio"), Some("disk.inodes_free_ratio"));
    assert_eq!(suggest("quux"), None);
}

#[test]
fn a_cause_explains_itself() {
    assert!(explain("llm.rate_limitd").is_none());
    insta::assert_snapshot!(explain("run.tool_loop").unwrap().to_string());
}

#[test]
fn an_operator_cannot_take_the_name_of_a_cause_of_ours() {
    let (file, text) = FILES.into_iter().find(|(file, _)| *file == "queue_stands_still.yaml").unwrap();
    let own = load(&text.replace("playbook: queue.stands_still", "playbook: own.queue"), "own.yaml").unwrap();
    let error = with_operators(vec![own]).unwrap_err().to_string();
    assert_eq!(error, format!("load playbook own.yaml: queue.no_live_worker is already that of {file}"));
}

#[test]
fn every_verb_but_advice_is_an_operation_of_the_same_name() {
    for verb in Verb::ALL {
        let declared = DECLARED.iter().find(|declared| declared.name == verb.name());
        assert_eq!(declared.is_none(), verb == Verb::Advise, "{verb}");
        assert_eq!(verb.risk_min(), declared.map_or(Risk::R0, |declared| declared.risk), "{verb}");
    }
}
