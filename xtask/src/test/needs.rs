//! What the tests need from the machine, and how it gets there.
//!
//! A test that needs a program says `// needs: mount` above itself; one that needs packages of PyPI says
//! `// needs: python:FILE`, where the file names them with their versions: they go into `target/clients`. Missing
//! programs are installed with apt-get when we may (root, or sudo without a password); otherwise the exact command is
//! printed and nothing is started.

use crate::shell;
use crate::tree::{self, Tree};
use anyhow::{Context, bail};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Always needed: a C compiler for the bundled SQLite, and strace, with which the crash proofs inject kills.
const ALWAYS: &[&str] = &["cc", "strace"];
/// Programs that Debian packs under another name.
const PACKAGES: &[(&str, &str)] = &[("cc", "gcc libc6-dev"), ("mount", "mount"), ("python3", "python3")];

/// Before a list of packages of PyPI.
const PYTHON: &str = "python:";

pub fn install() -> anyhow::Result<()> {
    components()?;
    let needed = needed(&Tree::read()?);
    println!("needed: {}", needed.iter().cloned().collect::<Vec<_>>().join(", "));
    let (lists, programs): (Vec<&str>, Vec<&str>) =
        needed.iter().map(String::as_str).partition(|name| name.starts_with(PYTHON));
    let missing: Vec<&str> = programs.into_iter().filter(|name| shell::find(name).is_none()).collect();
    if missing.is_empty() {
        println!("no program is missing");
    } else {
        let packages: Vec<&str> = missing.iter().flat_map(|name| package(name).split(' ')).collect();
        apt(&packages)?;
    }
    lists.iter().try_for_each(|list| python(&list[PYTHON.len()..]))
}

/// Packages of PyPI in a folder of their own, made anew when their list changes.
fn python(list: &str) -> anyhow::Result<()> {
    let root = tree::root()?;
    let wanted = std::fs::read_to_string(root.join(list)).with_context(|| format!("read {list}"))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let folder = target.join("clients");
    let stamp = folder.join("requirements.txt");
    if std::fs::read_to_string(&stamp).is_ok_and(|made| made == wanted) {
        println!("the packages of {list} are there");
        return Ok(());
    }
    if shell::output(shell::command("python3").args(["-c", "import ensurepip, venv"])).is_err() {
        apt(&["python3-venv"])?;
    }
    println!("installing from PyPI: {}", wanted.split_whitespace().collect::<Vec<_>>().join(", "));
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    shell::run(shell::command("python3").args(["-m", "venv"]).arg(&folder))?;
    let mut pip = shell::command(folder.join("bin/pip"));
    shell::run(pip.args(["install", "-q", "--disable-pip-version-check", "-r"]).arg(root.join(list)))?;
    // Last, so that a broken install is made anew.
    std::fs::write(&stamp, wanted).with_context(|| format!("write {}", stamp.display()))
}

fn apt(packages: &[&str]) -> anyhow::Result<()> {
    let list = packages.join(" ");
    if shell::find("apt-get").is_none() {
        bail!("missing: {list}; this is not a Debian system, install them with its own means");
    }
    let prefix: &[&str] = if rustix::process::getuid().is_root() {
        &[]
    } else if shell::output(shell::command("sudo").args(["-n", "true"])).is_ok() {
        &["sudo", "-n"]
    } else {
        bail!("missing: {list}; install them with: sudo apt-get install --no-install-recommends {list}");
    };
    let install = [&["apt-get", "install", "-y", "--no-install-recommends"], packages].concat();
    for words in [vec!["apt-get", "update", "-qq"], install] {
        let words: Vec<&str> = prefix.iter().copied().chain(words).collect();
        println!("running: {}", words.join(" "));
        let mut command = shell::command(words[0]);
        shell::run(command.args(&words[1..]).env("DEBIAN_FRONTEND", "noninteractive"))?;
    }
    Ok(())
}

/// rustfmt and clippy, which a minimal toolchain lacks.
fn components() -> anyhow::Result<()> {
    for (component, subcommand) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        if shell::output(shell::cargo().args([subcommand, "--version"])).is_err() {
            println!("running: rustup component add {component}");
            let mut rustup = shell::command("rustup");
            let added = shell::run(rustup.args(["component", "add", component]));
            added.with_context(|| format!("{component} is missing; install it with your Rust toolchain"))?;
        }
    }
    Ok(())
}

fn package(program: &str) -> &str {
    PACKAGES.iter().find(|(name, _)| *name == program).map_or(program, |(_, package)| package)
}

fn needed(tree: &Tree) -> BTreeSet<String> {
    let marks =
        tree.rust().filter(|file| file.path.starts_with("crates/")).flat_map(|file| file.text.lines());
    let lists = marks.filter_map(|line| line.trim().strip_prefix("// needs:"));
    let names = lists.flat_map(|list| list.split([',', ' '])).map(str::trim).filter(|name| !name.is_empty());
    names.chain(ALWAYS.iter().copied()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_declare_what_they_need() {
        let tree = Tree::of(&[("crates/hale/tests/it/kill.rs", "//! Kill.\n// needs: mount\nfn a() {}\n")]);
        assert_eq!(needed(&tree).into_iter().collect::<Vec<_>>(), ["cc", "mount", "strace"]);
        assert_eq!(package("cc"), "gcc libc6-dev");
        assert_eq!(package("strace"), "strace");
    }
}
