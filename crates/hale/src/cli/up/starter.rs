//! Packs to begin with: a fresh data folder gets two, so that the first run needs no file.
//!
//! Guarantees: written only when the folder of packs is the data folder's own and did not exist; what an operator
//! deleted or changed stays so.

use crate::config::Config;
use crate::exit::Error;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

const PACKS: [(&str, &str); 2] = [
    ("hello.md", include_str!("../../../../../packs/hello.md")),
    ("echo.md", include_str!("../../../../../packs/echo.md")),
];

/// Puts the packs there if the folder is new.
///
/// # Errors
/// What the file system says.
pub fn fill(config: &Config) -> Result<(), Error> {
    let own = config.data.join("packs");
    if config.packs != own || own.exists() {
        return Ok(());
    }
    write(&own).map_err(|error| Error::file("write the first packs to", &own, &error))
}

/// Filled beside its place first: a folder that exists is never filled again, so it must not exist half filled.
fn write(own: &Path) -> std::io::Result<()> {
    let draft = own.with_extension("new");
    std::fs::create_dir_all(&draft)?;
    // The watcher leaves a file alone until it has been still for a moment; these are whole already.
    let a_moment_ago = SystemTime::now() - Duration::from_secs(1);
    for (name, text) in PACKS {
        let mut file = File::create(draft.join(name))?;
        file.write_all(text.as_bytes())?;
        file.set_modified(a_moment_ago)?;
    }
    std::fs::rename(draft, own)
}
