//! Packs that are right: what the keys mean.
//!
//! Read next: `pack_errors.rs`, for those that are not.

use hale_core::limits;
use hale_core::pack::{Env, FieldType, Kind, Limits, Manifest, Pack, parse, starter};
use hale_core::retry::Policy;
use hale_core::run::Priority;
use hale_core::time::Millis;

pub fn env() -> Env {
    Env { default_model: "sim/small".to_owned() }
}

/// Reads a pack that must be right.
pub fn read(text: &str) -> Pack {
    parse(text.as_bytes(), "test.md", &env()).unwrap_or_else(|error| panic!("{error}"))
}

const FULL: &str = r#"---
name: research-pack
version: 1.2.3
description: Finds and summarises sources. Use for open questions.
kind: agent
model: sim/researcher
fallback: [openai/gpt-5-mini, sim/small]
capabilities: [research, summarise]
tools: [files.read, files.search]
grants: { files: ["/var/log:ro", "/srv//data/"] }
limits: { timeout: 90s, memory: 256MB, max_turns: 20, max_tokens: 5000, budget_usd: 0.50 }
input: { question: string, path: string?, n: {type: integer, default: 3, description: how many} }
steps: [data_collection, analysis, output_generation]
retry: { max: 2, backoff: 1s..8s, jitter: 500ms }
temperature: 0
seed: 42
queue: research
priority: high
x-team: search
---

You are a careful research assistant. Cite every claim.
"#;

#[test]
fn every_key_means_what_it_says() {
    let Pack { manifest, source, digest, warnings } = read(FULL);
    assert_eq!(warnings, []);
    assert_eq!((source.as_str(), digest.len()), (FULL, 64));
    let words = |words: &[&str]| -> Vec<String> { words.iter().map(|word| (*word).to_owned()).collect() };
    assert_eq!((manifest.name.as_str(), manifest.version.as_str()), ("research-pack", "1.2.3"));
    assert_eq!(manifest.kind, Kind::Agent);
    assert_eq!(manifest.model.as_deref(), Some("sim/researcher"));
    assert_eq!(manifest.fallback, words(&["openai/gpt-5-mini", "sim/small"]));
    assert_eq!(manifest.capabilities, words(&["research", "summarise"]));
    assert_eq!(manifest.tools, words(&["files.read", "files.search"]));
    assert_eq!(manifest.files, words(&["/var/log:ro", "/srv/data:ro"]));
    let limits = Limits {
        timeout: Millis::seconds(90),
        memory: Some(256_000_000),
        max_turns: 20,
        max_tokens: 5000,
        budget_usd: Some(0.5),
    };
    assert_eq!(manifest.limits, limits);
    assert_eq!(manifest.steps, words(&["data_collection", "analysis", "output_generation"]));
    let policy =
        Policy { retries_max: 2, wait_min: Millis(1_000), wait_max: Millis(8_000), jitter_max: Millis(500) };
    assert_eq!(manifest.retry, Some(policy));
    assert_eq!((manifest.temperature, manifest.seed), (Some(0.0), Some(42)));
    assert_eq!((manifest.queue.as_deref(), manifest.priority), (Some("research"), Priority::High));
    assert_eq!(manifest.system_prompt, "You are a careful research assistant. Cite every claim.");
    let fields: Vec<(&str, FieldType, bool)> =
        manifest.input.fields.iter().map(|field| (field.name.as_str(), field.kind, field.required)).collect();
    let expected = [
        ("question", FieldType::String, true),
        ("path", FieldType::String, false),
        ("n", FieldType::Integer, false),
    ];
    assert_eq!(fields, expected);
}

#[test]
fn what_is_left_out_has_the_stated_default() {
    let manifest = read("---\nname: a\n---\nDo it.").manifest;
    assert_eq!(manifest.limits, Limits::default());
    assert_eq!(manifest.limits.timeout, limits::RUN_TIMEOUT);
    assert!(manifest.tools.is_empty() && manifest.files.is_empty() && manifest.fallback.is_empty());
    assert_eq!((manifest.model, manifest.retry, manifest.priority), (None, None, Priority::Normal));
    assert!(manifest.input.open);
}

#[test]
fn a_file_without_a_version_gets_one_from_its_content() {
    let one = read("---\nname: a\n---\nDo it.");
    let other = read("---\nname: a\n---\nDo it now.");
    assert_eq!(one.manifest.version, format!("0.0.0+{}", &one.digest[..8]));
    assert_ne!(one.manifest.version, other.manifest.version);
    assert_eq!(one.manifest.version, read("---\nname: a\n---\nDo it.").manifest.version);
}

#[test]
fn a_manifest_survives_the_wire_with_units_in_its_names() {
    let manifest = read(FULL).manifest;
    let json = serde_json::to_value(&manifest).unwrap();
    assert_eq!(json["limits"]["timeout_ms"], 90_000);
    assert_eq!(json["limits"]["memory_bytes"], 256_000_000);
    assert_eq!(json["kind"], "agent");
    assert_eq!(serde_json::from_value::<Manifest>(json).unwrap(), manifest);
}

#[test]
fn with_a_system_prompt_key_the_body_is_documentation() {
    let manifest = read("---\nname: a\nsystem_prompt: Be brief.\n---\n# About\n").manifest;
    assert_eq!((manifest.system_prompt.as_str(), manifest.documentation.as_str()), ("Be brief.", "# About"));
}

#[test]
fn a_toml_file_is_keys_only() {
    let text = r#"
name = "toml-pack"
version = "0.2.0"
tools = ["files.read"]
steps = ["one", "two"]
system_prompt = """
Be brief.
"""
documentation = "About it."

[limits]
timeout = "5m"

[grants]
files = ["/srv/data:ro"]

[input]
question = "string"
n = { type = "integer", default = 3 }
"#;
    let pack = parse(text.as_bytes(), "Pack.TOML", &env()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(pack.warnings, []);
    let manifest = pack.manifest;
    assert_eq!(manifest.limits.timeout, Millis::seconds(300));
    assert_eq!(manifest.system_prompt.trim(), "Be brief.");
    assert_eq!(manifest.documentation, "About it.");
    let names: Vec<&str> = manifest.input.fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(names, ["question", "n"], "in the order of the file");
}

#[test]
fn an_echo_pack_needs_no_model_and_no_body() {
    let manifest = read("---\nname: e\nkind: echo\n---").manifest;
    assert_eq!((manifest.kind, manifest.system_prompt.as_str()), (Kind::Echo, ""));
    let manifest = read("---\nname: e\nkind: echo\n---\nAbout it.").manifest;
    assert_eq!((manifest.system_prompt.as_str(), manifest.documentation.as_str()), ("", "About it."));
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_are_no_matter() {
    let pack = read("\u{feff}---\r\nname: a\r\ndescription: b\r\n---\r\nDo it.\r\n");
    assert_eq!(pack.manifest.description, "b");
    assert_eq!(pack.manifest.system_prompt, "Do it.");
}

#[test]
fn file_tools_without_a_folder_are_worth_a_warning() {
    let warnings = read("---\nname: a\ntools: [files.read]\n---\nDo it.").warnings;
    assert_eq!(warnings.len(), 1);
    assert_eq!((warnings[0].line, warnings[0].column), (3, 1));
    assert!(warnings[0].help.contains("grants: { files:"), "{}", warnings[0].help);
    let warnings = read("---\nname: a\ngrants: { files: [\"/srv:ro\"] }\n---\nDo it.").warnings;
    assert!(warnings[0].message.contains("no tool may use them"), "{warnings:?}");
}

#[test]
fn the_starter_parses_and_does_what_init_promises() {
    let pack = read(&starter("my-logs"));
    assert_eq!(pack.warnings, []);
    let manifest = pack.manifest;
    assert_eq!(manifest.name, "my-logs");
    assert_eq!(manifest.files, ["/var/log:ro"]);
    assert_eq!(manifest.tools, ["files.read", "files.search", "files.list"]);
    assert_eq!(manifest.model, None);
    assert!(manifest.steps.is_empty());
    assert!(manifest.input.field("path").is_some_and(|field| field.required));
}

#[test]
fn the_example_packs_parse_without_a_warning() {
    for (name, text) in [
        ("hello", include_str!("../../../../packs/hello.md")),
        ("log-triage", include_str!("../../../../packs/log-triage.md")),
        ("research-pack", include_str!("../../../../packs/research-pack.md")),
        ("echo", include_str!("../../../../packs/echo.md")),
        ("planner", include_str!("../../../../packs/arms/planner.md")),
        ("executor", include_str!("../../../../packs/arms/executor.md")),
        ("coder", include_str!("../../../../packs/arms/coder.md")),
        ("judge", include_str!("../../../../packs/arms/judge.md")),
        ("guardian", include_str!("../../../../packs/arms/guardian.md")),
        ("retriever", include_str!("../../../../packs/arms/retriever.md")),
    ] {
        let pack = read(text);
        assert_eq!(pack.manifest.name, name);
        assert_eq!(pack.warnings, [], "{name}");
        assert_eq!(pack.manifest.model, None, "{name} runs on the default model");
    }
    assert_eq!(include_str!("../../../../packs/log-triage.md"), starter("log-triage"));
}
