//! Sites of the web: one form for each, and what a browser would read otherwise than a person is refused.

use crate::packs::read;
use hale_core::web::{Error, Site};

fn shown(text: &str) -> Result<String, Error> {
    text.parse().map(|site: Site| site.to_string())
}

#[test]
fn a_site_has_one_form() {
    for (text, form) in [
        ("example.com", "example.com"),
        ("Example.COM.", "example.com"),
        ("example.com:8443", "example.com:8443"),
        ("*.Rust-Lang.org", "*.rust-lang.org"),
        ("*", "*"),
        ("*:8443", "*:8443"),
        ("10.0.0.7", "10.0.0.7"),
        ("10.0.0.7:8080", "10.0.0.7:8080"),
        ("fd00:0:0::7", "fd00::7"),
        ("[fd00::7]", "fd00::7"),
        ("[FD00::7]:8080", "[fd00::7]:8080"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("localhost:3000", "localhost:3000"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("my_service.internal", "my_service.internal"),
    ] {
        assert_eq!(shown(text).as_deref(), Ok(form), "{text}");
        assert_eq!(shown(form).as_deref(), Ok(form), "{text}");
    }
}

#[test]
fn what_is_no_plain_host_is_refused_with_an_example() {
    for text in [
        "",
        " ",
        "https://example.com",
        "example.com/path",
        "user@example.com",
        "a b.com",
        "example..com",
        ".com",
        "*.",
        "a.*.com",
        "*example.com",
        "**",
        "bücher.example",
        "example.com:0",
        "example.com:65536",
        "example.com:",
        "example.com:http",
        "[fd00::7",
        "[10.0.0.7]",
        "fd00::7:zz",
        "2130706433",
        "0x7f.1",
        "010.0.0.1",
        "127.1",
        "a.0x7f",
        "1.2.3.4.5",
        "169.254.169.254.",
        "example.com\n",
        "a\\b",
        "１２７.0.0.1",
    ] {
        let error = text.parse::<Site>().expect_err(text);
        assert!(error.to_string().contains("for example"), "{error}");
    }
    let long = format!("{}.com", "a".repeat(64));
    assert!(long.parse::<Site>().is_err());
    assert!(["a.b"; 100].join(".").parse::<Site>().is_err());
}

#[test]
fn a_site_means_names_and_ports() {
    let site = |text: &str| text.parse::<Site>().unwrap();
    assert!(site("*").has_name("a.example") && site("*.example").has_name("a.b.example"));
    assert!(!site("*.example").has_name("example") && !site("*.example").has_name("badexample"));
    assert!(
        site("a.example").has_port(443)
            && site("a.example").has_port(80)
            && !site("a.example").has_port(8080)
    );
    assert!(site("a.example:8080").has_port(8080) && !site("a.example:8080").has_port(80));
    assert!(site("*").has_ports_of(&site("a.example")) && site("*").has_ports_of(&site("a.example:80")));
    assert!(!site("*").has_ports_of(&site("a.example:81")) && !site("*:80").has_ports_of(&site("a.example")));
}

#[test]
fn a_pack_is_granted_sites_beside_folders() {
    let front = "tools: [web.fetch]\ngrants: { web: [Example.com, \"*.rust-lang.org\", \"10.0.0.7:8080\", example.com] }";
    let pack = read(&format!("---\nname: a\n{front}\n---\nDo it.\n"));
    assert_eq!(pack.manifest.web, ["example.com", "*.rust-lang.org", "10.0.0.7:8080"]);
    assert_eq!(
        (pack.manifest.tools.as_slice(), pack.warnings.as_slice()),
        (["web.fetch".to_owned()].as_slice(), [].as_slice())
    );
    let idle = read("---\nname: a\ngrants: { web: [example.com] }\n---\nDo it.\n");
    assert!(idle.warnings[0].message.contains("no tool may call them"), "{:?}", idle.warnings);
    assert_eq!(idle.warnings[0].line, 3);
}

#[test]
fn the_fetch_of_another_system_is_ours_and_brings_no_grant() {
    let text = "---\nname: a\ndescription: b\ntools: Read, WebFetch, WebSearch\nmodel: sonnet\n---\nDo it.\n";
    let pack = read(text);
    assert_eq!(pack.manifest.tools, ["files.read", "web.fetch"]);
    assert!(pack.manifest.web.is_empty());
    assert!(pack.warnings.iter().any(|warning| warning.message.contains("`WebSearch`")));
}
