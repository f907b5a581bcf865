//! Packs that are wrong or hostile: refused within the parser's budgets, with file, line and a way out.
//!
//! Read next: `crates/hale-core/src/pack/error.rs`.

use crate::packs::env;
use hale_core::limits;
use hale_core::pack::{Error, Paint, parse};
use proptest::prelude::*;

fn refused(bytes: &[u8], file: &str) -> Box<Error> {
    let error = parse(bytes, file, &env()).expect_err("it is no pack");
    let first = error.first();
    assert!(first.line >= 1 && first.column >= 1 && !first.message.is_empty() && !first.help.is_empty());
    error
}

fn report(front: &str) -> String {
    refused(format!("---\n{front}---\nDo it.\n").as_bytes(), "triage.md").render(Paint::Plain)
}

macro_rules! reports {
    ($($name:ident: $front:expr;)*) => {$(
        // covers: CX-60 CX-64
        #[test]
        fn $name() {
            insta::assert_snapshot!(report($front));
        }
    )*};
}

reports! {
    an_unknown_key_suggests_the_near_one: "name: a\ntoolss: [files.read]\n";
    an_unknown_key_without_a_near_one_lists_them: "name: a\nzebra: 1\n";
    an_unknown_limit_suggests_the_near_one: "name: a\nlimits: { timeout_seconds: 5 }\n";
    a_duplicate_key_is_shown_where_it_stands_again: "name: a\nversion: 1.0.0\nname: b\n";
    a_duplicate_key_inside_is_one_too: "name: a\nlimits: { timeout: 5s, timeout: 6s }\n";
    an_anchor_is_refused: "name: a\ncapabilities: &all [one, two]\n";
    an_alias_is_refused: "name: a\ndescription: *all\n";
    a_merge_key_is_refused: "name: a\nlimits:\n  <<: { timeout: 5s }\n";
    a_tag_is_refused: "name: a\nversion: !!python/object 1.0.0\n";
    bad_grammar_shows_the_place: "name: a\ntools: [files.read\nversion: 1.0.0\n";
    a_missing_name_is_asked_for: "description: b\n";
    a_number_without_its_unit_is_refused: "name: a\nlimits: { timeout: 60, memory: 256 }\n";
    a_limit_past_its_bound_is_refused: "name: a\nlimits: { timeout: 25h, max_turns: 5000, budget_usd: -1 }\n";
    an_unknown_tool_suggests_the_near_one: "name: a\ntools: [files.raed, shell.run]\n";
    a_pack_is_no_tool_of_itself: "name: a\ntools: [time.sleep, pack:a@1.0.0]\n";
    a_pack_is_a_tool_by_its_name_and_once: "name: a\ntools: [pack:Not A Name, pack:b, pack:b@1.0.0, pack:c@1]\n";
    consent_is_for_tools_that_there_are: "name: a\ntools: [files.read]\napprove: [files.raed]\napproval_timeout: 8\n";
    consent_without_tools_is_a_slip: "name: a\napprove: [pack:b]\napproval_timeout: 31d\n";
    tools_as_text_are_not_guessed: "name: a\ntools: files.read\n";
    a_grant_must_be_absolute: "name: a\ntools: [files.read]\ngrants: { files: [\"var/log:ro\", \"/a/../etc:ro\", \"/a:rx\"] }\n";
    a_site_is_a_host: "name: a\ntools: [web.fetch]\ngrants: { web: [\"https://example.com\", 0x7f.1] }\n";
    a_bad_name_is_mended: "name: My Log Reader!\n";
    a_version_has_three_numbers: "name: a\nversion: 1.2\n";
    a_model_has_a_provider: "name: a\nmodel: gpt-5\n";
    an_unknown_kind_is_refused: "name: a\nkind: agnet\n";
    an_unknown_input_type_is_refused: "name: a\ninput: { n: int, path: strng? }\n";
    a_default_must_be_of_its_type: "name: a\ninput: { n: {type: integer, default: three} }\n";
    an_input_without_type_is_refused: "name: a\ninput: { n: {default: 3}, 9lives: string }\n";
    a_backoff_goes_up: "name: a\nretry: { max: 99, backoff: 8s..1s }\n";
    a_step_stands_once: "name: a\nsteps: [one, two, one]\n";
    a_key_without_a_value_is_refused: "name: a\ntools:\n";
    a_list_is_no_front_matter: "- name\n- a\n";
    a_long_line_is_cut: &format!("name: a\ndescription: {}\nzebra: 1\n{}: 1\n", "x".repeat(5000), "y".repeat(900));
}

#[test]
fn all_problems_are_told_at_once_in_the_order_of_the_file() {
    let text = "---\nname: A\nversion: 1\ntoolz: []\n---\nDo it.";
    let error = refused(text.as_bytes(), "a.md");
    let lines: Vec<usize> = error.problems.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [2, 3, 4]);
    assert!(error.to_string().ends_with("(and 2 more)"), "{error}");
}

#[test]
fn the_same_is_there_for_machines() {
    let error = refused(b"---\nname: a\ntoolss: []\n---\nDo it.", "triage.md");
    insta::assert_snapshot!(serde_json::to_string_pretty(&error.json()).unwrap());
    let failure = error.failure();
    assert_eq!((failure.code.to_string().as_str(), failure.cause.as_str()), ("E012", "pack.invalid"));
}

#[test]
fn colour_adds_nothing_but_colour() {
    let error = refused(b"---\nname: a\ntoolss: []\n---\nDo it.", "triage.md");
    let coloured = error.render(Paint::Colour);
    assert!(coloured.contains('\u{1b}'));
    let mut plain = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = after.split_once('m').map_or("", |(_, rest)| rest);
    }
    plain.push_str(rest);
    assert_eq!(plain, error.render(Paint::Plain));
}

#[test]
fn bad_utf_8_names_its_byte() {
    insta::assert_snapshot!(
        refused(b"---\nname: a\ndescription: caf\xe9 and more\n---\nDo it.", "latin.md").render(Paint::Plain)
    );
}

#[test]
fn a_nul_is_refused_wherever_it_stands() {
    insta::assert_snapshot!(refused(b"---\nname: a\n---\nDo\0 it.", "nul.md").render(Paint::Plain));
    refused(b"---\nname: a\0\n---\nDo it.", "nul.md");
    refused(b"name = \"a\0\"", "nul.toml");
}

#[test]
fn a_file_of_ten_megabytes_is_refused_by_its_size_alone() {
    // It is not UTF-8 either: the size is looked at first, nothing of it is parsed or shown.
    let error = refused(&vec![0xff; 10 << 20], "big.md");
    insta::assert_snapshot!(error.render(Paint::Plain));
    let fits = format!("---\nname: a\n---\n{}", "x".repeat(limits::PACK_BYTES - 16));
    assert_eq!(fits.len(), limits::PACK_BYTES);
    assert!(parse(fits.as_bytes(), "a.md", &env()).is_ok());
    refused(format!("{fits}x").as_bytes(), "a.md");
}

#[test]
fn front_matter_that_is_missing_or_open_is_asked_for() {
    insta::assert_snapshot!(refused(b"# Just a note\n", "note.md").render(Paint::Plain));
    insta::assert_snapshot!(refused(b"---\nname: a\nDo it.\n", "open.md").render(Paint::Plain));
    insta::assert_snapshot!(refused(b"", "empty.md").render(Paint::Plain));
    insta::assert_snapshot!(refused(b"---\n---\n", "bare.md").render(Paint::Plain));
}

#[test]
fn an_agent_without_a_prompt_is_refused() {
    insta::assert_snapshot!(refused(b"---\nname: a\n---\n\n", "mute.md").render(Paint::Plain));
}

#[test]
fn toml_errors_have_a_place_too() {
    insta::assert_snapshot!(
        refused(b"name = \"a\"\nsystem_prompt = \"x\"\n\n[limits]\ntimeout = 60\n", "a.toml")
            .render(Paint::Plain)
    );
    insta::assert_snapshot!(refused(b"name = a\n", "a.toml").render(Paint::Plain));
    insta::assert_snapshot!(refused(b"name = \"a\"\nname = \"b\"\n", "a.toml").render(Paint::Plain));
}

#[test]
fn deep_nesting_ends_at_the_bound() {
    let nested = |depth: usize| {
        format!("---\nname: a\nx-deep: {}{}\n---\nDo it.", "[".repeat(depth), "]".repeat(depth))
    };
    assert!(parse(nested(20).as_bytes(), "a.md", &env()).is_ok());
    for depth in [limits::PACK_DEPTH + 1, 1_000, 100_000] {
        let error = refused(nested(depth).as_bytes(), "deep.md");
        assert!(error.first().message.contains("nested deeper than 32 levels"), "{error}");
        assert_eq!(error.first().line, 3);
    }
    let blocks: String = (0..200).map(|n| format!("{}a:\n", "  ".repeat(n))).collect();
    refused(format!("---\nx-deep:\n{}---\nDo it.", blocks.replace("a:", " a:")).as_bytes(), "deep.md");
    let toml =
        format!("name = \"a\"\nsystem_prompt = \"b\"\nx-deep = {}{}", "[".repeat(500), "]".repeat(500));
    refused(toml.as_bytes(), "deep.toml");
    let dotted = format!("name = \"a\"\nsystem_prompt = \"b\"\nx.{} = 1", vec!["a"; 5_000].join("."));
    refused(dotted.as_bytes(), "deep.toml");
}

#[test]
fn more_values_than_the_bound_are_refused() {
    let many = |n: usize| format!("---\nname: a\nx-many: [{}]\n---\nDo it.", vec!["1"; n].join(","));
    assert!(parse(many(limits::PACK_NODES - 100).as_bytes(), "a.md", &env()).is_ok());
    let error = refused(many(limits::PACK_NODES + 1).as_bytes(), "many.md");
    assert!(error.first().message.contains("more than 10000 values"), "{error}");
    let toml =
        |n: usize| format!("name = \"a\"\nsystem_prompt = \"b\"\nx-many = [{}]", vec!["1"; n].join(","));
    assert!(parse(toml(limits::PACK_NODES - 100).as_bytes(), "a.toml", &env()).is_ok());
    refused(toml(limits::PACK_NODES + 1).as_bytes(), "many.toml");
}

#[test]
fn bombs_do_not_expand() {
    let mut laughs = "---\nname: a\nx-0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for n in 1..20 {
        let before = format!("*a{}, ", n - 1).repeat(9);
        laughs.push_str(&format!("x-{n}: &a{n} [{before}]\n"));
    }
    laughs.push_str("---\nDo it.");
    let error = refused(laughs.as_bytes(), "laughs.md");
    assert_eq!(error.first().line, 3, "refused at the first anchor, before anything is expanded");
    assert!(error.first().message.contains("anchors and aliases"), "{error}");
    refused(b"---\nname: &n a\ndescription: *n\n---\nDo it.", "a.md");
    refused(b"---\nx-self: &s [*s]\n---\nDo it.", "a.md");
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    let error =
        refused(b"---\nname: a\ndescription: \"\\e[31mred\"\n\x1b[31mzebra: 1\n---\nDo it.", "a\x1b[2J.md");
    let shown = format!("{}{error}{}", error.render(Paint::Plain), error.json());
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
}

#[test]
fn a_half_written_pack_is_refused_at_every_length_or_says_less() {
    let text = include_str!("../../../../packs/log-triage.md");
    let front_ends = text.find("\n---\n").unwrap() + 5;
    for length in (0..front_ends).filter(|at| text.is_char_boundary(*at)) {
        refused(&text.as_bytes()[..length], "half.md");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_the_parser_or_its_reports_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Err(error) = parse(&bytes, "a.md", &env()) {
            let _ = (error.render(Paint::Plain), error.json());
        }
    }

    #[test]
    fn no_front_matter_makes_the_parser_or_its_reports_panic(
        parts in prop::collection::vec(
            prop_oneof![
                prop::sample::select(vec![
                    "name: a\n", "tools: ", "[", "]", "{", "}", ": ", "\n", "  ", "- ", "limits:", "input: {",
                    "timeout: 5s", "é", "\u{1f600}", "&a ", "*a ", "|\n", ">\n", "\"", "'", "#", "!!x ", "? ", "%",
                    "---\n", "\t", "\r\n", "color: red\n", "description: b: c\n", ",", "\u{85}", "\u{2028}",
                ]).prop_map(str::to_owned),
                "[a-z :]{0,6}",
            ],
            0..30,
        ),
        file in prop::sample::select(vec!["a.md", "a.toml"]),
    ) {
        let text = format!("---\n{}\n---\nDo it.", parts.concat());
        let text = if file == "a.toml" { parts.concat() } else { text };
        if let Err(error) = parse(text.as_bytes(), file, &env()) {
            let lines = text.split('\n').count();
            prop_assert!(error.problems.iter().all(|problem| problem.line <= lines));
            let _ = (error.render(Paint::Plain), error.json());
        }
    }
}
