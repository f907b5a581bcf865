//! The official Python clients, unmodified but for base URL and key, against a server with simulated models.
//!
//! What they check stands in `tests/clients/clients.py`; `cargo xtask test` installs them from PyPI.

// needs: python3, python:crates/hale/tests/clients/requirements.txt

use crate::world::World;
use std::path::{Path, PathBuf};
use std::process::Command;

fn python() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from);
    let python = target.join("clients/bin/python");
    assert!(python.exists(), "{} is missing: cargo xtask test installs it", python.display());
    python
}

fn checked(url: &str, key: &str) -> (String, bool) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/clients.py");
    #[expect(clippy::disallowed_methods, reason = "the clients are programs of their own")]
    let output = Command::new(python()).arg(script).args([url, key]).env("NO_PROXY", "*").output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (format!("{out}\n{err}"), output.status.success())
}

#[test]
fn the_official_clients_work_unmodified_without_a_key_and_with_one() {
    let mut world = World::new();
    world.up();
    let (told, fine) = checked(&format!("http://{}", world.address), "any-key");
    assert!(fine, "{told}");
    let passed = told.lines().filter(|line| line.starts_with("ok ")).count();
    assert!(passed >= 100, "{passed} checks are too few:\n{told}");
    drop(world);

    let mut world = World::new();
    let data = world.data.clone();
    let made = world.program().args(["keys", "create", "me", "-q", "--data"]).arg(&data).output().unwrap();
    let key = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    let mut command = world.server_command(&[]);
    world.up_with(command.env("HALE_ACCESS_REQUIRE_KEY", "true"));
    let url = format!("http://{}", world.address);
    let (told, fine) = checked(&url, &key);
    assert!(fine, "{told}");
    let (told, fine) = checked(&url, "any-key");
    assert!(!fine && told.contains("AuthenticationError"), "{told}");
    assert!(!told.lines().any(|line| line.starts_with("ok ") && line.contains("chat sim")), "{told}");
}
