//! Finding the server, and what its answers become.

use hale::client::events::{Message, Splitter};
use hale::client::find::Place;
use hale::client::{Client, Target};
use hale::config::env::Environment;
use hale::exit::{Error, Exit};
use serde_json::Value;
use std::path::Path;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Answers every connection with these bytes and keeps what was asked.
async fn server(answer: &'static str) -> (String, tokio::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (asked, asks) = tokio::sync::mpsc::channel(16);
    let serve = async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = vec![0; 8192];
            let count = stream.read(&mut bytes).await.unwrap_or(0);
            let _ = asked.send(String::from_utf8_lossy(&bytes[..count]).into_owned()).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    };
    #[expect(clippy::disallowed_methods, reason = "a test's own server, gone with the runtime")]
    tokio::spawn(serve);
    (address, asks)
}

const OK: &str = "HTTP/1.1 200 OK\r\nx-correlation-id: c\r\ncontent-length: 13\r\n\r\n{\"says\":\"hi\"}";

fn env(pairs: &[(&str, &str)]) -> Environment {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

async fn ask(target: &Target, env: &Environment, cwd: &Path) -> Result<Value, Error> {
    Client::find(target, env, cwd).await?.get("/api/v1/status").await
}

fn at(url: &str) -> Target {
    Target { place: Place { url: Some(url.to_owned()), ..Place::default() }, key_file: None }
}

#[tokio::test]
async fn the_flag_wins_over_the_variable_over_the_files() {
    let dir = TempDir::new().unwrap();
    let (address, _asks) = server(OK).await;
    let dead = env(&[("HALE_URL", "http://127.0.0.1:1")]);
    assert!(ask(&at(&address), &dead, dir.path()).await.is_ok());
    assert!(ask(&Target::default(), &env(&[("HALE_URL", &address)]), dir.path()).await.is_ok());
    assert_eq!(ask(&Target::default(), &dead, dir.path()).await.unwrap_err().exit, Exit::Unreachable);
}

#[tokio::test]
async fn the_address_file_is_looked_for_here_and_then_in_the_state_folder() {
    let dir = TempDir::new().unwrap();
    let (address, _asks) = server(OK).await;
    let state = env(&[("XDG_STATE_HOME", dir.path().to_str().unwrap())]);
    std::fs::create_dir_all(dir.path().join("hale")).unwrap();
    std::fs::write(dir.path().join("hale/address"), format!("{address}\n")).unwrap();
    let cwd = dir.path().join("cwd");
    std::fs::create_dir_all(cwd.join(".hale")).unwrap();
    assert!(ask(&Target::default(), &state, &cwd).await.is_ok());
    // A file left by a server that was killed does not hide the one that lives.
    std::fs::write(cwd.join(".hale/address"), "http://127.0.0.1:1\n").unwrap();
    assert!(ask(&Target::default(), &state, &cwd).await.is_ok());
    let named =
        Target { place: Place { data: Some(dir.path().join("hale")), ..Place::default() }, key_file: None };
    assert!(ask(&named, &env(&[]), &cwd).await.is_ok());
}

#[tokio::test]
async fn who_finds_no_server_learns_what_was_tried_and_how_to_start_one() {
    let dir = TempDir::new().unwrap();
    let home = env(&[("HOME", "/nowhere")]);
    let error = ask(&Target::default(), &home, dir.path()).await.unwrap_err();
    assert_eq!(error.exit, Exit::Unreachable);
    assert_eq!(error.chain.len(), 2, "{error:?}");
    assert!(error.hint.clone().unwrap().contains("hale up --detach"));
    let error = ask(&at("http://127.0.0.1:1"), &home, dir.path()).await.unwrap_err();
    assert_eq!(error.during.as_deref(), Some("the address comes from --url"));
    assert_eq!(ask(&at("nonsense://"), &home, dir.path()).await.unwrap_err().exit, Exit::Usage);
}

#[tokio::test]
async fn a_refusal_carries_code_fix_and_exit() {
    const PROBLEM: &str = r#"{"type":"urn:hale:error:E001","title":"agent pack not found","status":404,"detail":"run pack nope: there is none","code":"E001","correlation_id":"c-1","retryable":false,"fix":"hale packs list"}"#;
    let answer = format!(
        "HTTP/1.1 404 Not Found\r\nx-correlation-id: c-1\r\ncontent-length: {}\r\n\r\n{PROBLEM}",
        PROBLEM.len()
    );
    let (address, _asks) = server(answer.leak()).await;
    let error = ask(&at(&address), &env(&[]), Path::new("/")).await.unwrap_err();
    assert_eq!((error.exit, error.code.as_deref()), (Exit::NotFound, Some("E001")));
    assert_eq!(error.message, "run pack nope: there is none");
    assert_eq!(error.hint.as_deref(), Some("hale packs list"));
    assert_eq!(error.correlation_id.as_deref(), Some("c-1"));
}

#[tokio::test]
async fn something_else_on_the_port_is_noticed() {
    let (address, _asks) = server("HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\nnope").await;
    let error = ask(&at(&address), &env(&[]), Path::new("/")).await.unwrap_err();
    assert!(error.hint.clone().unwrap().starts_with("is it hale?"));
}

// covers: TR-37
#[tokio::test]
async fn every_request_carries_a_correlation_id_and_the_key() {
    let dir = TempDir::new().unwrap();
    let (address, mut asks) = server(OK).await;
    std::fs::write(dir.path().join("key"), "hale_k_s\n").unwrap();
    let mut target = at(&address);
    target.key_file = Some(dir.path().join("key"));
    ask(&target, &env(&[("HALE_KEY", "other")]), dir.path()).await.unwrap();
    let asked = asks.recv().await.unwrap().to_lowercase();
    assert!(asked.starts_with("get /api/v1/status http/1.1\r\n"), "{asked}");
    assert!(asked.contains("\r\nx-correlation-id: cli-"), "{asked}");
    assert!(asked.contains("\r\nauthorization: bearer hale_k_s\r\n"), "{asked}");
    assert_eq!(asked.matches("\r\nhost: ").count(), 1, "{asked}");
}

#[test]
fn events_are_whole_whatever_the_pieces() {
    let stream = ": hello\n\nid: 1\ndata: {\"a\":1}\n\nevent: x\nid: 2\r\ndata: one\r\ndata: two\r\n\r\n";
    for size in 1..stream.len() {
        let mut splitter = Splitter::default();
        let mut messages = Vec::new();
        for piece in stream.as_bytes().chunks(size) {
            splitter.feed(piece);
            while let Some(message) = splitter.message() {
                messages.push(message);
            }
        }
        let expected = [
            Message { id: Some("1".to_owned()), data: "{\"a\":1}".to_owned() },
            Message { id: Some("2".to_owned()), data: "one\ntwo".to_owned() },
        ];
        assert_eq!(messages, expected, "in pieces of {size}");
    }
}
