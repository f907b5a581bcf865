//! Packs: the list, and one pack whole.

use super::paint::{Look, Tone};
use super::table::{Cell, Column, Table, pairs};
use super::when;
use crate::wire::PackView;

pub fn table(packs: &[PackView], look: &Look, wide: bool) -> Table {
    let mut columns = vec![
        ("name", Column::Left),
        ("version", Column::Left),
        ("state", Column::Left),
        ("kind", Column::Left),
        ("model", Column::Left),
    ];
    if wide {
        columns.extend([
            ("limit", Column::Right),
            ("tools", Column::Left),
            ("deployed", Column::Left),
            ("by", Column::Left),
        ]);
    }
    columns.push(("description", Column::Text));
    let mut table = Table::new(&columns);
    for pack in packs {
        let (tone, state) = if pack.enabled { (Tone::Good, "enabled") } else { (Tone::Warn, "disabled") };
        let glyph = if pack.enabled { look.glyphs.good() } else { look.glyphs.warn() };
        let mut cells = vec![
            Cell::from(pack.name.clone()),
            Cell::from(pack.version.clone()),
            Cell::new(format!("{glyph} {state}"), tone),
            Cell::from(pack.kind.clone()),
            Cell::from(pack.model.clone().unwrap_or_default()),
        ];
        if wide {
            cells.extend([
                Cell::from(when::span(pack.timeout_ms)),
                Cell::from(pack.tools.join(",")),
                Cell::from(when::moment(look, &pack.deployed_at)),
                Cell::from(pack.deployed_by.clone()),
            ]);
        }
        cells.push(Cell::new(pack.description.clone(), Tone::Dim));
        table.row(cells);
    }
    table
}

/// `hale packs show`.
pub fn page(pack: &PackView, look: &Look) -> String {
    let state = match (pack.enabled, pack.current) {
        (false, _) => look.warn("disabled"),
        (true, true) => look.good("enabled"),
        (true, false) => "an older version".to_owned(),
    };
    let mut text = format!("{}  {state}\n", Tone::Strong.paint(&format!("{}@{}", pack.name, pack.version)));
    text.push_str(&pairs(&details(pack, look)));
    if let Some(error) = &pack.reload_error {
        text.push_str(&format!("{}\n", look.warn(&format!("the last reload was refused: {error}"))));
    }
    text.push_str(&warnings(pack, look));
    text
}

fn details(pack: &PackView, look: &Look) -> Vec<(&'static str, String)> {
    let deployed = if pack.deployed_at.is_empty() {
        String::new()
    } else {
        format!("{} by {}", when::moment(look, &pack.deployed_at), pack.deployed_by)
    };
    vec![
        ("about", pack.description.clone()),
        ("kind", pack.kind.clone()),
        ("model", pack.model.clone().unwrap_or_default()),
        ("fallback", pack.fallback.join(", ")),
        ("tools", pack.tools.join(", ")),
        ("runs", runs(pack)),
        ("files", pack.files.join(", ")),
        ("web", pack.web.join(", ")),
        ("limit", when::span(pack.timeout_ms)),
        ("deployed", deployed),
        ("versions", pack.versions.join(", ")),
    ]
}

/// What a deploy did: one line, what the pack may touch, and what it does not get.
pub fn deployed(pack: &PackView, look: &Look) -> String {
    let head = format!("{}  {}@{}", pack.outcome, pack.name, pack.version);
    let mut text = match pack.outcome.as_str() {
        "deployed" => format!("{}\n", look.good(&head)),
        _ => format!("{} {head}\n", look.glyphs.note()),
    };
    let runs = runs(pack);
    let grants = if pack.files.is_empty() { "no files".to_owned() } else { pack.files.join(", ") };
    let tools = if pack.tools.is_empty() { "no tools".to_owned() } else { pack.tools.join(", ") };
    let web = if pack.web.is_empty() { String::new() } else { format!("; calls {}", pack.web.join(", ")) };
    let grants = format!("{grants}{web}");
    let grants = if runs.is_empty() { format!("{grants}; {tools}") } else { grants };
    text.push_str(&pairs(&[
        ("runs", runs),
        ("grants", grants),
        ("model", pack.model.clone().unwrap_or_default()),
        ("limit", when::span(pack.timeout_ms)),
    ]));
    text.push_str(&warnings(pack, look));
    text
}

/// What a job runs and may use; empty for other kinds.
fn runs(pack: &PackView) -> String {
    let job = pack.manifest.as_ref().and_then(|manifest| manifest.get("job"));
    let Some(job) = job.and_then(|job| serde_json::from_value::<hale_core::pack::Job>(job.clone()).ok())
    else {
        return String::new();
    };
    let mut told = vec![job.program().to_owned()];
    told.push(if job.network { "with the network".to_owned() } else { "no network".to_owned() });
    if !job.require.is_empty() {
        told.push(format!("only behind {}", job.require.join(", ")));
    }
    if let Some(results) = &job.results {
        told.push(format!("results from {results}"));
    }
    told.join("; ")
}

pub fn warnings(pack: &PackView, look: &Look) -> String {
    pack.warnings.iter().map(|warning| format!("{}\n", look.warn(warning))).collect()
}
