//! No path leads out of a granted folder.

use crate::place::{Place, RESOLVERS, SECRET, plenty, refusal, text};
use hale_sandbox::{Folder, Resolver, call};
use proptest::prelude::*;
use serde_json::json;
use std::cell::Cell;
use std::fs;

const REFUSED: &str = "E013 tool.refused";

fn read(place: &Place, resolver: Resolver, path: &str) -> String {
    match place.call_by(resolver, "files.read", json!({"path": path})) {
        Ok(answer) => {
            assert!(!answer.to_string().contains(SECRET), "{path:?} escaped: {answer}");
            answer["text"].as_str().unwrap_or("binary").to_owned()
        }
        Err(failure) => format!("{} {}", failure.code, failure.cause),
    }
}

#[test]
fn paths_that_lead_out_are_refused() {
    let place = Place::new();
    for resolver in RESOLVERS {
        for path in [
            "..",
            "../outside/secret.txt",
            "sub/../../outside/secret.txt",
            "./.././outside/secret.txt",
            "sub//..//..//outside/secret.txt",
            "/etc/passwd",
            "//etc/passwd",
            "/",
            &text(&place.outside("secret.txt")),
            &text(&place.inside("../outside/secret.txt")),
            &format!("{}/../../outside/secret.txt", text(&place.inside("sub"))),
            &format!("{}-other/x", text(&place.inside("")).trim_end_matches('/')),
            "link-secret",
            "link-out/secret.txt",
            "link-out/nothing",
            "link-absolute",
            "link-root/etc/passwd",
            "link-magic/etc/passwd",
            "sub/link-secret",
            "sub/parent/../outside/secret.txt",
            "loop-a",
        ] {
            assert_eq!(read(&place, resolver, path), REFUSED, "{path:?} by {resolver:?}");
            let listed = place.call_by(resolver, "files.list", json!({"path": path}));
            assert_eq!(refusal(listed), REFUSED, "{path:?} by {resolver:?}");
            let found = place.call_by(resolver, "files.search", json!({"path": path, "pattern": "."}));
            assert_eq!(refusal(found), REFUSED, "{path:?} by {resolver:?}");
        }
    }
}

#[test]
fn a_refusal_is_the_same_whether_the_file_outside_exists_or_not() {
    let place = Place::new();
    let refused = |path: &str| place.call("files.read", json!({"path": path})).unwrap_err();
    let (there, not_there) = (refused("link-out/secret.txt"), refused("link-out/nothing-txt"));
    assert_eq!(there.message.replace("secret.txt", "nothing-txt"), not_there.message);
    // What climbs out by its text alone is refused before anything is looked up.
    let climbs = refused("no-such/../../outside/secret.txt").message;
    assert!(climbs.contains("lies outside the granted folders"), "{climbs}");
    let (there, not_there) = (refused("/etc/passwd"), refused("/etc/nothing"));
    assert_eq!(there.message.replace("passwd", "nothing"), not_there.message);
}

#[test]
fn encoded_names_are_names_like_any_others() {
    let place = Place::new();
    for resolver in RESOLVERS {
        for path in [
            "%2e%2e/outside/secret.txt",
            "..%2foutside",
            "~/a.txt",
            "file:///etc/passwd",
            "..\\outside",
            "．．/x",
        ] {
            assert_eq!(read(&place, resolver, path), "E010 tool.not_found", "{path:?}");
        }
    }
    place.write("%2e%2e", "just a name\n");
    assert_eq!(read(&place, Resolver::Kernel, "%2e%2e"), "just a name\n");
}

#[test]
fn impossible_paths_are_bad_arguments() {
    let place = Place::new();
    let long = "a/".repeat(5000);
    let name = "a".repeat(300);
    for resolver in RESOLVERS {
        for path in ["a\0b", "a.txt\0", &long, &name] {
            assert_eq!(read(&place, resolver, path), "E002 tool.bad_arguments");
        }
        assert_eq!(read(&place, resolver, "a.txt/b"), "E010 tool.not_found");
    }
}

#[test]
fn what_a_model_wrote_is_escaped_and_shortened_in_messages() {
    let place = Place::new();
    let path = format!("/etc/\u{1b}[2J\n{}", "x".repeat(3000));
    let failure = place.call("files.read", json!({"path": path})).unwrap_err();
    assert!(!failure.message.contains(['\u{1b}', '\n']), "{}", failure.message);
    assert!(failure.message.len() < 1500, "{}", failure.message.len());
}

#[test]
fn links_that_stay_inside_are_followed_where_the_kernel_keeps_them_inside() {
    let place = Place::new();
    assert_eq!(read(&place, Resolver::Kernel, "link-in"), "needle in sub\n");
    assert_eq!(read(&place, Resolver::Kernel, "sub/link-up-in"), "first\nsecond\nthird\n");
    assert_eq!(read(&place, Resolver::Kernel, "sub/parent/a.txt"), "first\nsecond\nthird\n");
    assert_eq!(read(&place, Resolver::Kernel, "sub/../a.txt"), "first\nsecond\nthird\n");
    assert_eq!(read(&place, Resolver::Walk, "link-in"), REFUSED);
    assert_eq!(read(&place, Resolver::Walk, "sub/parent/a.txt"), REFUSED);
}

#[test]
fn absolute_and_relative_paths_lead_to_the_same_file() {
    let place = Place::new();
    for resolver in RESOLVERS {
        assert_eq!(read(&place, resolver, "sub/b.txt"), "needle in sub\n");
        assert_eq!(read(&place, resolver, &text(&place.inside("sub/b.txt"))), "needle in sub\n");
        assert_eq!(read(&place, resolver, "./sub//b.txt"), "needle in sub\n");
    }
}

#[test]
fn with_several_folders_the_innermost_decides_and_a_relative_path_is_ambiguous() {
    let place = Place::new();
    let mut inner = place.grant();
    inner.root = place.inside("sub");
    let folders = [place.folder(Resolver::Kernel), Folder::open(&inner).unwrap()];
    let read = |path: &str| call("files.read", &json!({"path": path}), &folders, &plenty());
    assert_eq!(read(&text(&place.inside("sub/b.txt"))).unwrap()["text"], "needle in sub\n");
    assert_eq!(read(&text(&place.inside("a.txt"))).unwrap()["bytes_total"], 19);
    // Inside the inner grant its own border holds, although the outer one would cover the target.
    let up = read(&text(&place.inside("sub/link-up-in"))).unwrap_err();
    assert_eq!(up.failure("files.read").cause, "tool.refused");
    let relative = read("a.txt").unwrap_err();
    assert!(relative.to_string().contains("several folders"), "{relative}");
    let none = call("files.read", &json!({"path": "a.txt"}), &[], &plenty()).unwrap_err();
    assert!(none.to_string().contains("the pack asks for folders"), "{none}");
}

#[test]
fn hidden_folders_stay_hidden_by_every_way_to_them() {
    let place = Place::new();
    fs::create_dir(place.inside(".hale")).unwrap();
    place.write(".hale/keys", "needle key\n");
    std::os::unix::fs::symlink(".hale", place.inside("alias")).unwrap();
    for resolver in RESOLVERS {
        let folders = [place.folder(resolver).hiding(&[place.inside("sub/../.hale")])];
        for path in [".hale/keys", "alias/keys", ".hale", "alias"] {
            for (tool, args) in [
                ("files.read", json!({"path": path})),
                ("files.list", json!({"path": path})),
                ("files.search", json!({"path": path, "pattern": "needle"})),
            ] {
                let failure = call(tool, &args, &folders, &plenty()).unwrap_err().failure(tool);
                assert_eq!(failure.cause, "tool.refused", "{path} by {tool}");
            }
        }
        let found = call("files.search", &json!({"pattern": "needle"}), &folders, &plenty()).unwrap();
        assert_eq!((&found["returned"], &found["unreadable"]), (&json!(2), &json!(1)), "{found}");
        assert_eq!(
            call("files.read", &json!({"path": "sub/b.txt"}), &folders, &plenty()).unwrap()["bytes_total"],
            14
        );
    }
}

#[test]
fn a_root_that_became_a_link_is_not_opened_again_elsewhere() {
    let place = Place::new();
    let allowed = place.grant();
    let mut grant = place.grant();
    grant.root = place.inside("sub");
    let granted = grant.allowed_by(std::slice::from_ref(&allowed)).unwrap();
    fs::rename(place.inside("sub"), place.inside("moved")).unwrap();
    std::os::unix::fs::symlink(place.outside(""), place.inside("sub")).unwrap();
    // The engine asks again before each run.
    assert!(granted.allowed_by(&[allowed]).is_err());
}

fn part() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just("..".to_owned()),
        2 => prop::sample::select(vec!["sub", "deep", "b.txt", "a.txt", "c.txt", "parent", "link-in"]).prop_map(str::to_owned),
        2 => prop::sample::select(vec!["link-out", "link-secret", "link-absolute", "link-root", "link-magic", "secret.txt",
            "outside", "granted", "loop-a", "link-up-in"]).prop_map(str::to_owned),
        1 => prop::sample::select(vec!["", ".", "...", "%2e%2e", "~", "\0", "..;", ".. ", "\u{202e}..", "etc", "passwd"])
            .prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

fn path() -> impl Strategy<Value = (u8, Vec<String>)> {
    (0u8..4, prop::collection::vec(part(), 0..8))
}

#[test]
fn no_path_escapes() {
    let place = Place::new();
    let (given, refused) = (Cell::new(0), Cell::new(0));
    let folders = RESOLVERS.map(|resolver| [place.folder(resolver)]);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 10_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let outcome = runner.run(&path(), |(start, parts)| {
        let rest = parts.join("/");
        let path = match start {
            0 => rest,
            1 => format!("/{rest}"),
            2 => format!("{}/{rest}", text(&place.inside(""))),
            _ => format!("{}/{rest}", text(&place.outside(""))),
        };
        for folder in &folders {
            for (tool, args) in [
                ("files.read", json!({"path": path})),
                ("files.list", json!({"path": path, "depth": 2})),
                ("files.search", json!({"path": path, "pattern": "S3CRET|needle|root:"})),
            ] {
                match call(tool, &args, folder, &plenty()) {
                    Ok(answer) => {
                        given.set(given.get() + 1);
                        let answer = answer.to_string();
                        let escaped = answer.contains(SECRET)
                            || answer.contains("root:x")
                            || answer.contains("\"passwd\"");
                        let escaped = escaped || (tool == "files.list" && answer.contains("\"secret.txt\""));
                        prop_assert!(!escaped, "{tool} {path:?} gave {answer}");
                    }
                    Err(error) => {
                        let cause = error.failure(tool).cause;
                        refused.set(refused.get() + u32::from(cause == "tool.refused"));
                        prop_assert!(
                            cause != "tool.io" && cause != "tool.timeout",
                            "{tool} {path:?}: {error}"
                        );
                    }
                }
            }
        }
        Ok(())
    });
    outcome.unwrap();
    assert!(given.get() > 1000 && refused.get() > 1000, "{} given, {} refused", given.get(), refused.get());
}
