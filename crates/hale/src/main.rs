//! The `hale` program.
//!
//! Read next: [`hale::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(hale::cli::main() as u8)
}
