//! A granted folder with an outside next to it, and one way to call the tools in it.

use hale_core::failure::Failure;
use hale_sandbox::{Control, Folder, Grant, Mode, Resolver, call};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Stands in every file outside and in none inside.
pub const SECRET: &str = "S3CRET-OUTSIDE";

pub const RESOLVERS: [Resolver; 2] = [Resolver::Kernel, Resolver::Walk];

/// `granted/` holds text, folders and links of every kind; `outside/` holds the secret.
pub struct Place {
    dir: TempDir,
}

impl Place {
    pub fn new() -> Self {
        let place = Self { dir: TempDir::new().unwrap() };
        fs::create_dir_all(place.inside("sub/deep")).unwrap();
        fs::create_dir(place.outside("")).unwrap();
        fs::write(place.outside("secret.txt"), format!("{SECRET}\n")).unwrap();
        place.write("a.txt", "first\nsecond\nthird\n");
        place.write("sub/b.txt", "needle in sub\n");
        place.write("sub/deep/c.txt", "needle in deep\n");
        symlink("sub/b.txt", place.inside("link-in")).unwrap();
        symlink("../a.txt", place.inside("sub/link-up-in")).unwrap();
        symlink("..", place.inside("sub/parent")).unwrap();
        symlink("../outside", place.inside("link-out")).unwrap();
        symlink("../outside/secret.txt", place.inside("link-secret")).unwrap();
        symlink(place.outside("secret.txt"), place.inside("link-absolute")).unwrap();
        symlink("../../outside/secret.txt", place.inside("sub/link-secret")).unwrap();
        symlink("/", place.inside("link-root")).unwrap();
        symlink("/proc/self/root", place.inside("link-magic")).unwrap();
        symlink("loop-b", place.inside("loop-a")).unwrap();
        symlink("loop-a", place.inside("loop-b")).unwrap();
        place
    }

    pub fn inside(&self, path: &str) -> PathBuf {
        self.dir.path().join("granted").join(path)
    }

    pub fn outside(&self, path: &str) -> PathBuf {
        self.dir.path().join("outside").join(path)
    }

    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        fs::write(self.inside(path), content).unwrap();
    }

    pub fn grant(&self) -> Grant {
        Grant { root: self.inside(""), mode: Mode::Ro }
    }

    pub fn folder(&self, resolver: Resolver) -> Folder {
        Folder::open_by(&self.grant(), resolver).unwrap()
    }

    /// Calls a tool in this folder with plenty of time.
    pub fn call(&self, tool: &str, args: Value) -> Result<Value, Failure> {
        self.call_by(Resolver::Kernel, tool, args)
    }

    pub fn call_by(&self, resolver: Resolver, tool: &str, args: Value) -> Result<Value, Failure> {
        call(tool, &args, &[self.folder(resolver)], &plenty()).map_err(|error| error.failure(tool))
    }
}

pub fn plenty() -> Control {
    Control::until(Instant::now() + Duration::from_secs(60))
}

/// `code cause` of a failed call.
pub fn refusal(result: Result<Value, Failure>) -> String {
    let failure = result.expect_err("the call should be refused");
    format!("{} {}", failure.code, failure.cause)
}

pub fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
