//! The `hale` program.
//!
//! Read next: [`hale::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    let exit = hale::cli::main();
    hale::logs::flush();
    ExitCode::from(exit as u8)
}
