//! A server of raw bytes: each connection gets the next part of the script.

use hale_core::time::Timestamp;
use hale_gateway::call::{KeySource, Timeouts};
use hale_gateway::provider::unheard;
use hale_gateway::secret::Secrets;
use hale_gateway::{ChatRequest, Error, Failed, Gateway, Message, ProviderConfig, Route, Served};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// What a connection does after it read one request.
#[derive(Clone)]
pub enum Act {
    /// Sends each piece by itself, then closes.
    Send(Vec<Vec<u8>>),
    /// Sends this, then keeps the connection open and silent.
    Hang(Vec<u8>),
}

pub fn send(bytes: impl Into<Vec<u8>>) -> Act {
    Act::Send(vec![bytes.into()])
}

/// An answer with this head line, headers and body, whose end is the end of the connection.
pub fn answer(status: &str, headers: &str, body: &str) -> Act {
    send(format!("HTTP/1.1 {status}\r\nconnection: close\r\n{headers}\r\n{body}"))
}

pub fn events(data: &[&str]) -> Act {
    let body: String = data.iter().map(|data| format!("data: {data}\n\n")).collect();
    answer("200 OK", "content-type: text/event-stream\r\n", &body)
}

pub const HELLO: &str =
    r#"{"model":"m-1","choices":[{"index":0,"delta":{"role":"assistant","content":"hello"}}]}"#;
pub const STOP: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
pub const USAGE: &str = r#"{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}"#;

pub fn hello() -> Act {
    events(&[HELLO, STOP, USAGE, "[DONE]"])
}

pub struct Server {
    pub addr: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// The script is played from its start, one part a connection; its last part serves all further ones.
    pub async fn play(script: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&requests);
        #[expect(clippy::disallowed_methods, reason = "the test's own server, aborted with it")]
        let task = tokio::spawn(async move {
            let mut open = Vec::new();
            for part in 0.. {
                let (mut socket, _) = listener.accept().await.unwrap();
                let request = read_request(&mut socket).await;
                heard.lock().unwrap().push(request);
                match script[part.min(script.len() - 1)].clone() {
                    Act::Send(pieces) => {
                        for piece in pieces {
                            // The client may have had enough.
                            let _ = socket.write_all(&piece).await;
                            tokio::task::yield_now().await;
                        }
                        let _ = socket.shutdown().await;
                    }
                    Act::Hang(bytes) => {
                        let _ = socket.write_all(&bytes).await;
                        open.push(socket);
                    }
                }
            }
        });
        Self { addr, requests, task }
    }

    /// Heads and bodies as they came.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    pub fn config(&self, name: &str) -> ProviderConfig {
        config(name, &format!("http://{}/v1", self.addr))
    }
}

async fn read_request(socket: &mut TcpStream) -> String {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let read = socket.read(&mut buffer).await.unwrap();
        bytes.extend_from_slice(&buffer[..read]);
        // A TLS hello: it gets the same plain answer.
        if bytes.first() == Some(&0x16) {
            return String::new();
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = |line: &str| line.strip_prefix("content-length: ")?.parse::<usize>().ok();
        if read == 0 || body.len() >= head.lines().find_map(length).unwrap_or(0) {
            return text;
        }
    }
}

/// No key, and waits that are short but longer than any pause of a busy machine that sends at once.
pub fn config(name: &str, base_url: &str) -> ProviderConfig {
    ProviderConfig {
        name: name.to_owned(),
        base_url: base_url.to_owned(),
        key: KeySource::NotNeeded,
        speaks: hale_gateway::site::Speaks::OpenAi,
        timeouts: Timeouts { first_chunk: Duration::from_secs(20), stall: Duration::from_secs(20) },
    }
}

pub fn no_secrets() -> Secrets {
    Secrets::new(Arc::new(|_| None), "/nonexistent")
}

pub fn gateway(configs: Vec<ProviderConfig>) -> Gateway {
    with_secrets(configs, no_secrets())
}

pub fn with_secrets(configs: Vec<ProviderConfig>, secrets: Secrets) -> Gateway {
    let gateway = Gateway::new(secrets, Arc::new(|| Timestamp(1_000_000)));
    gateway.configure(configs).unwrap();
    gateway
}

pub fn request() -> ChatRequest {
    ChatRequest {
        model: String::new(),
        messages: vec![Message::user("hi")],
        tools: Vec::new(),
        max_tokens: None,
        temperature: None,
        seed: None,
        deadline: Instant::now() + Duration::from_secs(30),
        correlation_id: "corr-1".to_owned(),
        traceparent: None,
        idempotency_key: "run_1/2".to_owned(),
    }
}

/// One call to `a/m` of a server that plays this script.
pub async fn call(script: Vec<Act>) -> Result<Served, Failed> {
    let server = Server::play(script).await;
    gateway(vec![server.config("a")]).chat(&Route::to("a/m"), request(), &unheard).await
}

/// An address on which nobody listens.
pub async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

pub fn bad_address(base_url: &str) -> String {
    let gateway = Gateway::new(no_secrets(), Arc::new(|| Timestamp(0)));
    let error = gateway.configure(vec![config("a", base_url)]).unwrap_err();
    assert!(matches!(error, Error::BadAddress { .. }));
    error.to_string()
}
