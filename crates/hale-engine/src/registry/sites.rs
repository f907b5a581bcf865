//! Where on the web a pack may call, seen at its deploy: what the operator does not allow, and what is left open.
//!
//! Guarantees: a grant that the setting `web.allow` does not cover is refused with file, line and way out.
//! Leaves to others: every call, which is checked again (`hale-gateway/src/egress/policy.rs`).

use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::pack::{Pack, WEB_FETCH, Warning};
use hale_core::web::Site;
use hale_gateway::web::Web;

/// # Errors
/// E013 for the first grant that is not allowed.
pub(super) fn check(pack: &Pack, file: &str, web: &Web) -> Result<(), Failure> {
    for text in &pack.manifest.web {
        let refused = |error: &(dyn std::error::Error + 'static)| {
            let line = line_of(&pack.source, text);
            let message = format!("{file}, line {line}: grant {text} to pack {}", pack.manifest.name);
            Failure::new(Code::E013, "pack.grant_refused", "registry", message).caused_by(error)
        };
        let site: Site = text.parse().map_err(|error| refused(&error))?;
        web.may_grant(&site).map_err(|error| refused(&error))?;
    }
    Ok(())
}

/// Says what a pack gets that is granted the tool and no host.
pub(super) fn warn(pack: &mut Pack, web: &Web) {
    let manifest = &pack.manifest;
    if !manifest.web.is_empty() || !manifest.tools.iter().any(|tool| tool == WEB_FETCH) {
        return;
    }
    let (message, help) = if web.is_open() {
        (
            format!(
                "{WEB_FETCH} is granted no host, and may call every public one, since `web.allow` says `*`"
            ),
            "name the hosts that the work needs: `grants: { web: [\"example.com\"] }`",
        )
    } else {
        (
            format!("{WEB_FETCH} is granted no host, so every call will be refused"),
            "add for example `grants: { web: [\"example.com\"] }`; the setting `web.allow` has to cover it",
        )
    };
    let line = line_of(&pack.source, WEB_FETCH);
    pack.warnings.push(Warning { line, column: 1, message, help: help.to_owned() });
}

/// Where the file says it: the line of the word, else that of the key, else the first.
fn line_of(source: &str, word: &str) -> usize {
    let holds = |word: &str| {
        let word = word.to_lowercase();
        source
            .lines()
            .position(|line| !line.trim_start().starts_with('#') && line.to_lowercase().contains(&word))
    };
    holds(word).or_else(|| holds("web")).unwrap_or(0) + 1
}
