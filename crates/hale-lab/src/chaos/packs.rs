//! A pack file whose mode is turned: closed to the server's user, or open to everybody.
//!
//! Ending the fault gives the file its owner and mode back, unless somebody has mended it meanwhile.

use super::refused;
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_engine::registry::modes::{self, Change, Folder, Standing};
use std::path::{Path, PathBuf};

/// The file with what it was.
#[derive(Clone, Debug)]
pub struct Turned {
    folder: PathBuf,
    change: Change,
}

impl Turned {
    /// Sets the mode of the pack's file, of the first one unless named.
    pub fn begin(folder: &Path, pack: Option<&str>, mode: u32) -> Result<Self, Failure> {
        let looked = Folder::look(folder).map_err(|error| failed(&error))?;
        let is_meant = |name: &str| pack.is_none_or(|pack| stem(name) == pack);
        let Some(file) = looked.files.iter().find(|file| is_meant(&file.name)) else {
            let names: Vec<&str> = looked.files.iter().map(|file| stem(&file.name)).collect();
            let (pack, names) = (pack.unwrap_or("any"), names.join(", "));
            let message =
                format!("find the file of pack {pack} in {}: there are [{names}]", folder.display());
            return Err(refused(Code::E011, message));
        };
        let (name, before) = (file.name.clone(), file.standing);
        let change = Change { name, before, after: Standing { mode, ..before } };
        if change.before == change.after {
            let message = format!("turn the mode of {}: it is {mode:04o} already", change.name);
            return Err(refused(Code::E011, message));
        }
        modes::set(folder, std::slice::from_ref(&change)).map_err(|error| failed(&error))?;
        Ok(Self { folder: folder.to_owned(), change })
    }

    pub fn target(&self) -> String {
        self.folder.join(&self.change.name).display().to_string()
    }

    pub fn end(self) -> Result<(), Failure> {
        let Self { folder, change } = self;
        let moved =
            modes::moved_since(&folder, std::slice::from_ref(&change)).map_err(|error| failed(&error))?;
        if !moved.is_empty() {
            return Ok(());
        }
        modes::set(&folder, &[modes::back(&change)]).map_err(|error| failed(&error))
    }
}

fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

fn failed(error: &(dyn std::error::Error + 'static)) -> Failure {
    refused(Code::E011, "turn the mode of a pack file".to_owned()).caused_by(error)
}
