//! Steers a simulated model server in another process, over its own socket.
//!
//! Read next: `sim/http.rs`, which answers.

use super::refused;
use crate::sim::control::{FaultSpec, FaultView};
use hale_core::code::Code;
use hale_core::failure::Failure;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The lab's server is on this machine: slower than this is dead.
const WAIT: Duration = Duration::from_secs(2);

#[derive(Clone, Debug)]
pub struct Remote {
    addr: SocketAddr,
}

impl Remote {
    pub fn new(addr: SocketAddr) -> Self {
        Self { addr }
    }

    /// Sets a fault there; its id at that server.
    pub async fn set(&self, spec: &FaultSpec) -> Result<u64, Failure> {
        let body = serde_json::to_string(spec).map_err(|error| failed("encode a fault").caused_by(&error))?;
        let answer = self.ask("POST", "/sim/faults", Some(body)).await?;
        answer["id"].as_u64().ok_or_else(|| failed("read the id of the fault"))
    }

    pub async fn clear(&self, id: u64) -> Result<(), Failure> {
        self.ask("DELETE", &format!("/sim/faults/{id}"), None).await.map(drop)
    }

    /// How often the fault took effect; none when the server does not say.
    pub fn hits(&self, id: u64) -> Option<u64> {
        let answer = exchange(self.addr, "GET", ("/sim/faults", None)).ok()?;
        let faults: Vec<FaultView> =
            serde_json::from_value(answer.get("faults").cloned().unwrap_or(answer)).ok()?;
        faults.into_iter().find(|fault| fault.id == id).map(|fault| fault.hits)
    }

    async fn ask(
        &self,
        method: &'static str,
        path: &str,
        body: Option<String>,
    ) -> Result<serde_json::Value, Failure> {
        let (addr, path) = (self.addr, path.to_owned());
        let asked = tokio::task::spawn_blocking(move || exchange(addr, method, (&path, body))).await;
        match asked {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(failed(&format!("reach the simulated models at {addr}")).caused_by(&error)),
            Err(error) => Err(failed("reach the simulated models").caused_by(&error)),
        }
    }
}

fn failed(what: &str) -> Failure {
    refused(Code::E011, what.to_owned())
}

/// One request on a connection of its own; an empty answer is null.
fn exchange(
    addr: SocketAddr,
    method: &str,
    (path, body): (&str, Option<String>),
) -> std::io::Result<serde_json::Value> {
    let mut stream = TcpStream::connect_timeout(&addr, WAIT)?;
    stream.set_read_timeout(Some(WAIT))?;
    let body = body.unwrap_or_default();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    if !head.starts_with("HTTP/1.1 2") {
        let status = head.lines().next().unwrap_or_default();
        return Err(std::io::Error::other(format!("the simulated models answered {status}: {body}")));
    }
    if body.trim().is_empty() {
        return Ok(serde_json::Value::Null);
    }
    serde_json::from_str(body).map_err(std::io::Error::other)
}
