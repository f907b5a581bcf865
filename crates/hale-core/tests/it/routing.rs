//! Which arm takes a task: scores with their parts, constraints that hold, ties that are decided alike.
//!
//! Read next: `crates/hale-core/src/routing.rs`.

use hale_core::routing::contract::Says;
use hale_core::routing::{
    Candidate, Condition, Conflict, Constraint, Contract, Decision, Reason, Rules, SAFETY, conflicts, decide,
    ranked,
};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|word| (*word).to_owned()).collect()
}

fn candidate(arm: &str, domain: &str, keywords: &[&str]) -> Candidate {
    Candidate {
        arm: arm.to_owned(),
        kind: "agent".to_owned(),
        capabilities: words(&[domain]),
        domains: words(&[domain]),
        keywords: words(keywords),
        ..Candidate::default()
    }
}

fn sick(mut candidate: Candidate) -> Candidate {
    candidate.condition = Condition::Unhealthy { why: "connection refused".to_owned() };
    candidate
}

/// The six arms of the operators' guide.
fn six() -> Vec<Candidate> {
    vec![
        candidate("planner", "planning", &["plan", "decompose", "break down", "steps"]),
        candidate("executor", "execution", &["run", "execute", "command"]),
        candidate("coder", "coding", &["code", "function", "python", "write"]),
        candidate("judge", "review", &["judge", "check", "verify"]),
        candidate("guardian", "safety", &["safe", "secret", "policy"]),
        candidate("retriever", "search", &["find", "search", "document"]),
    ]
}

fn goal(text: &str) -> Contract {
    Contract { goal: text.to_owned(), ..Contract::default() }
}

fn with(text: &str, constraints: Vec<Constraint>) -> Contract {
    Contract { constraints, ..goal(text) }
}

fn routed(contract: &Contract, candidates: &[Candidate]) -> Decision {
    decide(contract, candidates, &Rules::default()).unwrap_or_else(|refused| panic!("{refused}: {refused:?}"))
}

fn total(decision: &Decision, arm: &str) -> u32 {
    decision.scores.iter().find(|score| score.arm == arm).expect("the arm").total
}

// covers: OL-114, OL-115, OL-117, OL-119, OL-120
#[test]
fn each_keyword_counts_ten_and_the_domain_fifty() {
    let decision = routed(&goal("Write a Python function"), &six());
    assert_eq!((decision.arm.as_str(), total(&decision, "coder")), ("coder", 30));
    let decision = routed(&goal("planning: break down the work into steps"), &six());
    let best = &decision.scores[0];
    assert_eq!((best.arm.as_str(), best.total), ("planner", 70));
    let parts: Vec<(&str, &str, u32)> =
        best.parts.iter().map(|part| (part.from.as_str(), part.word.as_str(), part.points)).collect();
    assert_eq!(
        parts,
        [("keyword", "break down", 10), ("keyword", "steps", 10), ("domain", "planning", 50)],
        "every part is kept, and a keyword of two words is found"
    );
    assert_eq!(decision.scores.len(), 6, "all scores are kept");
}

#[test]
fn words_are_compared_whole_and_without_case() {
    let arms = [candidate("art", "art", &["plan"]), candidate("c", "systems", &["c++", "c#"])];
    assert!(
        ranked(&goal("start with the explanation"), &arms, &Rules::default()).iter().all(|s| s.total == 0)
    );
    assert_eq!(ranked(&goal("PLAN!"), &arms, &Rules::default())[0].total, 10);
    let scores = ranked(&goal("port it from C++ to c#."), &arms, &Rules::default());
    assert_eq!((scores[0].arm.as_str(), scores[0].total), ("c", 20));
    let twice = [candidate("twice", "x", &["plan", "Plan", "plan"])];
    assert_eq!(ranked(&goal("plan"), &twice, &Rules::default())[0].total, 10);
}

// covers: OL-116, OL-121
#[test]
fn an_unhealthy_arm_scores_nothing_and_says_why() {
    let mut arms = six();
    arms[2] = sick(arms[2].clone());
    let decision = routed(&goal("check the python code"), &arms);
    assert_eq!(decision.arm, "judge");
    let coder = decision.scores.iter().find(|score| score.arm == "coder").unwrap();
    assert_eq!((coder.total, coder.sum()), (0, 20));
    assert!(coder.to_string().contains("unhealthy: connection refused"), "{coder}");
}

// covers: OL-105, OL-122, TRAP-14
#[test]
fn what_nobody_scores_on_goes_to_a_healthy_default_and_never_to_a_sick_one() {
    let decision = routed(&goal("hello"), &six());
    assert_eq!((decision.arm.as_str(), &decision.reason), ("planner", &Reason::Default));
    let mut arms = six();
    arms[0] = sick(arms[0].clone());
    let refused = decide(&goal("hello"), &arms, &Rules::default()).unwrap_err();
    assert_eq!(refused.scores.len(), 6, "the refusal has all scores");
    assert!(refused.scores_line().contains("planner 0 (unhealthy: connection refused)"));
    let rules = Rules { defaults: words(&["planner", "retriever"]), ..Rules::default() };
    assert_eq!(
        decide(&goal("hello"), &arms, &rules).unwrap().arm,
        "retriever",
        "the next default is healthy"
    );
    assert_eq!(
        decide(&goal("plan it"), &arms[..1], &rules).unwrap_err().to_string(),
        "route the task: no arm is fit to take it"
    );
    assert_eq!(decide(&goal("x"), &[], &rules).unwrap_err().to_string(), "route the task: there are no arms");
}

// covers: TRAP-15
#[test]
fn the_constraints_of_the_guides_own_example_are_never_dropped() {
    let texts = ["Do not modify files in /protected/", "No network calls", "No secrets in output"];
    let read: Contract = serde_json::from_value(json!({"goal": "hello", "constraints": texts})).unwrap();
    assert!(read.constraints.iter().all(|one| one.required), "a text is required unless it says otherwise");
    let decision = routed(&read, &six());
    assert_eq!(decision.constraints().len(), 3);
    assert!(decision.relaxed.is_empty());
}

// covers: OL-127, OL-128, OL-129
#[test]
fn optional_constraints_go_one_by_one_and_the_decision_says_which() {
    let region = Constraint::has("region", "eu", false);
    let fast = Constraint::has("speed", "fast", false);
    let cheap = Constraint::has("cost", "low", false);
    let contract = with("write code", vec![cheap.clone(), fast.clone()]);
    let mut arms = six();
    arms[2].properties.insert("cost".to_owned(), "low".to_owned());
    let decision = routed(&contract, &arms);
    assert_eq!((decision.arm.as_str(), decision.constraints()), ("coder", vec![&cheap]));
    let relaxed: Vec<(&Constraint, u32)> =
        decision.relaxed.iter().map(|one| (&one.constraint, one.best_with)).collect();
    assert_eq!(relaxed, [(&fast, 0)], "only the one that kept everybody out, with what it cost");
    assert!(decision.says().contains("without speed=fast"), "{}", decision.says());
    // One about safety holds even though it calls itself optional: nobody is left.
    let refused = decide(&with("write code", vec![region]), &arms, &Rules::default()).unwrap_err();
    assert!(refused.scores_line().contains("coder 0 (does not meet region=eu)"), "{}", refused.scores_line());
    let required = with("write code", vec![Constraint::has("speed", "fast", true)]);
    assert!(decide(&required, &arms, &Rules::default()).is_err());
}

#[test]
fn a_constraint_that_was_given_up_in_vain_is_given_back() {
    let vain = Constraint::has("colour", "blue", false);
    let fast = Constraint::has("speed", "fast", false);
    let mut arms = six();
    arms[2].properties.insert("colour".to_owned(), "blue".to_owned());
    // The last one goes first, which does not help; then the first one goes, which does.
    let decision = routed(&with("write code", vec![fast.clone(), vain]), &arms);
    assert_eq!(decision.arm, "coder");
    assert_eq!(decision.relaxed.iter().map(|one| &one.constraint).collect::<Vec<_>>(), [&fast]);
}

#[test]
fn a_constraint_can_name_arm_kind_capability_and_domain() {
    for (key, value) in [("arm", "Judge"), ("capability", "review"), ("domain", "review")] {
        let decision =
            routed(&with("write code and check it", vec![Constraint::has(key, value, true)]), &six());
        assert_eq!(decision.arm, "judge", "{key}");
    }
    let remote = with("write code", vec![Constraint::has("kind", "arm", true)]);
    assert!(decide(&remote, &six(), &Rules::default()).is_err());
}

#[test]
fn a_contract_without_a_goal_is_refused_by_the_name_of_the_field() {
    let flaw = serde_json::from_value::<Contract>(json!({"constraints": []})).unwrap().check().unwrap_err();
    assert_eq!(flaw.field, "goal");
    assert_eq!(goal(" \n").check().unwrap_err().field, "goal");
    assert_eq!(goal(&"x".repeat(8001)).check().unwrap_err().field, "goal");
    let many = with("x", vec![Constraint::text("y"); 65]);
    assert_eq!(many.check().unwrap_err().field, "constraints");
    let bad = with("x", vec![Constraint::text("fine"), Constraint::has("speed", " ", true)]);
    assert_eq!(bad.check().unwrap_err().field, "constraints[1]");
    let shapes = json!({"goal": "x", "constraints": [{"key": "a", "valeu": "b"}]});
    assert!(serde_json::from_value::<Contract>(shapes).is_err(), "a slip of the keyboard is no constraint");
}

#[test]
fn arms_that_only_their_names_tell_apart_are_found() {
    let mut arms = six();
    arms.push(candidate("coder-2", "coding", &["python", "rust"]));
    arms.push(candidate("poet", "coding", &["rhyme"]));
    let found = conflicts(&arms, &Rules::default());
    let expected = Conflict {
        arms: ["coder".to_owned(), "coder-2".to_owned()],
        capabilities: words(&["coding"]),
        keywords: words(&["python"]),
        goal: "python".to_owned(),
        score: 10,
    };
    assert_eq!(found, [expected]);
    let decision = routed(&goal(&found[0].goal), &arms);
    assert_eq!(decision.reason, Reason::Score { tied_with: words(&["coder-2"]) }, "the witness ties indeed");
}

const WORDS: [&str; 6] = ["plan", "code", "review", "find", "run", "hello"];

fn any_word() -> impl Strategy<Value = String> {
    proptest::sample::select(WORDS.to_vec()).prop_map(str::to_owned)
}

fn any_candidate() -> impl Strategy<Value = Candidate> {
    let condition = prop_oneof![
        3 => Just(Condition::Fit),
        1 => Just(Condition::Unhealthy { why: "down".to_owned() }),
        1 => Just(Condition::Unfit { why: "disabled".to_owned() }),
    ];
    let properties = proptest::collection::btree_map(any_key(), any_word(), 0..3);
    ("[a-e]|planner", vec(any_word(), 0..3), vec(any_word(), 0..4), properties, condition).prop_map(
        |(arm, domains, keywords, properties, condition)| Candidate {
            kind: "agent".to_owned(),
            capabilities: domains.clone(),
            arm,
            domains,
            keywords,
            properties,
            condition,
        },
    )
}

fn any_key() -> impl Strategy<Value = String> {
    proptest::sample::select(vec!["speed", "cost", "network", "Region"]).prop_map(str::to_owned)
}

fn any_constraint() -> impl Strategy<Value = Constraint> {
    prop_oneof![
        (any_key(), any_word(), any::<bool>())
            .prop_map(|(key, value, required)| Constraint::has(&key, &value, required)),
        (any_word(), any::<bool>())
            .prop_map(|(text, required)| Constraint { says: Says::Text { text }, required }),
    ]
}

fn any_case() -> impl Strategy<Value = (Contract, Vec<Candidate>)> {
    let arms = vec(any_candidate(), 0..6).prop_map(|mut arms| {
        arms.sort_by(|a, b| a.arm.cmp(&b.arm));
        arms.dedup_by(|a, b| a.arm == b.arm);
        arms
    });
    (vec(any_word(), 1..5), vec(any_constraint(), 0..5), arms)
        .prop_map(|(goal, constraints, arms)| (with(&goal.join(" "), constraints), arms))
}

fn is_about_safety(one: &Constraint) -> bool {
    matches!(&one.says, Says::Has { key, .. } if SAFETY.contains(&key.to_lowercase().as_str()))
}

proptest! {
    #[test]
    fn the_chosen_arm_is_always_fit_and_meets_what_is_left((contract, arms) in any_case()) {
        if let Ok(decision) = decide(&contract, &arms, &Rules::default()) {
            let chosen = arms.iter().find(|arm| arm.arm == decision.arm).expect("it was a candidate");
            prop_assert_eq!(&chosen.condition, &Condition::Fit);
            let left = Contract { constraints: decision.constraints().into_iter().cloned().collect(), ..contract };
            let score = ranked(&left, std::slice::from_ref(chosen), &Rules::default()).remove(0);
            prop_assert!(score.unmet.is_empty(), "{:?}", score.unmet);
        }
    }

    #[test]
    fn no_required_and_no_safety_constraint_is_ever_dropped((contract, arms) in any_case()) {
        let relaxed = match decide(&contract, &arms, &Rules::default()) {
            Ok(decision) => decision.relaxed,
            Err(refused) => refused.relaxed,
        };
        for one in relaxed {
            prop_assert!(!one.constraint.required && !is_about_safety(&one.constraint), "{}", one.constraint);
        }
    }

    #[test]
    fn the_order_of_the_candidates_does_not_matter((contract, arms) in any_case(), shift in 0usize..6) {
        let mut turned = arms.clone();
        turned.reverse();
        if !turned.is_empty() {
            let shift = shift % turned.len();
            turned.rotate_left(shift);
        }
        prop_assert_eq!(decide(&contract, &arms, &Rules::default()), decide(&contract, &turned, &Rules::default()));
    }

    #[test]
    fn a_fit_arm_that_scores_under_all_constraints_is_never_passed_over((contract, arms) in any_case()) {
        let best = ranked(&contract, &arms, &Rules::default()).first().map_or(0, |score| score.total);
        if best >= 10 {
            let decision = decide(&contract, &arms, &Rules::default()).expect("somebody is fit");
            prop_assert_eq!(decision.scores[0].total, best);
            prop_assert!(decision.relaxed.is_empty());
        }
    }

    #[test]
    fn a_decision_reads_back_as_it_was_written((contract, arms) in any_case()) {
        if let Ok(decision) = decide(&contract, &arms, &Rules::default()) {
            let text = serde_json::to_string(&decision).unwrap();
            prop_assert_eq!(serde_json::from_str::<Decision>(&text).unwrap(), decision);
        }
    }
}
