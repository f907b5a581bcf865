//! A full disk, on a file system that is small enough to be meant for it.
//!
//! Refused on any file system above [`SIZE_MAX`]: filling a real disk would hurt others.

use super::refused;
use hale_core::code::Code;
use hale_core::failure::Failure;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A file system above this size was not made for the lab.
const SIZE_MAX: u64 = 1 << 30;
const PIECE: usize = 64 << 10;

/// The file that takes the room.
#[derive(Clone, Debug)]
pub struct Fill {
    path: PathBuf,
}

impl Fill {
    /// Writes until nothing fits.
    pub fn begin(dir: &Path) -> Result<Self, Failure> {
        let io = |error: std::io::Error| {
            refused(Code::E011, format!("fill the disk at {}", dir.display())).caused_by(&error)
        };
        let stat = rustix::fs::statvfs(dir).map_err(|error| io(error.into()))?;
        let total = stat.f_blocks * stat.f_frsize;
        if total > SIZE_MAX {
            let message = format!(
                "fill the disk at {}: its file system has {} MiB, the lab fills none above {} MiB; give hale a data \
                 folder of its own: mount -t tmpfs -o size=64m tmpfs DIR",
                dir.display(),
                total >> 20,
                SIZE_MAX >> 20
            );
            return Err(refused(Code::E011, message));
        }
        let path = dir.join("lab.fill");
        let mut file = File::create(&path).map_err(io)?;
        let piece = vec![0x5a_u8; PIECE];
        // Whole pieces first, then bytes down to the last block.
        for size in [PIECE, 4096, 512] {
            while file.write_all(&piece[..size]).is_ok() {}
        }
        Ok(Self { path })
    }

    pub fn end(self) -> Result<(), Failure> {
        std::fs::remove_file(&self.path)
            .map_err(|error| refused(Code::E011, format!("remove {}", self.path.display())).caused_by(&error))
    }
}
