//! No way to cut a text lets a match through, and none changes what comes out.
//!
//! Every sample in prose, in JSON and in events of a stream, cut at every place in two and at every two places in
//! three; the long form (`cargo xtask prove guard-splits`) goes on with pieces drawn at random.

use crate::guards::{NAMED, samples};
use hale_core::guard::{Action, Filter, Found, Kind, Policy};
use proptest::prelude::*;

/// Fewest cases; the long form asks for 1,000,000.
fn wanted() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "how long a proof is, is said by who runs it")]
    let asked = std::env::var("HALE_PROVE_SPLITS");
    asked.ok().and_then(|text| text.parse().ok()).unwrap_or(60_000)
}

struct Case {
    kind: Kind,
    /// What must not pass.
    value: String,
    text: String,
}

/// Every value in every kind of text.
fn cases() -> Vec<Case> {
    let plain = samples().into_iter().map(|(kind, value)| (kind, String::new(), value, String::new()));
    let named = NAMED
        .map(|(before, value, after)| (Kind::Secret, before.to_owned(), value.to_owned(), after.to_owned()));
    let mut all = Vec::new();
    for (kind, before, value, after) in plain.chain(named) {
        let inner = format!("{before}{value}{after}");
        let quoted = serde_json::Value::String(format!("é {inner} ok")).to_string();
        for text in [
            format!("Grüße, {inner} and so on."),
            format!("{{\"a\":{quoted},\"n\":1}}"),
            format!("data: {{\"delta\":{{\"content\":{quoted}}}}}\n\ndata: [DONE]\n\n"),
        ] {
            all.push(Case { kind, value: value.clone(), text });
        }
    }
    all
}

struct Outcome {
    text: String,
    found: Vec<Found>,
    blocked: bool,
}

fn through(action: Action, pieces: &[&str]) -> Outcome {
    let mut filter = Filter::new(Policy::all(action));
    let mut out = Outcome { text: String::new(), found: Vec::new(), blocked: false };
    for piece in pieces {
        let released = filter.push(piece);
        out.text.push_str(&released.text);
        out.found.extend(released.found);
    }
    let released = filter.finish();
    out.text.push_str(&released.text);
    out.found.extend(released.found);
    out.blocked = released.blocked;
    out
}

/// The whole text is right, and these pieces of it come to the same.
fn check(case: &Case, action: Action, pieces: &[&str], whole: &Outcome) {
    let cut = through(action, pieces);
    assert_eq!(cut.text, whole.text, "{action} {pieces:?}");
    assert_eq!((cut.found, cut.blocked), (whole.found.clone(), whole.blocked), "{action} {pieces:?}");
    let leaked = cut.text.contains(&case.value)
        || case.value.lines().any(|line| line.len() > 30 && cut.text.contains(line));
    assert!(!leaked, "{action} lets {} through: {pieces:?}", case.kind);
}

fn whole(case: &Case, action: Action) -> Outcome {
    let released = Filter::new(Policy::all(action)).whole(&case.text);
    assert!(released.found.iter().any(|found| found.kind == case.kind), "{} in {}", case.kind, case.text);
    assert_eq!(released.blocked, action == Action::Block);
    Outcome { text: released.text, found: released.found, blocked: released.blocked }
}

fn borders(text: &str) -> Vec<usize> {
    (0..=text.len()).filter(|at| text.is_char_boundary(*at)).collect()
}

#[test]
fn no_cut_in_two_lets_a_match_through() {
    let mut count = 0u64;
    for case in cases() {
        for action in [Action::Redact, Action::Block] {
            let whole = whole(&case, action);
            for at in borders(&case.text) {
                check(&case, action, &[&case.text[..at], &case.text[at..]], &whole);
                count += 1;
            }
        }
    }
    println!("{count} cuts in two: 0 leaks");
}

#[test]
fn no_letter_by_letter_stream_lets_a_match_through() {
    for case in cases() {
        for action in [Action::Redact, Action::Block] {
            let places = borders(&case.text);
            let pieces: Vec<&str> = places.windows(2).map(|pair| &case.text[pair[0]..pair[1]]).collect();
            check(&case, action, &pieces, &whole(&case, action));
        }
    }
}

/// Every two places where the text is short; in the short form every n-th pair, so that the count is met.
#[test]
fn no_cut_in_three_lets_a_match_through() {
    let cases = cases();
    let pairs = |case: &Case| {
        let places = borders(&case.text).len() as u64;
        places * (places - 1) / 2
    };
    let total: u64 = cases.iter().map(pairs).sum();
    let every = (total / wanted()).max(1);
    let (mut count, mut turn) = (0u64, 0u64);
    let mut again = true;
    while again {
        for case in &cases {
            let whole = whole(case, Action::Redact);
            let places = borders(&case.text);
            for (n, first) in places.iter().enumerate() {
                for second in &places[n + 1..] {
                    turn += 1;
                    if !turn.is_multiple_of(every) {
                        continue;
                    }
                    let text = &case.text;
                    check(
                        case,
                        Action::Redact,
                        &[&text[..*first], &text[*first..*second], &text[*second..]],
                        &whole,
                    );
                    count += 1;
                }
            }
        }
        // Fewer than were asked for are all that there are.
        again = false;
    }
    assert!(count >= wanted().min(total), "{count} of {total}");
    println!("{count} cuts in three of {total}: 0 leaks");
}

/// Texts that are nearly something, with other things in the middle.
fn soup() -> impl Strategy<Value = String> {
    let values: Vec<String> = samples().into_iter().map(|(_, value)| value).collect();
    let bits = prop_oneof![
        3 => proptest::sample::select(values.clone()),
        2 => proptest::sample::select(values).prop_flat_map(|value| {
            let places = borders(&value);
            proptest::sample::select(places).prop_map(move |at| value[..at].to_owned())
        }),
        2 => proptest::sample::select(vec![" ", "\n", "-", ".", "@", ":", "=", "\"", "\\n", "password=", "Bearer ", "+", "(", "é", "ssn "])
            .prop_map(str::to_owned),
        1 => "[ -~é]{0,12}",
        1 => "[0-9 .:-]{0,24}",
    ];
    proptest::collection::vec(bits, 0..14).prop_map(|bits| bits.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn any_pieces_of_any_text_come_to_the_whole(
        text in soup(),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..9),
        kinds in proptest::collection::vec(0usize..4, hale_core::guard::KINDS.len()),
    ) {
        let policy = hale_core::guard::KINDS.iter().zip(kinds).fold(Policy::all(Action::Redact), |policy, (kind, action)| {
            policy.with(*kind, hale_core::guard::ACTIONS[action])
        });
        let whole = Filter::new(policy.clone()).whole(&text);
        let places = borders(&text);
        let mut at: Vec<usize> = cuts.iter().map(|cut| places[cut.index(places.len())]).collect();
        at.extend([0, text.len()]);
        at.sort_unstable();
        let mut filter = Filter::new(policy);
        let (mut out, mut found) = (String::new(), Vec::new());
        for pair in at.windows(2) {
            let released = filter.push(&text[pair[0]..pair[1]]);
            out.push_str(&released.text);
            found.extend(released.found);
        }
        let end = filter.finish();
        out.push_str(&end.text);
        found.extend(end.found);
        prop_assert_eq!((out, found, end.blocked), (whole.text, whole.found, whole.blocked));
    }

    #[test]
    fn what_was_redacted_is_clean(text in soup()) {
        let once = Filter::new(Policy::all(Action::Redact)).whole(&text).text;
        let spans = hale_core::guard::find(&text);
        let kept: String = {
            let mut at = 0;
            let mut kept = String::new();
            for found in &spans {
                kept.push_str(&text[at..found.span.start]);
                kept.push_str(&format!("[{}]", found.kind));
                at = found.span.end;
            }
            kept + &text[at..]
        };
        prop_assert_eq!(once, kept);
    }
}
