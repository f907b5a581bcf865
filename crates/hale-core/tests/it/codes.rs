//! Error codes.
//!
//! Read next: `crates/hale-core/src/code.rs`.

use hale_core::code::{ALL, Code};

// covers: AO-200 AO-201 AO-202 AO-203 AO-204 AO-205 AO-206 AO-207
#[test]
fn the_guides_codes_mean_what_the_guides_say() {
    let titles: Vec<&str> = ALL[..8].iter().map(|code| code.meaning().title).collect();
    let expected = [
        "agent pack not found",
        "invalid input",
        "time limit exceeded",
        "resource limit exceeded",
        "authentication failed",
        "external API error",
        "artifact storage error",
        "queue or store error",
    ];
    assert_eq!(titles, expected);
}

#[test]
fn every_code_reads_back_and_answers_with_an_error() {
    for (n, code) in ALL.into_iter().enumerate() {
        assert_eq!(code.to_string(), format!("E{:03}", n + 1));
        assert_eq!(code.to_string().parse(), Ok(code));
        assert_eq!(code.to_string().to_lowercase().parse(), Ok(code));
        assert!((400..600).contains(&code.meaning().http_status), "{code}");
        assert_ne!(code.meaning().exit, 0, "{code}");
        // 2 is a usage error of the command line, 130 an interrupt.
        assert!(![2, 130].contains(&code.meaning().exit), "{code}");
    }
    assert_eq!("E999".parse::<Code>(), Err(()));
}
