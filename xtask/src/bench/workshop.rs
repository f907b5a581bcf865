//! Where benchmarks are made: folders under `target/bench`, and the peers' software installed there.
//!
//! Peers come from npm, PyPI and Debian through their ordinary clients, pinned in `bench/peers`, on first use. Nothing is
//! installed into the system, and no install script runs: some report home.

use crate::shell;
use anyhow::{Context, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Workshop {
    /// The repository.
    pub root: PathBuf,
    /// `target/bench`
    pub bench: PathBuf,
    /// Where cargo puts its results.
    pub target: PathBuf,
}

impl Workshop {
    pub fn open() -> anyhow::Result<Workshop> {
        let root = crate::tree::root()?;
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        let bench = target.join("bench");
        fs::create_dir_all(&bench).with_context(|| format!("make {}", bench.display()))?;
        Ok(Workshop { bench: bench.canonicalize()?, target, root })
    }

    /// An empty folder for one server's data, on the same disk for all of them.
    pub fn fresh(&self, name: &str) -> anyhow::Result<PathBuf> {
        let folder = self.bench.join("data").join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("empty {}", folder.display()))?;
        }
        fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        Ok(folder)
    }

    /// Node packages and our scripts beside them, where Node looks for its modules.
    pub fn node(&self) -> anyhow::Result<PathBuf> {
        let folder = self.bench.join("js");
        self.copy_scripts("js", &folder)?;
        once(&folder, "package.json", |folder| {
            let options =
                ["install", "--no-fund", "--no-audit", "--ignore-scripts", "--loglevel=error", "--prefix"];
            shell::run(shell::command("npm").args(options).arg(folder))
        })?;
        Ok(folder)
    }

    /// A virtual environment with the Python peers; returns the folder of our scripts and the interpreter.
    pub fn python(&self) -> anyhow::Result<(PathBuf, PathBuf)> {
        let folder = self.bench.join("py");
        self.copy_scripts("py", &folder)?;
        once(&folder, "requirements.txt", |folder| {
            let made = shell::run(shell::command("python3").args(["-m", "venv"]).arg(folder.join("venv")));
            made.context("Debian has it in: apt-get install python3-venv")?;
            let mut pip = shell::command(folder.join("venv/bin/pip"));
            shell::run(
                pip.args(["install", "-q", "--disable-pip-version-check", "-r"])
                    .arg(folder.join("requirements.txt")),
            )
        })?;
        let interpreter = folder.join("venv/bin/python");
        Ok((folder, interpreter))
    }

    /// Redis of this machine, or Debian's unpacked beside the rest.
    pub fn redis(&self) -> anyhow::Result<Command> {
        if let Some(installed) = shell::find("redis-server") {
            return Ok(shell::command(installed));
        }
        let folder = self.bench.join("deb");
        let server = folder.join("root/usr/bin/redis-server");
        if !server.exists() {
            unpack_redis(&folder)?;
        }
        let mut redis = shell::command(server);
        redis.env("LD_LIBRARY_PATH", libraries(&folder.join("root/usr/lib"))?);
        Ok(redis)
    }

    fn copy_scripts(&self, tongue: &str, to: &Path) -> anyhow::Result<()> {
        let from = self.root.join("bench/peers").join(tongue);
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(&from).with_context(|| format!("read {}", from.display()))? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                fs::copy(entry.path(), to.join(entry.file_name()))?;
            }
        }
        Ok(())
    }
}

/// Installs unless the manifest is the one that was installed last.
fn once(
    folder: &Path,
    manifest: &str,
    install: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let stamp = folder.join("installed");
    let wanted = fs::read(folder.join(manifest))?;
    if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    println!("installing {manifest} into {}", folder.display());
    install(folder)?;
    fs::write(stamp, wanted)?;
    Ok(())
}

fn unpack_redis(folder: &Path) -> anyhow::Result<()> {
    // With what it links to that a small system may lack.
    let packages = ["redis-server", "redis-tools", "libatomic1", "libjemalloc2", "liblzf1"];
    println!("downloading {} into {}", packages.join(" "), folder.display());
    fs::create_dir_all(folder)?;
    let download =
        || shell::output(shell::command("apt-get").arg("download").args(packages).current_dir(folder));
    if download().is_err() {
        // The package lists may be old, or not there at all in a fresh container.
        shell::output(shell::command("apt-get").args(["update", "-qq"]))?;
        download().context("or install Redis yourself: apt-get install redis-server")?;
    }
    for entry in fs::read_dir(folder)? {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "deb") {
            shell::output(shell::command("dpkg").arg("-x").arg(&file).arg(folder.join("root")))?;
        }
    }
    Ok(())
}

fn libraries(folder: &Path) -> anyhow::Result<PathBuf> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with("-linux-gnu") {
            return Ok(path);
        }
    }
    bail!("no libraries in {}", folder.display());
}
