//! The pack that `hale packs init` writes: small, commented, and working as it stands.
//!
//! Read next: [`super::parse`](mod@super::parse), which must accept it.

/// A log-reading agent called `name`; a test parses it.
pub fn starter(name: &str) -> String {
    STARTER.replace("NAME", name)
}

const STARTER: &str = r#"---
name: NAME
version: 0.1.0
description: Reads a log file and says what went wrong. Use after an incident or on a noisy log.

# No `model:` means the server's default model. To choose one: model: provider/model
# fallback: [provider/other-model]

# What the agent may call, and which folders it may touch. Without `tools` it can call nothing;
# a folder must also be allowed by the server's `files.allow`.
tools: [files.read, files.search, files.list]
grants: { files: ["/var/log:ro"] }

# What a run takes. `string?` may be left out; {type: integer, default: 5} has a default.
input:
  path: string

# The run is stopped at the first of these.
limits: { timeout: 60s, max_turns: 12, max_tokens: 200000 }
---
You read logs for an engineer who is on call and short of time.

The input names a file in `path`. Work like this:

1. Search the file for errors and warnings first (files.search); do not read a large file from end to end.
2. Read the lines around the first occurrence of each kind (files.read): the first error is nearer to the cause than the last.
3. If the path is a folder, list it (files.list) and take the newest file that fits.

Then answer in this form, in at most fifteen lines:

- **What happened**: one sentence, with the time of the first sign.
- **Evidence**: at most five lines of the log, quoted exactly, each with its line number.
- **Likely cause**: one sentence, and how sure you are.
- **Next step**: the one command or check that you would do now.

Quote only lines that you have read. If the log shows no trouble, say so and name what you looked for.
If a tool refuses or the file is missing, say that instead of guessing.
"#;
