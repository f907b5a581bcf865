//! The stage of the demo: a temporary folder, a simulated model and a server, each a process of its own.
//!
//! Guarantees: every process that it started is ended by it, by pid, unless the server is kept.
//! Read next: [`super::story`].

use crate::client::find::Place;
use crate::client::{Client, Target};
use crate::config::env::Environment;
use crate::exit::{Error, Exit};
use crate::wire::Status;
use hale_sandbox::process::{self, Detached, Tell};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A start takes well under a second.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub struct Stage {
    root: PathBuf,
    sim: Detached,
    sim_address: String,
    server: Option<Detached>,
    keep: Keep,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    Strike,
    Leave,
}

fn io(what: &str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let (what, path) = (what.to_owned(), path.to_owned());
    move |error| Error::file(&what, &path, &error)
}

impl Stage {
    /// Makes the folder and starts the simulated model.
    pub fn set(keep: bool) -> Result<Self, Error> {
        let root = std::env::temp_dir().join(format!("hale-demo-{}", std::process::id()));
        for part in ["data", "packs", "files"] {
            std::fs::create_dir_all(root.join(part)).map_err(io("make the folder", &root))?;
        }
        let address_file = root.join("sim.address");
        let line = ["lab", "sim", "--address-file"].map(OsString::from);
        let line: Vec<OsString> = line.into_iter().chain([address_file.clone().into_os_string()]).collect();
        let sim = spawn(&line, &root.join("sim.log"))?;
        let sim_address = wait_for_file(&address_file)?;
        let keep = if keep { Keep::Leave } else { Keep::Strike };
        let stage = Self { root, sim, sim_address, server: None, keep };
        stage.configure()?;
        Ok(stage)
    }

    /// The server's configuration: a free port, the simulated model outside, this folder's files grantable.
    fn configure(&self) -> Result<(), Error> {
        let text = format!(
            "listen = \"127.0.0.1:0\"\n\n[files]\nallow = [\"/var/log:ro\", \"{}:ro\"]\n\n[model]\ndefault = \"sim/small\"\n\n\
             [providers.sim]\nbase_url = \"http://{}/v1\"\n",
            self.files().display(),
            self.sim_address
        );
        std::fs::write(self.root.join("hale.toml"), text)
            .map_err(io("write the configuration in", &self.root))
    }

    pub fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    pub fn files(&self) -> PathBuf {
        self.root.join("files")
    }

    pub fn log(&self) -> PathBuf {
        self.root.join("server.log")
    }

    /// Starts the server and waits until it is ready; how long that took.
    pub async fn start(&mut self) -> Result<(Status, Duration), Error> {
        let begun = Instant::now();
        let root = |part: &str| self.root.join(part).into_os_string();
        let line: Vec<OsString> = vec![
            "up".into(),
            "--data".into(),
            root("data"),
            "--packs".into(),
            root("packs"),
            "--config".into(),
            root("hale.toml"),
        ];
        let _ = std::fs::remove_file(self.data().join("address"));
        let mut server = spawn(&line, &self.log())?;
        while begun.elapsed() < PATIENCE {
            if let Ok(Some(exit)) = server.ended() {
                return Err(Error::new(Exit::Failed, format!("start the server: it ended at once ({exit})")));
            }
            if self.data().join("address").exists()
                && let Ok(client) = self.client().await
                && let Ok(status) = client.get::<Status>("/api/v1/status").await
                && status.pid == server.pid()
            {
                self.server = Some(server);
                return Ok((status, begun.elapsed()));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Err(Error::new(Exit::Unreachable, format!("wait for the server: not ready within {PATIENCE:?}")))
    }

    pub async fn client(&self) -> Result<Client, Error> {
        let target = Target { place: Place { data: Some(self.data()), ..Place::default() }, key_file: None };
        Client::find(&target, &Environment::default(), &self.root).await
    }

    /// SIGKILL: the server has no chance to tidy up. Its pid.
    pub fn kill_server(&mut self) -> Result<u32, Error> {
        let Some(mut server) = self.server.take() else {
            return Err(Error::new(Exit::Failed, "kill the server: it is not up"));
        };
        let pid = server.pid();
        end(&server, Tell::Kill)?;
        let give_up = Instant::now() + PATIENCE;
        while Instant::now() < give_up {
            if let Ok(Some(_)) = server.ended() {
                return Ok(pid);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Err(Error::new(Exit::Failed, format!("kill process {pid}: it lives on")))
    }

    /// What the simulated model was asked: its log of calls.
    pub async fn calls(&self) -> Result<Vec<hale_lab::sim::control::CallLog>, Error> {
        let target = Target {
            place: Place { url: Some(format!("http://{}", self.sim_address)), ..Place::default() },
            key_file: None,
        };
        let client = Client::find(&target, &Environment::default(), &self.root).await?;
        let answer: serde_json::Value = client.get("/sim/calls").await?;
        let calls = answer.get("calls").cloned().unwrap_or(answer);
        serde_json::from_value(calls)
            .map_err(|error| Error::new(Exit::Failed, "read the model's log of calls").caused_by(&error))
    }

    /// Makes the simulated model slow, or quick again.
    pub async fn pace(&self, first_token: Duration) -> Result<(), Error> {
        let target = Target {
            place: Place { url: Some(format!("http://{}", self.sim_address)), ..Place::default() },
            key_file: None,
        };
        let client = Client::find(&target, &Environment::default(), &self.root).await?;
        let fault = serde_json::json!({
            "fault": { "kind": "slow", "first_token_ms": first_token.as_millis() as u64, "per_chunk_ms": 0 }
        });
        let _: serde_json::Value =
            client.ask(crate::client::Ask::delete("/sim/faults")).await.unwrap_or_default();
        if !first_token.is_zero() {
            let _: serde_json::Value = client.post("/sim/faults", &fault).await?;
        }
        Ok(())
    }

    /// Leaves the server and the model up; the data folder.
    pub fn keep(mut self) -> PathBuf {
        self.keep = Keep::Leave;
        self.data()
    }

    /// Ends everything and removes the folder.
    pub async fn strike(self) {
        if let Ok(client) = self.client().await {
            let _: Result<serde_json::Value, Error> =
                client.post("/api/v1/shutdown", &serde_json::json!({})).await;
            let give_up = Instant::now() + Duration::from_secs(5);
            while self.data().join("address").exists() && Instant::now() < give_up {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if self.keep == Keep::Leave {
            return;
        }
        if let Some(server) = &self.server {
            let _ = end(server, Tell::Kill);
        }
        let _ = end(&self.sim, Tell::Kill);
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

fn spawn(line: &[OsString], log: &Path) -> Result<Detached, Error> {
    let exe = std::env::current_exe()
        .map_err(|error| Error::new(Exit::Failed, "find hale's own file").caused_by(&error))?;
    process::spawn_detached(&exe, line, &[], log)
        .map_err(|error| Error::new(Exit::Failed, "start a process of the demo").caused_by(&error))
}

fn end(process: &Detached, tell: Tell) -> Result<(), Error> {
    process::kill(process.pid(), process.start_time(), tell)
        .map_err(|error| Error::new(Exit::Failed, format!("end process {}", process.pid())).caused_by(&error))
}

fn wait_for_file(path: &Path) -> Result<String, Error> {
    let give_up = Instant::now() + PATIENCE;
    while Instant::now() < give_up {
        if let Ok(text) = std::fs::read_to_string(path) {
            return Ok(text.trim().to_owned());
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Err(Error::new(Exit::Failed, format!("wait for {}: the simulated model did not start", path.display())))
}
