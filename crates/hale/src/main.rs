//! The `hale` program.
//!
//! Called as `hale __job-launcher` it is the supervisor or the launcher of a job, before anything else begins.
//! Read next: [`hale::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<std::ffi::OsString> = std::env::args_os().skip(1).collect();
    if args.first().is_some_and(|first| first == hale::LAUNCHER) {
        return ExitCode::from(hale_sandbox::job::launcher_main(&args[1..]) as u8);
    }
    let exit = hale::cli::main();
    hale::logs::flush();
    ExitCode::from(exit as u8)
}
