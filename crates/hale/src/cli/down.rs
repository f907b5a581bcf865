//! `hale down`: ends the server in order, and waits until its process is gone.

use super::ctx::Ctx;
use crate::client::Ask;
use crate::exit::{Error, Exit};
use crate::wire::Status;
use hale_core::limits;
use hale_sandbox::process;
use serde_json::{Value, json};
use std::time::Duration;

/// End the server: work in progress gets a moment, the rest goes on after the next start
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale down
  hale down --data ./data")]
pub struct Args {}

/// The drain of worker processes, then our own, and some time to give back and to close the database.
const PATIENCE: Duration = Duration::from_secs(2 * limits::DRAIN.0 / 1000 + 20);
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub async fn run(_: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let client = ctx.client().await?;
    let status: Status = client.get("/api/v1/status").await?;
    // A server on another machine has a pid that means nothing here.
    let start_time = process::start_time(status.pid).filter(|_| is_local(client.address()));
    let _: Value = client.ask(Ask::post("/api/v1/shutdown", &json!({})).patient(PATIENCE)).await?;
    let until = tokio::time::Instant::now() + PATIENCE;
    while gone(&client, &status, start_time).await == Gone::No {
        if tokio::time::Instant::now() > until {
            let error =
                Error::new(Exit::Failed, format!("end the server: process {} is still there", status.pid));
            return Err(
                error.hint(format!("it drains; ask again, or end it the hard way: kill -9 {}", status.pid))
            );
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let done =
        json!({ "schema": "hale.down/1", "pid": status.pid, "address": status.address, "stopped": true });
    ctx.screen.one(&done, &status.address, |look| {
        format!("{}\n", look.good(&format!("stopped {} (pid {})", status.address, status.pid)))
    });
    Ok(Exit::Done)
}

fn is_local(address: &str) -> bool {
    let url = url::Url::parse(address).ok();
    url.is_some_and(|url| match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Gone {
    Yes,
    No,
}

async fn gone(client: &crate::client::Client, status: &Status, start_time: Option<u64>) -> Gone {
    let gone = match start_time {
        Some(start_time) => !process::is_alive(status.pid, start_time),
        None => client.get::<Value>("/livez").await.is_err_and(|error| error.exit == Exit::Unreachable),
    };
    if gone { Gone::Yes } else { Gone::No }
}
