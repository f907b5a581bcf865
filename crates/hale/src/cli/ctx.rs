//! What every command has at hand: the screen, the environment, and the way to the server.

use crate::client::{Client, Target};
use crate::config::env::Environment;
use crate::config::{Config, Flag, Order};
use crate::exit::{Error, Exit};
use crate::render::Screen;
use std::future::Future;
use std::path::PathBuf;

#[derive(Debug)]
pub struct Ctx {
    pub screen: Screen,
    pub env: Environment,
    pub cwd: PathBuf,
    pub target: Target,
}

impl Ctx {
    /// # Errors
    /// When the working folder is gone; the screen comes back to say so.
    pub fn new(screen: Screen, env: Environment, target: Target) -> Result<Self, (Screen, Error)> {
        match std::env::current_dir() {
            Ok(cwd) => Ok(Self { screen, env, cwd, target }),
            Err(error) => {
                let error = Error::new(Exit::Failed, "find the working folder").caused_by(&error);
                Err((screen, error.hint("change into a folder that exists")))
            }
        }
    }

    /// The server.
    ///
    /// # Errors
    /// When none is known.
    pub async fn client(&self) -> Result<Client, Error> {
        Client::find(&self.target, &self.env, &self.cwd).await
    }

    /// The configuration as `hale up` would have it, with these flags on top.
    ///
    /// # Errors
    /// When there is anything wrong with it.
    pub fn config(&self, mut flags: Vec<Flag>, file: Option<PathBuf>) -> Result<Config, Error> {
        if let Some(data) = &self.target.place.data {
            flags.push(Flag { key: "data", flag: "--data", value: data.display().to_string() });
        }
        let order = Order { flags, file, cwd: self.cwd.clone(), env: self.env.clone() };
        Ok(crate::config::load(order)?)
    }
}

/// Runs one future on this thread; a command does one thing at a time.
///
/// # Errors
/// When the system gives no runtime.
pub fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::new(Exit::Failed, "start the runtime").caused_by(&error))?;
    Ok(runtime.block_on(work))
}
