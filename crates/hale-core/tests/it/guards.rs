//! The content guard: what is found and what is not, what each action does, and that work is linear.
//!
//! Read next: `guard_splits.rs`, the proof that no way to cut a text lets a match through.

use hale_core::guard::{Action, Filter, Found, KINDS, Kind, LOOK, Place, Policy, Rules, clean, cost, find};
use hale_core::pack::Paint;
use serde_json::json;

/// One value of every kind, and more of those with several forms. None belongs to anybody: published test numbers,
/// documentation ranges, and keys that were put together from letters.
pub fn samples() -> Vec<(Kind, String)> {
    let letters = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0";
    let pem = |label: &str| {
        let body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQ\n".repeat(3);
        format!("-----BEGIN {label}-----\n{body}-----END {label}-----")
    };
    let mut all = vec![
        (Kind::PrivateKey, pem("PRIVATE KEY")),
        (Kind::PrivateKey, pem("RSA PRIVATE KEY")),
        (Kind::PrivateKey, pem("PGP PRIVATE KEY BLOCK").replace('\n', "\\n")),
    ];
    all.extend(of(Kind::AwsKey, &["AKIAIOSFODNN7EXAMPLE", "ASIAY34FZKBOKMUTVV7A"]));
    for (kind, prefix) in [
        (Kind::AnthropicKey, "sk-ant-api03-"),
        (Kind::OpenaiKey, "sk-proj-"),
        (Kind::OpenaiKey, "sk-"),
        (Kind::GithubToken, "ghp_"),
        (Kind::GithubToken, "github_pat_"),
        (Kind::SlackToken, "xoxb-"),
        (Kind::GoogleApiKey, "AIza"),
        (Kind::StripeKey, "sk_live_"),
        (Kind::ApiKey, "glpat-"),
        (Kind::ApiKey, "npm_"),
    ] {
        all.push((kind, format!("{prefix}{letters}")));
    }
    let jwt =
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P";
    all.push((Kind::Jwt, jwt.to_owned()));
    all.push((Kind::Jwt, format!("eyJqa3UiOiJ{}.eyJzdWIiOiIx{}", letters.repeat(8), letters.repeat(9))));
    all.extend(numbers());
    all
}

fn of(kind: Kind, texts: &[&str]) -> Vec<(Kind, String)> {
    texts.iter().map(|text| (kind, (*text).to_owned())).collect()
}

fn numbers() -> Vec<(Kind, String)> {
    let mut all = Vec::new();
    all.extend(of(
        Kind::Card,
        &[
            "4111111111111111",
            "4111 1111 1111 1111",
            "5555-5555-5555-4444",
            "378282246310005",
            "3782 822463 10005",
            "6011111111111117",
            "30569309025904",
            "3530111333300000",
            "2223003122003222",
            "4222222222222",
        ],
    ));
    all.extend(of(
        Kind::Iban,
        &[
            "DE89370400440532013000",
            "GB29 NWBK 6016 1331 9268 19",
            "NO9386011117947",
            "FR14 2004 1010 0505 0001 3M02 606",
        ],
    ));
    all.extend(of(Kind::UsSsn, &["219-09-9999", "078-05-1120"]));
    all.extend(of(
        Kind::Email,
        &["ada@example.com", "first.last+tag@mail.example.co.uk", "o'neil_x@xn--bcher-kva.example"],
    ));
    all.extend(of(
        Kind::Phone,
        &[
            "+14155552671",
            "+1 (415) 555-2671",
            "+49 30 901820",
            "+44 (0)20 7946 0958",
            "(212) 555-1234",
            "212-555-1234",
            "1-212-555-1234",
        ],
    ));
    all.extend(of(
        Kind::Ip,
        &[
            "192.0.2.17",
            "203.0.113.255",
            "2001:db8::8a2e:370:7334",
            "2001:0db8:85a3:0000:0000:8a2e:0370:7334",
        ],
    ));
    all
}

/// A value with its name: only the value is the match.
pub const NAMED: [(&str, &str, &str); 8] = [
    ("password=", "hunter2Blue", ""),
    ("\"api_key\": \"", "Zq81mmPp02LkVx", "\""),
    ("client_secret: '", "x9F!kk2lPq", "'"),
    ("Authorization: Bearer ", "mF9B5f41JqM0a8s7", ""),
    ("postgres://app:", "s3cr3t", "@db/main"),
    ("DB_PASSWORD=", "tr0ub4dor&3x", ""),
    ("\\\"token\\\":\\\"", "ab12CD34ef56", "\\\""),
    ("mysqldump --password ", "Tr1ckyPw99", ""),
];

fn kinds(text: &str) -> Vec<(Kind, &str)> {
    find(text).into_iter().map(|found| (found.kind, &text[found.span])).collect()
}

#[test]
fn every_kind_is_found_whole_wherever_it_stands() {
    for (kind, value) in samples() {
        for (before, after) in [
            ("", ""),
            ("It is ", " indeed."),
            ("(", ")"),
            ("\"", "\""),
            ("<td>", "</td>"),
            ("\\n", "\\n"),
            ("é", "é"),
            ("[", "]"),
            ("a, ", ", b"),
            ("{\"x\":\"", "\"}"),
            ("\\u003e", "\\u003c"),
        ] {
            let text = format!("{before}{value}{after}");
            assert_eq!(kinds(&text), [(kind, value.as_str())], "{text}");
        }
    }
    for (before, value, after) in NAMED {
        let text = format!("see {before}{value}{after} there");
        assert_eq!(kinds(&text), [(Kind::Secret, value)], "{text}");
    }
    let seen: Vec<Kind> = samples().iter().map(|(kind, _)| *kind).chain([Kind::Secret]).collect();
    assert!(KINDS.iter().all(|kind| seen.contains(kind)), "every kind has a sample");
}

/// What is none of all that.
const LOOKALIKES: &[&str] = &[
    // Luhn does not hold, or no issuer has the number.
    "4111111111111112",
    "4111 1111 1111 1112",
    "0000000000000000",
    "9999999999999995",
    "41111111111111111111",
    // The check digits of the account do not hold.
    "DE89370400440532013001",
    "ZZ89370400440532013000",
    "DE8937040044053201300",
    // Never given, or without its dashes.
    "000-12-3456",
    "666-12-3456",
    "900-12-3456",
    "123-00-4567",
    "123-45-0000",
    "123456789",
    "123 45 6789",
    "1.2.3.4.5",
    "256.1.1.1",
    "1.2.3",
    "01.2.3.4",
    "version 1.2.3.4",
    "Firefox/1.2.3.4",
    "127.0.0.1",
    "::1",
    "0.0.0.0",
    "std::fmt",
    "a::b",
    "dead::beef",
    "12:34:56",
    "00:1a:2b:3c:4d:5e",
    "Foo::Bar1::new",
    "2026-11-22T20:15:46Z",
    "20261122201546",
    "1763842546",
    "1763842546123",
    "550e8400-e29b-41d4-a716-446655440000",
    "3d30fc6a9b8e7d6c5b4a39281706f5e4d3c2b1a0",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "order 1234567890",
    "$1,234,567.89",
    "3.14159265358979",
    "2125551234",
    "212 555 1234",
    "112-555-1234",
    "211-911-1234",
    "+1 111 555 2671",
    "+999 123 4567",
    "+5",
    "1+1=2",
    "icon@2x.png",
    "react@18.2.0",
    "git@github.com:a/b",
    "@ada",
    "a@b",
    "ada@localhost",
    "sk-…",
    "sk-learn is a library",
    "AKIA...",
    "AKIAIOSFODNN7EXAMPLEX",
    "risk-assessment-2024-for-everyone",
    "ghp_short",
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9",
    "-----BEGIN CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----",
    "password: required",
    "password = getpass()",
    "token: string",
    "api_key = os.environ[\"API_KEY\"]",
    "secret: ${SECRET}",
    "password=<your-password1>",
    "token_type: Bearer",
    "secret: k8s-secret-name-v2",
    "password=changeme123",
    "passwords are 12345678 long",
    "https://example.com:8080/path",
    "max_tokens: 4096",
    "tokens=123456789",
];

#[test]
fn what_only_looks_like_it_is_left() {
    for text in LOOKALIKES {
        for text in [(*text).to_owned(), format!("see {text} there")] {
            assert_eq!(kinds(&text), [], "{text}");
        }
    }
}

#[test]
fn a_number_beside_its_name_needs_no_form() {
    assert_eq!(kinds("SSN: 219099999"), [(Kind::UsSsn, "219099999")]);
    assert_eq!(kinds("Social Security 219 09 9999"), [(Kind::UsSsn, "219 09 9999")]);
    assert_eq!(
        kinds("phone: 2125551234, mobile 212 555 1235"),
        [(Kind::Phone, "2125551234"), (Kind::Phone, "212 555 1235")]
    );
}

#[test]
fn of_two_that_overlap_nothing_is_left_over() {
    for (text, whole) in [
        ("4111111111111111@example.com", true),
        ("password=AKIAIOSFODNN7EXAMPLE", false),
        ("token: ghp_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8", false),
        ("+49 30 901820 4111 1111 1111 1111", true),
        ("sk_live_a1B2c3D4e5F6g7H8.ada@example.com", true),
    ] {
        let found = kinds(text);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert_eq!(found[0].1.len() == text.len(), whole, "{text}: {found:?}");
        assert_ne!(found[0].0, Kind::Secret, "the more exact one gives the name");
    }
}

fn told(action: Action, kinds: &[Kind]) -> Vec<Found> {
    kinds.iter().map(|kind| Found { kind: *kind, action }).collect()
}

#[test]
fn each_action_does_what_it_says() {
    let text = "Ada <ada@example.com> pays with 4111 1111 1111 1111 today.";
    let of = |action| Filter::new(Policy::all(action)).whole(text);
    let both = [Kind::Email, Kind::Card];
    assert_eq!((of(Action::Allow).text.as_str(), of(Action::Allow).found), (text, vec![]));
    assert_eq!(
        (of(Action::Shadow).text.as_str(), of(Action::Shadow).found),
        (text, told(Action::Shadow, &both))
    );
    let redacted = of(Action::Redact);
    assert_eq!(redacted.text, "Ada <[email]> pays with [card] today.");
    assert_eq!((redacted.found, redacted.blocked), (told(Action::Redact, &both), false));
    let blocked = of(Action::Block);
    assert_eq!((blocked.text.as_str(), blocked.blocked), ("Ada <", true));
    assert_eq!(blocked.found, told(Action::Block, &[Kind::Email]));
}

#[test]
fn a_kind_has_an_action_of_its_own_and_what_is_allowed_hides_nothing() {
    let policy = Policy::all(Action::Redact).with(Kind::Email, Action::Allow).with(Kind::Ip, Action::Shadow);
    let of = |text: &str| Filter::new(policy.clone()).whole(text).text;
    assert_eq!(of("ada@example.com from 192.0.2.17"), "ada@example.com from 192.0.2.17");
    // An address of mail may pass, the card in it may not.
    assert_eq!(of("4111111111111111@example.com"), "[card]@example.com");
}

#[test]
fn after_a_block_nothing_passes() {
    let mut filter = Filter::new(Policy::all(Action::Block));
    assert_eq!(filter.push("mail ada@example.com ").text, "mail ");
    let after = filter.push("and more, and more");
    assert_eq!((after.text.as_str(), after.blocked), ("", true));
    let end = filter.finish();
    assert_eq!((end.text.as_str(), end.blocked), ("", true));
}

#[test]
fn a_match_that_is_cut_is_held_and_a_word_is_not() {
    let mut filter = Filter::new(Policy::all(Action::Redact));
    assert_eq!(filter.push("Card 4111 1111 11").text, "Card ");
    assert_eq!(filter.push("11 1111").text, "");
    assert_eq!(filter.push(" is hers. ").text, "[card] is hers. ");
    assert_eq!(filter.finish().text, "");
    // What is not finished is looked at as the end.
    let mut filter = Filter::new(Policy::all(Action::Redact));
    assert_eq!(filter.push("ada@example.com").text, "");
    assert_eq!(filter.finish().text, "[email]");
}

#[test]
fn what_is_held_back_is_bounded() {
    for text in hostile(40_000).into_iter().chain(samples().into_iter().map(|(_, text)| text)) {
        let (mut filter, mut given, mut taken) = (Filter::new(Policy::all(Action::Shadow)), 0, 0);
        for piece in text.as_bytes().chunks(97) {
            let piece = std::str::from_utf8(piece).unwrap();
            taken += piece.len();
            given += filter.push(piece).text.len();
            assert!(taken - given <= LOOK, "{} held of {}…", taken - given, &text[..text.len().min(20)]);
        }
    }
}

/// Texts that are made to be slow.
fn hostile(bytes: usize) -> Vec<String> {
    [
        "1",
        "@",
        "a",
        "-----BEGIN ",
        "-----BEGIN PRIVATE KEY-----",
        "4111 ",
        "a.",
        "a@",
        "a@b.",
        "+1",
        "(212) ",
        "eyJ",
        "eyJ.",
        "password=",
        ":",
        "::",
        "1.",
        "DE89",
        "sk-ant-",
        "\\n",
        "\\u0031",
        "\"",
        "=",
        "1-",
        "a@a.aa ",
        "fe80::",
        " ",
    ]
    .iter()
    .map(|unit| unit.repeat(bytes / unit.len()))
    .collect()
}

#[test]
fn hostile_texts_cost_a_bounded_look_a_byte() {
    for text in hostile(1_000_000) {
        let (short, long) = (cost(&text[..text.len() / 10]), cost(&text));
        let start = &text[..8.min(text.len())];
        // The most that all detectors together may look at from one place, and that ten times the text is ten times the work.
        assert!(long <= text.len() as u64 * 4 * LOOK as u64, "{start}: {long}");
        assert!(long <= short * 11 + 100_000, "{start}: {short} then {long}");
    }
}

#[test]
fn json_stays_json() {
    let mut value = json!({
        "who": {"mail": "ada@example.com", "n": 4_111_111_111_111_111u64, "age": 36},
        "password": "hunter2Blue", "list": ["ok", "192.0.2.17"], "ada@example.com": true, "ssn": 219_099_999,
    });
    let (found, blocked) = clean(&mut value, &Policy::all(Action::Redact));
    let wanted = json!({
        "who": {"mail": "[email]", "n": "[card]", "age": 36},
        "password": "[secret]", "list": ["ok", "[ip]"], "[email]": true, "ssn": "[us_ssn]",
    });
    assert_eq!((value, found.len(), blocked), (wanted, 6, false));
    let mut value = json!({"mail": "ada@example.com"});
    let (_, blocked) = clean(&mut value, &Policy::all(Action::Block));
    assert_eq!((value, blocked), (json!(null), true));
}

/// A pack with this `guard:`; its rules, or the first flaw with its label.
fn ruled(guard: &str) -> Result<Rules, String> {
    let text = format!(
        "---\nname: a\ntools: [files.read, files.list]\ngrants: {{ files: [\"/var/log:ro\"] }}\nguard: {guard}\n---\nDo.\n"
    );
    match hale_core::pack::parse(text.as_bytes(), "a.md", &hale_core::pack::Env::default()) {
        Ok(pack) => Ok(pack.manifest.guard),
        Err(error) => Err(error.render(Paint::Plain)),
    }
}

#[test]
fn a_pack_says_what_is_done_where() {
    let rules = ruled(
        "{ input: redact, output: block, tools: { files.read: block, all: allow }, kinds: { email: allow } }",
    )
    .unwrap();
    let of = |place, kind| rules.policy(&place, Action::Shadow).of(kind);
    assert_eq!(of(Place::Input, Kind::Card), Action::Redact);
    assert_eq!(of(Place::Output, Kind::Card), Action::Block);
    assert_eq!(of(Place::Tool("files.read".to_owned()), Kind::Card), Action::Block);
    assert_eq!(of(Place::Tool("files.list".to_owned()), Kind::Card), Action::Allow);
    assert_eq!(of(Place::Output, Kind::Email), Action::Allow);
    let silent = ruled("{ input: redact }").unwrap();
    assert_eq!(silent.policy(&Place::Output, Action::Shadow), Policy::all(Action::Shadow));
    assert_eq!(
        ruled("{ tools: redact }").unwrap().policy(&Place::Tool("x".to_owned()), Action::Shadow),
        Policy::all(Action::Redact)
    );
}

#[test]
fn a_pack_that_misspells_its_guard_is_told_what_was_meant() {
    for (guard, said) in [
        ("{ inputs: redact }", "unknown key `inputs` in `guard`: did you mean `input`?"),
        ("{ input: redac }", "`guard.input` is \"redac\", which does not exist: did you mean `redact`?"),
        ("{ kinds: { emial: allow } }", "unknown key `emial` in `guard.kinds`: did you mean `email`?"),
        (
            "{ tools: { files.raed: block } }",
            "`guard.tools` names the tool `files.raed`, which the pack has not: did you mean `files.read`?",
        ),
        ("redact", "`guard` is"),
    ] {
        let error = ruled(guard).unwrap_err();
        let error = error.split_whitespace().collect::<Vec<_>>().join(" ");
        let (message, label) = said.split_once(": ").unwrap_or((said, ""));
        assert!(error.contains(message) && error.contains(label), "{guard}: {error}");
    }
}
