//! The whole transition table, as checked in.
//!
//! Read next: `run_properties.rs`.

use hale_core::run::{StateName, transition_table};

// covers: AO-12 AO-13 AO-14 AO-15 AO-16 AO-17 AO-18 AO-19
#[test]
fn the_table_is_the_one_that_is_checked_in() {
    insta::assert_snapshot!(transition_table());
}

// covers: AO-16 AO-17 AO-18 AO-19
#[test]
fn nothing_leads_out_of_a_terminal_state() {
    for name in StateName::ALL.into_iter().filter(|name| name.is_terminal()) {
        let table = transition_table();
        let moves: Vec<&str> = table
            .lines()
            .filter(|line| line.starts_with(&format!("{name} ")) && line.contains("-->"))
            .collect();
        assert!(moves.is_empty(), "{name}: {moves:?}");
        let ways: Vec<&str> = table
            .lines()
            .filter(|line| line.starts_with(&format!("{name} ")) && line.contains("-> "))
            .collect();
        assert_eq!(ways.len(), 1, "{name} takes only `fenced`: {ways:?}");
        assert!(ways[0].contains("--fenced") && ways[0].contains(&format!("-> {name} ")), "{}", ways[0]);
    }
}

// covers: AO-12 AO-13 AO-15
#[test]
fn the_normal_durations_are_the_guides() {
    let normal = |name: StateName| name.normal().map(|span| span.0 / 1000);
    assert_eq!(normal(StateName::Pending), Some(30));
    assert_eq!(normal(StateName::Initializing), Some(60));
    assert_eq!(normal(StateName::Running), None);
    assert_eq!(normal(StateName::Completing), Some(30));
}

#[test]
fn state_names_read_in_any_case_and_with_the_other_guides_aliases() {
    for name in StateName::ALL {
        assert_eq!(name.to_string().parse(), Ok(name));
        assert_eq!(name.to_string().to_lowercase().parse(), Ok(name));
    }
    assert_eq!("queued".parse(), Ok(StateName::Pending));
    assert_eq!("processing".parse(), Ok(StateName::Running));
    assert_eq!("canceled".parse(), Ok(StateName::Cancelled));
    assert_eq!("gone".parse::<StateName>(), Err(()));
}
