//! Artifacts across runs, and what retention takes.

use super::paint::{Look, Tone};
use super::table::{Cell, Column, Table};
use super::when;
use crate::wire::artifacts::{ArtifactView, PruneView};

pub fn table(artifacts: &[ArtifactView], look: &Look) -> Table {
    let mut table = Table::new(&[
        ("run", Column::Left),
        ("name", Column::Left),
        ("size", Column::Right),
        ("pack", Column::Left),
        ("when", Column::Left),
        ("blake3", Column::Left),
    ]);
    for artifact in artifacts {
        let hash = artifact.hash.clone();
        table.row(vec![
            artifact.run.clone().unwrap_or_else(|| "input".to_owned()).into(),
            artifact.name.clone().into(),
            when::bytes(artifact.bytes).into(),
            artifact.pack.clone().unwrap_or_default().into(),
            when::moment(look, &artifact.at).into(),
            if artifact.expired { Cell::new("expired".to_owned(), Tone::Dim) } else { hash.into() },
        ]);
    }
    table
}

/// What went, or would go.
pub fn pruned(done: &PruneView, look: &Look) -> String {
    let gone: Vec<_> = done.kinds.iter().filter(|kind| kind.count > 0).collect();
    if gone.is_empty() && done.over_bytes == 0 {
        return format!("{}\n", look.good("nothing is past its retention"));
    }
    let mut table = Table::new(&[
        ("kind", Column::Left),
        ("count", Column::Right),
        ("size", Column::Right),
        ("from before", Column::Left),
    ]);
    for kind in gone {
        table.row(vec![
            kind.kind.clone().into(),
            kind.count.to_string().into(),
            when::bytes(kind.bytes).into(),
            kind.before.as_deref().map(|at| when::moment(look, at)).unwrap_or_default().into(),
        ]);
    }
    let head = if done.dry_run { "would be forgotten" } else { "forgotten" };
    let over = if done.dry_run && done.over_bytes > 0 {
        format!(
            "over retention.max by {}: the oldest ended runs go until it fits\n",
            when::bytes(done.over_bytes)
        )
    } else {
        String::new()
    };
    format!("{head}:\n{}{over}", table.render(look))
}
