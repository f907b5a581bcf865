//! Schedules for people.

use super::paint::{Look, Tone};
use super::table::{Cell, Column, Table, pairs};
use super::when;
use crate::wire::schedules::ScheduleView;

/// `hale schedules list`.
pub fn table(schedules: &[ScheduleView], look: &Look) -> Table {
    let mut table = Table::new(&[
        ("name", Column::Left),
        ("pack", Column::Left),
        ("cron", Column::Left),
        ("zone", Column::Left),
        ("next", Column::Left),
        ("last", Column::Left),
        ("fired", Column::Right),
        ("note", Column::Text),
    ]);
    for schedule in schedules {
        let at = |moment: Option<&String>| moment.map(|at| when::moment(look, at)).unwrap_or_default();
        let (tone, note) = note(schedule);
        table.row(vec![
            Cell::from(schedule.name.clone()),
            Cell::from(schedule.pack.clone()),
            Cell::from(schedule.cron.clone()),
            Cell::from(schedule.tz.clone()),
            Cell::from(at(schedule.next.first())),
            Cell::from(at(schedule.last_at.as_ref())),
            Cell::from(schedule.fired.to_string()),
            Cell::new(note, tone),
        ]);
    }
    table
}

fn note(schedule: &ScheduleView) -> (Tone, String) {
    if schedule.paused {
        return (Tone::Warn, "paused".to_owned());
    }
    match &schedule.error {
        Some(error) => (Tone::Bad, error.clone()),
        None => (Tone::Dim, String::new()),
    }
}

/// `hale schedules show`.
pub fn page(schedule: &ScheduleView, look: &Look) -> String {
    let moments = |all: &[String]| all.iter().map(|at| when::moment(look, at)).collect::<Vec<_>>().join(", ");
    let version = schedule.version.as_ref().map(|version| format!("@{version}")).unwrap_or_default();
    let (_, note) = note(schedule);
    let mut text = format!("{}\n", Tone::Strong.paint(&schedule.name));
    text.push_str(&pairs(&[
        ("pack", format!("{}{version}", schedule.pack)),
        ("input", schedule.input.to_string()),
        ("times", format!("{} in {}", schedule.cron, schedule.tz)),
        ("next", moments(&schedule.next)),
        ("last", schedule.last_at.as_deref().map(|at| when::moment(look, at)).unwrap_or_default()),
        ("last run", schedule.last_run.clone().unwrap_or_default()),
        (
            "firings",
            format!("{} started, {} skipped, {} missed", schedule.fired, schedule.skipped, schedule.missed),
        ),
        ("overlap", schedule.overlap.clone()),
        ("catch-up", schedule.catch_up.to_string()),
        ("made by", schedule.by.clone()),
        ("note", note),
    ]));
    text
}
