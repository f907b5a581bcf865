//! The playbooks that hale brings along, and how an operator's join them.
//!
//! Guarantees: a cause id means one cause, whoever brought it.
//! Leaves to others: reading the operator's folder (`hale-engine`).
//! Read next: `catalogue/*.yaml`, the playbooks themselves.

use crate::playbook::load::load;
use crate::playbook::{Cause, Playbook, Proof, Scope, Undo};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

/// File names and texts of the built-in playbooks.
pub const FILES: [(&str, &str); 6] = [
    ("llm_calls_fail.yaml", include_str!("../catalogue/llm_calls_fail.yaml")),
    ("packs_closed.yaml", include_str!("../catalogue/packs_closed.yaml")),
    ("packs_open.yaml", include_str!("../catalogue/packs_open.yaml")),
    ("queue_stands_still.yaml", include_str!("../catalogue/queue_stands_still.yaml")),
    ("run_out_of_bounds.yaml", include_str!("../catalogue/run_out_of_bounds.yaml")),
    ("store_out_of_space.yaml", include_str!("../catalogue/store_out_of_space.yaml")),
];

static CATALOGUE: LazyLock<Vec<Playbook>> = LazyLock::new(|| {
    let playbook = |(file, text)| load(text, file).expect("a test loads every built-in playbook");
    FILES.into_iter().map(playbook).collect()
});

/// The built-in playbooks.
pub fn catalogue() -> &'static [Playbook] {
    &CATALOGUE
}

/// Two playbooks claim one name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("load playbook {file}: {name} is already that of {other}")]
pub struct Taken {
    pub name: String,
    pub file: String,
    pub other: String,
}

/// The built-in playbooks and an operator's; a name that is taken is refused, not overridden.
pub fn with_operators(own: Vec<Playbook>) -> Result<Vec<Playbook>, Taken> {
    let all: Vec<Playbook> = catalogue().iter().cloned().chain(own).collect();
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    for playbook in &all {
        let causes = playbook.causes.iter().map(|cause| cause.id.as_str());
        for name in causes.chain([playbook.id.as_str()]) {
            if let Some(other) = names.insert(name, &playbook.file) {
                let (name, file, other) = (name.to_owned(), playbook.file.clone(), other.to_owned());
                return Err(Taken { name, file, other });
            }
        }
    }
    Ok(all)
}

/// A cause and the playbook that knows it; what `hale explain llm.rate_limited` shows.
#[derive(Clone, Copy, Debug)]
pub struct Explained<'p> {
    pub playbook: &'p Playbook,
    pub cause: &'p Cause,
}

/// The built-in cause with this id.
pub fn explain(id: &str) -> Option<Explained<'static>> {
    explain_in(catalogue(), id)
}

/// The cause with this id among these playbooks.
pub fn explain_in<'p>(playbooks: &'p [Playbook], id: &str) -> Option<Explained<'p>> {
    playbooks.iter().find_map(|playbook| playbook.cause(id).map(|cause| Explained { playbook, cause }))
}

/// A page in plain text, the four parts of a playbook in their order.
impl fmt::Display for Explained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Explained { playbook, cause } = self;
        writeln!(f, "{}: {}", cause.id, cause.title)?;
        writeln!(f, "\n{}", cause.says.source())?;
        writeln!(f, "\nSymptoms")?;
        for symptom in &playbook.symptoms {
            writeln!(f, "  {}\n    when {}", symptom.says.source(), symptom.when.source())?;
        }
        writeln!(f, "\nDiagnosis (sits at {})", cause.at.source())?;
        for clue in &cause.evidence {
            writeln!(
                f,
                "  {:<8} {:<7} {}",
                clue.weight.to_string(),
                clue.side.to_string(),
                clue.test.source()
            )?;
        }
        let siblings = playbook.causes.iter().filter(|sibling| sibling.id != cause.id);
        let siblings: Vec<&str> = siblings.map(|sibling| sibling.id.as_str()).collect();
        if !siblings.is_empty() {
            writeln!(f, "  told apart from {}", siblings.join(", "))?;
        }
        self.resolution(f)?;
        writeln!(f, "\nPrevention")?;
        playbook.prevent.iter().try_for_each(|text| writeln!(f, "  {text}"))?;
        self.proof(f)?;
        writeln!(f, "\nPlaybook {}, from {}", playbook.id, playbook.source)
    }
}

impl Explained<'_> {
    fn resolution(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nResolution")?;
        for (id, action) in self.cause.fix.iter().filter_map(|id| self.playbook.actions.get_key_value(id)) {
            writeln!(f, "  {id} ({}): {}", action.risk, action.title)?;
            if let Some(command) = &action.command {
                writeln!(f, "    {}", command.source())?;
            }
            match &action.undo {
                Undo::By(undo) => writeln!(f, "    undo: {}", undo.source())?,
                Undo::None { because: Some(because) } => writeln!(f, "    no undo: {because}")?,
                Undo::None { because: None } => {}
            }
        }
        match &self.cause.verify {
            Some(verify) => writeln!(f, "  mended when {} within {}", verify.until.source(), verify.within),
            None => Ok(()),
        }
    }

    fn proof(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nProved by")?;
        for proof in &self.playbook.prove {
            match proof {
                Proof::Inject { fault, cause, .. } if *cause == self.cause.id => {
                    writeln!(f, "  fault {fault}")?
                }
                Proof::Twin { twin } => writeln!(f, "  silent on the near miss {twin}")?,
                Proof::Inject { .. } => {}
            }
        }
        let asked = match self.playbook.scope {
            Scope::System => "the system",
            Scope::Run => "a run",
            Scope::Both => "the system or a run",
        };
        writeln!(f, "  asked about {asked}")
    }
}
