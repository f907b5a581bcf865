//! The program: arguments in, exit code out.
//!
//! Everything else is in the library, where tests can reach it.
//! Read next: [`hale_backtester::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    hale_backtester::cli::main()
}
