//! The pages behind codes, causes and faults, embedded: `hale explain` works when nothing else does.
//!
//! Guarantees: every error code has a page, every cause of the catalogue too.
//! Leaves to others: what a cause's page says (`hale-playbooks`).

use crate::exit::{Error, Exit};
use crate::render::Table;
use crate::render::table::Column;
use crate::wire;
use hale_core::code;
use hale_core::nearest::nearest;
use hale_lab::chaos::{KNOWN, Known};
use hale_playbooks::catalogue;
use serde::Serialize;

/// The pages of the codes, in their order.
static PAGES: [&str; code::ALL.len()] = [
    include_str!("../../../docs/errors/E001.md"),
    include_str!("../../../docs/errors/E002.md"),
    include_str!("../../../docs/errors/E003.md"),
    include_str!("../../../docs/errors/E004.md"),
    include_str!("../../../docs/errors/E005.md"),
    include_str!("../../../docs/errors/E006.md"),
    include_str!("../../../docs/errors/E007.md"),
    include_str!("../../../docs/errors/E008.md"),
    include_str!("../../../docs/errors/E009.md"),
    include_str!("../../../docs/errors/E010.md"),
    include_str!("../../../docs/errors/E011.md"),
    include_str!("../../../docs/errors/E012.md"),
    include_str!("../../../docs/errors/E013.md"),
    include_str!("../../../docs/errors/E014.md"),
    include_str!("../../../docs/errors/E015.md"),
    include_str!("../../../docs/errors/E016.md"),
    include_str!("../../../docs/errors/E017.md"),
];

/// What can be explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Topic {
    pub id: String,
    /// `code`, `cause` or `fault`.
    pub kind: String,
    pub title: String,
}

/// One page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Page {
    pub schema: String,
    pub id: String,
    pub kind: String,
    pub title: String,
    pub text: String,
}

/// Everything, codes first.
pub fn list() -> wire::Page<Topic> {
    let topic = |id: String, kind: &str, title: String| Topic { id, kind: kind.to_owned(), title };
    let codes =
        code::ALL.into_iter().map(|code| topic(code.to_string(), "code", code.meaning().title.to_owned()));
    let causes = catalogue().iter().flat_map(|playbook| &playbook.causes);
    let causes = causes.map(|cause| topic(cause.id.clone(), "cause", cause.title.clone()));
    let faults = KNOWN.iter().map(|known| topic(known.fault.to_owned(), "fault", known.does.to_owned()));
    let items = codes.chain(causes).chain(faults).collect();
    wire::Page { schema: "hale.explain.list/1".to_owned(), items, next: None }
}

pub fn table(topics: &[Topic]) -> Table {
    let mut table = Table::new(&[("topic", Column::Left), ("kind", Column::Left), ("title", Column::Text)]);
    for Topic { id, kind, title } in topics {
        table.row(vec![id.clone().into(), kind.clone().into(), title.clone().into()]);
    }
    table
}

fn fault_page(known: &Known) -> String {
    let Known { fault, does, finds, takes } = known;
    let takes: String =
        takes.iter().map(|(name, means)| format!("  it takes     --set {name}=VALUE: {means}\n")).collect();
    format!(
        "{fault}: {does}\n\nA fault of the lab: it makes this happen on purpose, to see that hale finds it.\n\n  \
         inject it    hale chaos inject {fault} --for 2m\n{takes}  \
         it hit       hale chaos list\n  \
         hale finds   {finds} (hale explain {finds})\n  \
         remove it    hale chaos clear\n"
    )
}

/// The page about a code, a cause or a fault, whatever its case.
pub fn find(id: &str) -> Option<Page> {
    let topic = list().items.into_iter().find(|topic| topic.id.eq_ignore_ascii_case(id))?;
    let code = code::ALL.iter().position(|code| code.to_string() == topic.id);
    let fault = KNOWN.iter().find(|known| known.fault == topic.id);
    let text = match (code, fault) {
        (Some(place), _) => PAGES[place].to_owned(),
        (None, Some(known)) => fault_page(known),
        (None, None) => hale_playbooks::explain(&topic.id)?.to_string(),
    };
    Some(Page {
        schema: "hale.explain/1".to_owned(),
        id: topic.id,
        kind: topic.kind,
        title: topic.title,
        text,
    })
}

/// The error about something that has no page.
pub fn unknown(id: &str) -> Error {
    let topics = list().items;
    let error = Error::new(Exit::NotFound, format!("explain {id:?}: there is no page of this name"));
    error.hint(match nearest(id, topics.iter().map(|topic| topic.id.as_str())) {
        Some(near) => format!("did you mean: hale explain {near}"),
        None => "see them all with: hale explain --list".to_owned(),
    })
}
