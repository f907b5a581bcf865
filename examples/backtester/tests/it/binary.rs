//! The program as its platform meets it: exit codes, stages, the last line of stderr, the results folder.

use crate::world::{Place, synthetic};

const FILES: [&str; 2] = ["backtest-result.json", "equity.svg"];

#[test]
fn a_run_tells_its_stages_and_leaves_its_results() {
    let place = Place::new();
    let ended = place.run(&synthetic(), &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(place.results(), FILES);
    let lines: Vec<&str> = ended.stderr.lines().collect();
    assert_eq!(lines[..3], ["STAGE data_loading", "STAGE strategy_init", "STAGE simulation 0/750"]);
    assert_eq!(lines[lines.len() - 3..], ["STAGE simulation 750/750", "STAGE analysis", "STAGE writing"]);
    assert_eq!(lines.len(), 25);
    assert!(ended.stdout.contains("total return   83.31 %"), "{}", ended.stdout);
}

#[test]
fn the_result_says_what_it_was_made_of() {
    let place = Place::new();
    let ended = place
        .run(&synthetic(), &["--strategy", "breakout", "--size", "50%", "--from", "2022-06-01", "--json"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let result = place.result();
    assert_eq!(result["schema_version"], 1);
    assert_eq!(
        result["params"]["strategy"],
        serde_json::json!({"name": "breakout", "entry_bars": 20, "exit_bars": 10})
    );
    assert_eq!(result["params"]["size"], serde_json::json!({"kind": "fraction", "fraction": 0.5}));
    assert_eq!(result["data"]["first_at"], "2022-06-01T00:00:00Z");
    assert_eq!(result["data"]["bars_count"], 599);
    let rows = |name: &str| result[name].as_array().unwrap().len();
    assert_eq!(
        (rows("equity"), rows("trades") as u64),
        (599, result["metrics"]["trades_count"].as_u64().unwrap())
    );
    // The answer on stdout is the same without the long lists.
    let answer: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&answer["metrics"], &answer["data"]), (&result["metrics"], &result["data"]));
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let (one, two) = (Place::new(), Place::new());
    for place in [&one, &two] {
        assert_eq!(place.run(&synthetic(), &[]).code, Some(0));
    }
    for file in FILES {
        assert_eq!(
            std::fs::read(one.out().join(file)).unwrap(),
            std::fs::read(two.out().join(file)).unwrap(),
            "{file}"
        );
    }
}

#[test]
fn each_kind_of_failure_has_its_code_and_its_word() {
    let place = Place::new();
    let check = |args: &[&str], code: i32, word: &str, what: &str| {
        let ended = place.run(&synthetic(), args);
        let said = ended.said();
        assert_eq!((ended.code, said["error"].as_str()), (Some(code), Some(word)), "{}", ended.stderr);
        assert!(said["message"].as_str().unwrap().contains(what), "{said}");
        assert!(!said["fix"].as_str().unwrap().is_empty());
        assert_eq!(place.results(), Vec::<String>::new(), "a failed run leaves no result");
        said["stage"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(check(&["--fast", "50", "--slow", "10"], 4, "strategy_error", "not shorter"), "strategy_init");
    assert_eq!(check(&["--fast", "0"], 4, "strategy_error", "--fast is 0 bars"), "strategy_init");
    assert_eq!(check(&["--slow", "20000"], 4, "strategy_error", "1 to 10000"), "strategy_init");
    assert_eq!(check(&["--slow", "749"], 3, "data_error", "insufficient data"), "strategy_init");
    assert_eq!(check(&["--from", "2030-01-01"], 3, "data_error", "no data"), "strategy_init");
    assert_eq!(check(&["--fee-bps", "-1"], 2, "usage_error", "--fee-bps is -1"), "strategy_init");
    assert_eq!(check(&["--fee-bps", "NaN"], 2, "usage_error", "--fee-bps is NaN"), "strategy_init");
    assert_eq!(check(&["--size", "120%"], 2, "usage_error", "--size in percent is 120"), "strategy_init");
    assert_eq!(check(&["--capital", "0"], 2, "usage_error", "--capital is 0"), "strategy_init");
    assert_eq!(
        check(&["--entry", "5"], 2, "usage_error", "--entry is no option of the strategy ma-cross"),
        ""
    );
    assert_eq!(check(&["--strategy", "martingale"], 2, "usage_error", "invalid value 'martingale'"), "");
    assert_eq!(check(&["--from", "yesterday"], 2, "usage_error", "yesterday"), "");

    let ended = place.run(&place.file("timestamp,open\n"), &[]);
    assert_eq!(
        (ended.code, ended.said()["stage"].as_str()),
        (Some(3), Some("data_loading")),
        "{}",
        ended.stderr
    );
    let file = place.file("no folder");
    let out = file.join("results");
    let ended =
        place.ended(&["run", "--data", synthetic().to_str().unwrap(), "--out", out.to_str().unwrap()]);
    assert_eq!(
        (ended.code, ended.said()["error"].as_str()),
        (Some(1), Some("other_error")),
        "{}",
        ended.stderr
    );
}

#[test]
fn what_is_missing_on_the_command_line_is_said_in_the_last_line_too() {
    let ended = Place::new().ended(&["run", "--data", "x.csv"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.said()["message"].as_str().unwrap().contains("--out <DIR>"), "{}", ended.stderr);
}

#[test]
fn an_earlier_result_is_kept_unless_replacing_is_asked_for() {
    let place = Place::new();
    assert_eq!(place.run(&synthetic(), &[]).code, Some(0));
    let before = place.result();
    let ended = place.run(&synthetic(), &["--strategy", "breakout"]);
    assert_eq!((ended.code, ended.said()["error"].as_str()), (Some(2), Some("usage_error")));
    assert_eq!(place.result(), before);
    assert_eq!(place.run(&synthetic(), &["--strategy", "breakout", "--overwrite"]).code, Some(0));
    assert_eq!(place.result()["params"]["strategy"]["name"], "breakout");
    // A run that fails does not leave the result of another behind.
    assert_eq!(place.run(&place.file("nothing"), &["--overwrite"]).code, Some(3));
    assert_eq!(place.results(), Vec::<String>::new());
}

#[test]
fn every_command_shows_examples_and_hides_what_is_for_tests() {
    let place = Place::new();
    for args in [&["--help"][..], &["run", "--help"], &["sample", "--help"]] {
        let ended = place.ended(args);
        assert_eq!(ended.code, Some(0));
        assert!(ended.stdout.contains("Examples:\n  hale-backtester "), "{}", ended.stdout);
        assert!(!ended.stdout.contains("misbehave"));
    }
}
