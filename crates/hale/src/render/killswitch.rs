//! Kill switches for people.

use super::paint::Look;
use super::table::{Column, Table};
use super::when;
use crate::wire::killswitch::{Switches, Thrown};

/// `hale killswitch list`, and the part of `hale status` that tells of them.
pub fn page(switches: &Switches, look: &Look) -> String {
    let mut text = String::new();
    if !switches.items.is_empty() {
        text.push_str(&format!("{}\n", look.warn("kill switches are on; nothing of these starts")));
        let mut table = Table::new(&[
            ("target", Column::Left),
            ("since", Column::Left),
            ("by", Column::Left),
            ("how", Column::Left),
            ("why", Column::Text),
        ]);
        for switch in &switches.items {
            table.row(vec![
                switch.target.clone().into(),
                when::moment(look, &switch.at).into(),
                switch.by.clone().into(),
                if switch.immediate { "at once" } else { "graceful" }.to_owned().into(),
                switch.reason.clone().into(),
            ]);
        }
        text.push_str(&table.render(look));
    }
    if !switches.returning.is_empty() {
        text.push_str("what comes back:\n");
        for back in &switches.returning {
            text.push_str(&format!("  {}  {}\n", when::moment(look, &back.at), back.target));
        }
    }
    text
}

/// What a throw did.
pub fn thrown(thrown: &Thrown, look: &Look) -> String {
    let target = &thrown.target;
    if thrown.on {
        let stops = thrown.stops_at.as_deref().map(|at| when::moment(look, at)).unwrap_or_default();
        let forced = thrown.forced_at.as_deref().map(|at| when::moment(look, at)).unwrap_or_default();
        let begun = match target.starts_with("tool:") {
            true => format!("calls under way are cut at {forced}"),
            false => format!("what runs is stopped at {stops} and forced at {forced}"),
        };
        return format!(
            "{}\n",
            look.good(&format!("{target} is switched off: nothing of it starts; {begun}"))
        );
    }
    let mut text = format!("{}\n", look.good(&format!("{target} goes again")));
    for back in &thrown.returning {
        text.push_str(&format!("  {} from {}\n", back.target, when::moment(look, &back.at)));
    }
    text
}
