//! Arms, and why one of them was chosen.
//!
//! Guarantees: every score is shown with its parts, and an arm that could not be chosen with the reason.

use super::paint::{Look, Tone};
use super::table::{Cell, Column, Table, pairs};
use super::when;
use crate::wire::arms::ArmView;
use hale_core::routing::{Conflict, Decision};

pub fn table(arms: &[ArmView], wide: bool) -> Table {
    let mut columns = vec![
        ("arm", Column::Left),
        ("status", Column::Left),
        ("kind", Column::Left),
        ("domains", Column::Left),
    ];
    if wide {
        columns.extend([("version", Column::Left), ("capabilities", Column::Left), ("url", Column::Left)]);
    }
    columns.push(("keywords", Column::Text));
    let mut table = Table::new(&columns);
    for arm in arms {
        let mut cells = vec![
            Cell::from(arm.name.clone()),
            Cell::new(arm.status.clone(), tone(arm)),
            Cell::from(arm.kind.clone()),
            Cell::from(arm.domains.join(", ")),
        ];
        if wide {
            cells.extend([
                Cell::from(arm.version.clone()),
                Cell::from(arm.capabilities.join(", ")),
                Cell::from(arm.url.clone().unwrap_or_default()),
            ]);
        }
        cells.push(Cell::new(arm.keywords.join(", "), Tone::Dim));
        table.row(cells);
    }
    table
}

fn tone(arm: &ArmView) -> Tone {
    match arm.status.as_str() {
        "healthy" => Tone::Good,
        "disabled" => Tone::Dim,
        _ => Tone::Warn,
    }
}

/// One arm whole.
pub fn page(arm: &ArmView, look: &Look) -> String {
    let moment =
        |text: &Option<String>| text.as_deref().map(|text| when::moment(look, text)).unwrap_or_default();
    let properties: Vec<String> =
        arm.properties.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let detail = if arm.detail.is_empty() { String::new() } else { format!(": {}", arm.detail) };
    let head = format!("{}@{}", arm.name, arm.version);
    let mut text = format!("{}  {}{detail}\n", Tone::Strong.paint(&head), tone(arm).paint(&arm.status));
    text.push_str(&pairs(&[
        ("about", arm.description.clone()),
        ("kind", arm.kind.clone()),
        ("url", arm.url.clone().unwrap_or_default()),
        ("capabilities", arm.capabilities.join(", ")),
        ("domains", arm.domains.join(", ")),
        ("keywords", arm.keywords.join(", ")),
        ("properties", properties.join(", ")),
        ("registered", moment(&arm.registered_at)),
        ("last seen", moment(&arm.last_seen)),
        ("last probed", moment(&arm.probed_at)),
        (
            "expires after",
            arm.ttl_seconds.map(|seconds| format!("{seconds}s of silence")).unwrap_or_default(),
        ),
    ]));
    text
}

/// A decision in lines: the sentence, then each score with what it is made of.
pub fn lines(decision: &Decision) -> Vec<String> {
    let mut lines = vec![decision.says()];
    let width = decision.scores.iter().map(|score| score.arm.len()).max().unwrap_or(0);
    lines.extend(
        decision
            .scores
            .iter()
            .map(|score| format!("{:<width$}  {:>4}  {}", score.arm, score.total, score.says())),
    );
    lines.extend(
        decision.relaxed.iter().map(|one| {
            format!("gave up {}: with it the best score would be {}", one.constraint, one.best_with)
        }),
    );
    lines
}

/// A decision alone.
pub fn decision(decision: &Decision) -> String {
    let mut lines = lines(decision).into_iter();
    let says = lines.next().unwrap_or_default();
    let rest: String = lines.map(|line| format!("  {line}\n")).collect();
    format!("{}\n{rest}", Tone::Strong.paint(&says))
}

pub fn conflicts(conflicts: &[Conflict]) -> Table {
    let columns = [
        ("arms", Column::Left),
        ("capabilities", Column::Left),
        ("score", Column::Right),
        ("on the goal", Column::Text),
    ];
    let mut table = Table::new(&columns);
    for conflict in conflicts {
        table.row(vec![
            conflict.arms.join(", ").into(),
            conflict.capabilities.join(", ").into(),
            conflict.score.to_string().into(),
            conflict.goal.clone().into(),
        ]);
    }
    table
}
