//! A world of its own for the binary: home, working folder, environment, and the server that was started in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// The program under test.
pub const HALE: &str = env!("CARGO_BIN_EXE_hale");

pub struct World {
    dir: TempDir,
}

/// What a command did.
#[derive(Debug)]
pub struct Did {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl World {
    pub fn new() -> Self {
        let dir = TempDir::new().unwrap();
        std::fs::create_dir(dir.path().join("work")).unwrap();
        Self { dir }
    }

    pub fn cwd(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    /// A program in this world: nothing of the caller's environment but what programs cannot do without.
    pub fn program(&self, program: &str) -> Command {
        let bin = Path::new(HALE).parent().unwrap().display().to_string();
        #[expect(clippy::disallowed_methods, reason = "a test of the program starts the program")]
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", format!("{bin}:/usr/local/bin:/usr/bin:/bin"))
            .env("HOME", self.dir.path().join("home"))
            .env("LANG", "C.UTF-8")
            .env("HALE_LISTEN", "127.0.0.1:0")
            .current_dir(self.cwd())
            .stdin(Stdio::null());
        command
    }

    pub fn hale(&self, args: &[&str]) -> Did {
        did(self.program(HALE).args(args).output().unwrap())
    }

    /// The command must end with this code.
    pub fn expect(&self, code: i32, args: &[&str]) -> Did {
        let did = self.hale(args);
        assert_eq!(did.code, code, "hale {}\n{}\n{}", args.join(" "), did.out, did.err);
        did
    }

    pub fn up(&self) {
        self.expect(0, &["up", "--detach"]);
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.cwd().join(name), text).unwrap();
    }
}

pub fn did(output: Output) -> Did {
    Did {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// No test leaves a server behind.
impl Drop for World {
    fn drop(&mut self) {
        let _ = self.program(HALE).arg("down").output();
    }
}
