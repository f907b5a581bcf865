//! Signals of the watched folder of packs: who may read its files, and who may change them.
//!
//! Works without a server too: the folder tells by itself.
//! Read next: [`crate::registry::modes`], which judges a file.

use crate::registry::modes::{Error, File, Folder, User, Wrong};
use hale_playbooks::evidence::{Builder, Reason};
use hale_playbooks::value::Value;
use std::path::Path;

const NAMES: [&str; 7] = [
    "packs.files",
    "packs.open",
    "packs.open_first",
    "packs.open_mendable",
    "packs.unreadable",
    "packs.unreadable_first",
    "packs.unreadable_mendable",
];

/// Looks at the folder; none where no folder is watched.
///
/// # Errors
/// When it cannot be listed.
pub fn look(dir: Option<&Path>) -> Result<Option<Folder>, Error> {
    dir.map(Folder::look).transpose()
}

/// What a look at the folder came to.
pub fn fill(
    builder: Builder,
    dir: Option<&Path>,
    looked: Result<Option<Folder>, (Reason, String)>,
) -> Builder {
    let shown = dir.map(|dir| dir.display().to_string()).unwrap_or_default();
    let builder = builder.known("packs.folder", Value::Text(shown), "config");
    let (folder, user) = match looked {
        Ok(folder) => (folder, User::present()),
        Err((reason, detail)) => {
            return NAMES.into_iter().fold(builder, |builder, name| builder.unknown(name, reason, &detail));
        }
    };
    let files = folder.as_ref().map_or(0, |folder| folder.files.len());
    let builder = builder.known("packs.files", int(files), "stat");
    let builder = of(builder, ("packs.unreadable", Wrong::Unreadable), (folder.as_ref(), &user));
    of(builder, ("packs.open", Wrong::Open), (folder.as_ref(), &user))
}

fn of(builder: Builder, (name, wrong): (&str, Wrong), (folder, user): (Option<&Folder>, &User)) -> Builder {
    let found: Vec<&File> = folder.iter().flat_map(|folder| folder.wrong(wrong, user)).collect();
    let mendable =
        folder.map_or(0, |folder| found.iter().filter(|file| folder.mended(file, user).is_some()).count());
    let first = found.first().map(|file| format!("{} ({})", file.name, file.standing)).unwrap_or_default();
    builder
        .known(name, int(found.len()), "stat")
        .known(&format!("{name}_first"), Value::Text(first), "stat")
        .known(&format!("{name}_mendable"), int(mendable), "stat")
}

fn int(n: usize) -> Value {
    Value::Int(i64::try_from(n).unwrap_or(i64::MAX))
}
