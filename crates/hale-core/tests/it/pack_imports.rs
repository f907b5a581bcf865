//! Agent files of other systems deploy unchanged.
//!
//! Read next: `crates/hale-core/src/pack/import.rs`.

use crate::packs::{env, read};
use hale_core::pack::{Pack, parse};
use hale_core::time::Millis;

fn shown(pack: &Pack) -> String {
    let mut text = format!(
        "tools {:?}\nmodel {:?}\nignored {:?}\nlimits {:?}\n",
        pack.manifest.tools, pack.manifest.model, pack.manifest.ignored, pack.manifest.limits
    );
    for warning in &pack.warnings {
        text.push_str(&format!(
            "{}:{} {}\n    {}\n",
            warning.line, warning.column, warning.message, warning.help
        ));
    }
    text
}

const CLAUDE: &str = "---
name: code-reviewer
description: Reviews code. Use after every change.
tools: Read, Grep, Glob, Bash(git log:*, git diff:*), mcp__github__get_issue
model: sonnet
color: blue
permissionMode: plan
maxTurns: 30
skills: [review]
---

You are a senior reviewer.
";

#[test]
fn a_claude_code_agent_deploys_unchanged() {
    let pack = read(CLAUDE);
    assert_eq!(pack.source, CLAUDE);
    assert_eq!(pack.manifest.system_prompt, "You are a senior reviewer.");
    assert!(pack.manifest.version.starts_with("0.0.0+"));
    insta::assert_snapshot!(shown(&pack));
}

#[test]
fn its_tools_may_be_a_list_and_its_model_any_alias() {
    for model in ["sonnet", "opus", "haiku", "inherit", "claude-opus-4-1"] {
        let text = format!("---\nname: a\ndescription: b\ntools: [Read, Write]\nmodel: {model}\n---\nDo it.");
        let pack = read(&text);
        assert_eq!(pack.manifest.tools, ["files.read"]);
        assert_eq!(pack.manifest.model, None);
        assert!(pack.warnings.iter().any(|warning| warning.message.contains(model)), "{:?}", pack.warnings);
    }
}

#[test]
fn a_model_with_its_provider_is_kept() {
    let pack = read("---\nname: a\ndescription: b\nmodel: sim/small\ncolor: red\n---\nDo it.");
    assert_eq!(pack.manifest.model.as_deref(), Some("sim/small"));
    assert_eq!(pack.manifest.ignored, ["color"]);
    assert_eq!(pack.warnings, []);
}

#[test]
fn only_mapped_tools_are_ever_granted() {
    for tool in ["Bash", "Write", "Edit", "WebSearch", "Task", "mcp__fs__read", "Bash(files.read)", "*"] {
        let pack = read(&format!("---\nname: a\ndescription: b\ntools: \"{tool}\"\ncolor: red\n---\nDo it."));
        assert_eq!(pack.manifest.tools, [] as [&str; 0], "{tool}");
        assert!(pack.manifest.files.is_empty());
        assert!(pack.warnings.iter().any(|warning| warning.message.contains("no match here")), "{tool}");
    }
}

#[test]
fn a_description_that_is_not_yaml_is_read_line_by_line() {
    let text = "---
name: test-runner
description: Use this agent to run tests. Examples: <example>user: \"run it\"</example>
  and again: always
tools: Read, Grep
model: inherit
---
Run the tests.
";
    let pack = read(text);
    assert!(pack.manifest.description.starts_with("Use this agent to run tests. Examples: <example>"));
    assert!(pack.manifest.description.ends_with("and again: always"));
    assert_eq!(pack.manifest.tools, ["files.read", "files.search"]);
    assert!(
        pack.warnings.iter().any(|warning| warning.message.contains("line by line")),
        "{:?}",
        pack.warnings
    );
}

#[test]
fn the_lenient_reading_is_for_claude_code_files_only() {
    for text in [
        // Nothing says that it is one.
        "---\nname: a\ndescription: b: c\n---\nDo it.",
        // Our own keys must be YAML.
        "---\nname: a\ndescription: b: c\ncolor: red\nlimits: { timeout: 5s }\n---\nDo it.",
        // A duplicate stays one.
        "---\nname: a\nname: b\ndescription: c\ncolor: red\n---\nDo it.",
    ] {
        assert!(parse(text.as_bytes(), "a.md", &env()).is_err(), "{text}");
    }
}

const CAXTON: &str = "---
name: data-analyzer
version: \"2.0.1\"
description: Looks at data.
capabilities: [data-analysis, reporting]
tools: [http_client, csv_parser]
system_prompt: |
  You are a data analyst.
user_prompt_template: \"Analyse: {{request}}\"
parameters:
  max_rows: { type: integer, default: 100 }
performance: { max_execution_time: 90s, max_memory_usage: 512MB, concurrent_tools: 3 }
conversation: { max_turns: 50 }
author: somebody
tags: [data]
---

# Data analyzer

How to use it.
";

#[test]
fn a_caxton_agent_deploys_unchanged() {
    let pack = read(CAXTON);
    assert_eq!(pack.manifest.version, "2.0.1");
    assert_eq!(pack.manifest.system_prompt.trim(), "You are a data analyst.");
    assert!(pack.manifest.documentation.starts_with("# Data analyzer"));
    insta::assert_snapshot!(shown(&pack));
}

#[test]
fn a_caxton_agent_in_toml_deploys_too() {
    let text = r#"
name = "data-analyzer"
version = "2.0.1"
capabilities = ["data-analysis"]
tools = ["http_client"]
system_prompt = "You are a data analyst."

[llm]
provider = "openai"
model = "gpt-4o"

[performance]
max_execution_time = "2m"
"#;
    let pack = parse(text.as_bytes(), "agent.toml", &env()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(pack.manifest.ignored, ["llm", "performance"]);
    assert_eq!(pack.manifest.limits.timeout, Millis::seconds(120));
}

#[test]
fn a_foreign_file_may_have_keys_of_ours() {
    let text = "---
name: a
description: b
tools: Read
color: red
grants: { files: [\"/srv:ro\"] }
limits: { timeout: 5m }
maxTurns: 3
---
Do it.";
    let pack = read(text);
    assert_eq!(pack.manifest.files, ["/srv:ro"]);
    assert_eq!(pack.manifest.limits.timeout, Millis::seconds(300));
    assert_eq!(pack.warnings, []);
}

#[test]
fn a_slip_of_a_key_of_ours_is_an_error_in_a_foreign_file_too() {
    let text = "---\nname: a\ndescription: b\ncolor: red\ngrant: { files: [] }\n---\nDo it.";
    let error = parse(text.as_bytes(), "a.md", &env()).expect_err("`grant` is a slip");
    assert!(error.first().help.contains("`grants`"), "{error}");
    let pack = read("---\nname: a\ndescription: b\ncolor: red\nfuture-thing: 1\n---\nDo it.");
    assert_eq!(pack.manifest.ignored, ["color", "future-thing"]);
    assert!(pack.warnings[0].message.contains("future-thing"), "{:?}", pack.warnings);
}
