//! The data folder as the door sees it: whether it can be used, and the address in it.
//!
//! Leaves to others: the lock itself and what is inside (`hale-store`).

use crate::client::find::ADDRESS;
use crate::exit::{Error, Exit};
use hale_core::code::Code;
use hale_store::folder::Folder;
use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// Makes the folder and looks whether another process has it.
///
/// # Errors
/// When it cannot be made or written, or is held; the holder's pid is named.
pub fn prepare(data: &Path) -> Result<(), Error> {
    DirBuilder::new().recursive(true).mode(0o700).create(data).map_err(|error| unusable(data, &error))?;
    let probe = data.join(format!(".probe-{}", std::process::id()));
    std::fs::write(&probe, b"").map_err(|error| unusable(data, &error))?;
    let _ = std::fs::remove_file(&probe);
    match Folder::holder(data) {
        Ok(None) => Ok(()),
        Ok(Some(holder)) => Err(held(data, holder.pid)),
        Err(error) => {
            Err(Error::new(Exit::Failed, format!("look who holds {}", data.display())).caused_by(&error))
        }
    }
}

fn held(data: &Path, pid: u32) -> Error {
    let folder = data.display();
    Error::coded(Code::E011, format!("hold the data folder {folder}: process {pid} has it")).hint(format!(
        "use that server, end it with: hale down --data {folder}, or choose another folder with --data"
    ))
}

fn unusable(data: &Path, error: &std::io::Error) -> Error {
    let hint = match error.kind() {
        ErrorKind::PermissionDenied => {
            "choose a folder of yours with --data, for example: hale up --data ./.hale"
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "free some space, or choose another disk with --data"
        }
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            "a file is in the way; choose another folder with --data"
        }
        _ => "choose another folder with --data",
    };
    Error::file("use the data folder", data, error).hint(hint)
}

/// Names the server for clients; whole or not at all.
///
/// # Errors
/// What the file system says.
pub fn write_address(data: &Path, address: &str) -> Result<(), Error> {
    let path = data.join(ADDRESS);
    let draft = data.join(format!("{ADDRESS}.new"));
    let write = std::fs::write(&draft, format!("{address}\n")).and_then(|()| std::fs::rename(&draft, &path));
    write.map_err(|error| Error::file("write the address to", &path, &error))
}

/// After the end nobody answers there any more.
pub fn remove_address(data: &Path) {
    let _ = std::fs::remove_file(data.join(ADDRESS));
}
