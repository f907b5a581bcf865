//! The expression language: truth, types, errors, bounds, and no panic on any input.

use crate::evidence::anything;
use crate::worlds::{HEALTHY, evidence};
use hale_core::time::Millis;
use hale_playbooks::evidence::Subject;
use hale_playbooks::expr::{BYTES_MAX, DEPTH_MAX, Expr, NODES_MAX, Reach, Truth};
use hale_playbooks::template::Template;
use hale_playbooks::value::{Type, Value};
use proptest::prelude::*;

fn truth(text: &str) -> Truth {
    let expr = Expr::condition(text, Reach::Run).unwrap_or_else(|error| panic!("{text}: {error}"));
    expr.truth(&evidence(Subject::System, HEALTHY))
}

fn value(text: &str) -> Option<Value> {
    Expr::compile(text, Reach::Run).unwrap().value(&evidence(Subject::System, HEALTHY))
}

#[test]
fn conditions_hold_as_they_read() {
    for text in [
        "workers.live == 2",
        "workers.live != 3 and not (workers.live == 3)",
        "runs.oldest_pending_age < 1s",
        "disk.free > 512MiB and disk.free <= 60GiB",
        "disk.free_ratio >= 15%",
        "disk.free / disk.total == 0.6",
        "workers.busy * 2 > workers.slots / 2",
        "llm.errors_5m <= llm.calls_5m * 20%",
        "1 + 2 * 3 == 7 and (1 + 2) * 3 == 9 and 7 - 2 - 1 == 4",
        "-workers.live == -2 and - -2 == 2",
        "runs.oldest_pending_age - 1m < 0s",
        "1h == 60m and 1m == 60s and 1s == 1000ms and 1.5s == 1500ms and 1d == 24h",
        "1KiB == 1024B and 1kB_is_not_a_unit == 0 or true",
        "contains(llm.model, \"research\") and starts_with(llm.model, llm.provider)",
        "\"a\\\"b\\\\\" == \"a\\\"b\\\\\"",
        "min(3, 4) == 3 and max(3s, 4s) == 4s",
        "known(workers.live) and not known(run.state)",
        "age(workers.live) == 0s",
        "false or false or true",
        "50% + 50% == 1.0",
    ] {
        if text.contains("1kB_is") {
            assert!(Expr::compile(text, Reach::Run).is_err());
        } else {
            assert_eq!(truth(text), Truth::True, "{text}");
        }
    }
}

#[test]
fn unknown_is_never_false() {
    for text in [
        "run.turns == 1",
        "run.turns != 1",
        "not (run.turns == 1)",
        "run.turns == run.turns",
        "run.turns == 1 and true",
        "run.turns == 1 or false",
        "contains(run.state, \"x\")",
        "age(run.state) > 0s",
        "min(run.turns, 1) == 1",
        // Nothing follows from a division by zero or an overflow either.
        "workers.live / workers.draining > 1",
        "9223372036854775807 + workers.live > 0",
        "disk.free / 0.0 > 1B",
    ] {
        assert_eq!(truth(text), Truth::Unknown, "{text}");
    }
    assert_eq!(truth("run.turns == 1 and false"), Truth::False);
    assert_eq!(truth("run.turns == 1 or true"), Truth::True);
}

#[test]
fn amounts_keep_their_unit() {
    assert_eq!(value("runs.oldest_pending_age * 3"), Some(Value::Duration(Millis(60))));
    assert_eq!(value("10s * 25%"), Some(Value::Duration(Millis(2500))));
    assert_eq!(value("25% * 1GiB"), Some(Value::Bytes(256 << 20)));
    assert_eq!(value("1m / 4"), Some(Value::Duration(Millis(15_000))));
    assert_eq!(value("1m / 4s"), Some(Value::Num(15.0)));
    assert_eq!(value("1s - 2s"), None, "a span of time is never negative");
    assert_eq!(Expr::compile("50% + 10%", Reach::System).unwrap().ty(), Type::Ratio);
}

fn refuse(text: &str) -> String {
    Expr::condition(text, Reach::System).map(|expr| panic!("{text} is {expr}")).unwrap_err().to_string()
}

#[test]
fn errors_say_where_what_and_what_was_meant() {
    let texts = [
        "workers.lve == 0",
        "live == 0",
        "knwon(workers.live)",
        "known == true",
        "known(1)",
        "min(1)",
        "min(1, 2s) == 1",
        "runs.oldest_pending_age > 60",
        "workers.live == \"two\"",
        "disk.free_ratio < 10",
        "disk.free > 512Mib",
        "runs.oldest_pending_age > 5minutes",
        "workers.live",
        "not workers.live",
        "workers.live == 0 and runs.pending",
        "llm.model < \"b\"",
        "llm.model + 1 == 2",
        "run.turns == 1",
        "workers.live = 0",
        "workers.live == 0 && true",
        "workers.live == 0 || true",
        "!server.up",
        "1 < 2 < 3",
        "workers.live == 0 adn true",
        "(workers.live == 0",
        "workers.live == 0)",
        "workers.live ==",
        "",
        "and",
        "llm.model == \"open",
        "llm.model == \"\\n\"",
        "1.2.3 == 1",
        "99999999999999999999 == 1",
        "llm.model == 'x'",
        "ünï == 1",
    ];
    let page: Vec<String> = texts.iter().map(|text| format!("{text}\n    {}", refuse(text))).collect();
    insta::assert_snapshot!(page.join("\n"));
}

#[test]
fn bounds_hold() {
    let long = format!("true or \"{}\" == \"\"", "x".repeat(BYTES_MAX));
    assert!(refuse(&long).contains("bytes long"));
    // Three nodes a part, and one for the chain itself.
    let chain = |parts: usize| vec!["1<2"; parts].join(" or ");
    assert!(Expr::condition(&chain(NODES_MAX / 3), Reach::System).is_ok());
    assert!(refuse(&chain(NODES_MAX / 3 + 1)).contains("more than 256 parts"));
    let nested = |depth: usize| format!("{}true{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Expr::condition(&nested(DEPTH_MAX), Reach::System).is_ok());
    for deep in [nested(DEPTH_MAX + 1), nested(900), "not ".repeat(400) + "true", "-".repeat(1900) + "1 == 1"]
    {
        assert!(refuse(&deep).contains("nested more than 32 deep"), "{deep}");
    }
    let sum = vec!["1"; 40].join("+") + " == 40";
    assert!(refuse(&sum).contains("nested more than 32 deep"));
}

#[test]
fn spacing_does_not_matter_for_equality() {
    let expr = |text| Expr::compile(text, Reach::System).unwrap();
    assert_eq!(expr("workers.live==0"), expr("( workers.live  ==  0 )"));
    assert_ne!(expr("workers.live == 0"), expr("workers.live != 0"));
    assert_eq!(expr("workers.live==0 and true").to_string(), "((workers.live == 0) and true)");
}

#[test]
fn templates_fill_in_what_is_known_and_say_what_is_not() {
    let template =
        |text| Template::compile(text, Reach::Run).unwrap().prose(&evidence(Subject::System, HEALTHY));
    assert_eq!(template("{workers.live} of {workers.slots}, {{kept}}"), "2 of 8, {kept}");
    assert_eq!(template("{run.turns} turns"), "unknown turns");
    assert_eq!(template("{disk.free - 1GiB} and {disk.free_ratio}"), "59 GiB and 60 %");
    assert_eq!(template("{contains(llm.model, \"}\")}"), "false");
    for (text, error) in [
        ("{workers.lve}", "column 2: unknown signal `workers.lve`: did you mean `workers.live`?"),
        ("a {workers.live", "column 3: `{` is never closed; write `{{` for a brace"),
        ("a } b", "column 3: `}` without `{`; write `}}` for a brace"),
    ] {
        assert_eq!(Template::compile(text, Reach::Run).unwrap_err().to_string(), error);
    }
    let error = Template::compile("{run}", Reach::System).unwrap_err().to_string();
    assert_eq!(
        error,
        "column 1: `{run}` is one run's id, but here the whole system is asked about".replace("1:", "2:")
    );
}

/// Kleene's three values, written out as tables instead of rules.
fn table(word: &str, a: Truth, b: Truth) -> Truth {
    use Truth::{False, True, Unknown};
    match (word, a, b) {
        ("and", False, False) => False,
        ("and", False, Unknown) => False,
        ("and", False, True) => False,
        ("and", Unknown, False) => False,
        ("and", Unknown, Unknown) => Unknown,
        ("and", Unknown, True) => Unknown,
        ("and", True, False) => False,
        ("and", True, Unknown) => Unknown,
        ("and", True, True) => True,
        ("or", False, False) => False,
        ("or", False, Unknown) => Unknown,
        ("or", False, True) => True,
        ("or", Unknown, False) => Unknown,
        ("or", Unknown, Unknown) => Unknown,
        ("or", Unknown, True) => True,
        ("or", True, False) => True,
        ("or", True, Unknown) => True,
        ("or", True, True) => True,
        _ => unreachable!(),
    }
}

/// A random condition as text, with its value by the tables.
fn condition() -> impl Strategy<Value = (String, Truth)> {
    let leaf = prop_oneof![
        Just(("workers.live == 2".to_owned(), Truth::True)),
        Just(("workers.live > 2".to_owned(), Truth::False)),
        Just(("run.turns == 1".to_owned(), Truth::Unknown)),
        Just(("true".to_owned(), Truth::True)),
        Just(("false".to_owned(), Truth::False)),
    ];
    leaf.prop_recursive(6, 40, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone(), prop_oneof![Just("and"), Just("or")]).prop_map(
                |((a, ta), (b, tb), word)| { (format!("({a}) {word} ({b})"), table(word, ta, tb)) }
            ),
            inner.prop_map(|(a, ta)| {
                let turned = match ta {
                    Truth::True => Truth::False,
                    Truth::False => Truth::True,
                    Truth::Unknown => Truth::Unknown,
                };
                (format!("not ({a})"), turned)
            }),
        ]
    })
}

/// Random texts made of our own words, which get deeper into the parser than random characters.
fn soup() -> impl Strategy<Value = String> {
    let words = proptest::sample::select(vec![
        "and",
        "or",
        "not",
        "(",
        ")",
        ",",
        "==",
        "!=",
        "<",
        "<=",
        ">",
        ">=",
        "+",
        "-",
        "*",
        "/",
        "1",
        "0",
        "2.5",
        "15%",
        "60s",
        "3MiB",
        "\"x\"",
        "\"\"",
        "true",
        "false",
        "workers.live",
        "disk.free",
        "disk.free_ratio",
        "runs.oldest_pending_age",
        "llm.model",
        "server.up",
        "run.state",
        "known",
        "age",
        "min",
        "max",
        "contains",
        "starts_with",
        "9223372036854775807",
        "é",
    ]);
    proptest::collection::vec(words, 0..40).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..Default::default() })]

    #[test]
    fn truth_follows_kleenes_tables((text, expected) in condition()) {
        if let Ok(expr) = Expr::condition(&text, Reach::Run) {
            prop_assert_eq!(expr.truth(&evidence(Subject::System, HEALTHY)), expected, "{}", text);
        } else {
            prop_assert!(text.len() > 100, "{} should compile", text);
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        if let Err(error) = Expr::compile(&text, Reach::Run) {
            let _shown = error.to_string();
        }
        let _template = Template::compile(&text, Reach::Run);
    }

    #[test]
    fn no_soup_of_words_makes_it_panic(text in soup(), readings in anything(Subject::System)) {
        match Expr::compile(&text, Reach::Run) {
            Err(error) => prop_assert!(error.column <= text.chars().count() + 1),
            Ok(expr) => {
                expr.truth(&readings);
                expr.value(&readings);
                expr.readings(&readings);
            }
        }
    }

    #[test]
    fn the_canonical_form_means_the_same((text, _) in condition()) {
        if let Ok(expr) = Expr::compile(&text, Reach::Run)
            && let Ok(again) = Expr::compile(&expr.to_string(), Reach::Run)
        {
            prop_assert_eq!(again, expr);
        }
    }
}
