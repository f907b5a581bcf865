//! A pack that fetches pages, from end to end: the server that executes it, and a worker process of its own.

use crate::cli_world::World;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

/// A page on this machine; `/away` sends its caller on to what nobody was granted.
fn page(trap: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let Ok(mut socket) = socket else { return };
            let mut head = [0; 4096];
            let read = socket.read(&mut head).unwrap_or(0);
            let asked = String::from_utf8_lossy(&head[..read]).into_owned();
            let text = if asked.starts_with("GET /away ") {
                format!("302 Found\r\nlocation: http://{trap}/\r\ncontent-length: 0\r\n\r\n")
            } else {
                "200 OK\r\ncontent-type: text/plain\r\ncontent-length: 13\r\n\r\nopen till six".to_owned()
            };
            let _ = socket.write_all(format!("HTTP/1.1 {text}").as_bytes());
        }
    });
    address
}

fn reader(site: SocketAddr) -> String {
    format!(
        "---\nname: reader\nversion: 1.0.0\ndescription: Reads a page.\ntools: [web.fetch]\n\
         grants: {{ web: [\"{site}\"] }}\ninput: {{ url: string }}\n---\nFetch the page and say what it says.\n"
    )
}

fn fetches(worker: &str) {
    let trap = TcpListener::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let secret = trap.local_addr().unwrap();
    let site = page(secret);
    let world = World::new();
    world.write("hale.toml", &format!("[web]\nallow = [\"{site}\"]\n{worker}"));
    world.write("reader.md", &reader(site));
    world.up();
    let deployed = world.expect(0, &["packs", "deploy", "reader.md"]);
    assert!(deployed.out.contains(&format!("calls {site}")), "{}", deployed.out);
    let ran = world.expect(0, &["run", "reader", "--input", &format!("url=http://{site}/hours")]);
    assert!(ran.out.contains("open till six"), "{}\n{}", ran.out, ran.err);

    for url in [
        format!("http://{secret}/?t=S3CRET"),
        format!("http://{site}/away"),
        "http://169.254.169.254/".to_owned(),
    ] {
        let ran = world.expect(0, &["run", "reader", "--input", &format!("url={url}")]);
        assert!(ran.out.contains("web_fetch failed"), "{url}: {}\n{}", ran.out, ran.err);
        assert!(!ran.out.contains("open till six"), "{url}: {}", ran.out);
    }
    assert!(trap.accept().is_err(), "nobody came there");
    let logs = std::fs::read_dir(world.cwd().join("../home/.local/state/hale/logs")).unwrap();
    let lines: Vec<String> = logs
        .filter_map(|file| std::fs::read_to_string(file.unwrap().path()).ok())
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .filter(|line| line.contains("egress_refused") && line.contains("\"host\""))
        .collect();
    assert!(
        lines.iter().any(|line| line.contains("\"level\":\"warn\"") && line.contains("169.254.169.254")),
        "{lines:?}"
    );
    assert!(!lines.iter().any(|line| line.contains("S3CRET") || line.contains("http://")), "{lines:?}");
}

#[test]
fn a_pack_fetches_what_it_was_granted_and_nothing_else() {
    fetches("");
}

#[test]
fn a_worker_process_fetches_by_the_same_rules() {
    fetches("[worker]\nembedded = false\nprocesses = 1\n");
}

#[test]
fn a_host_that_the_server_does_not_allow_is_refused_at_deploy() {
    let world = World::new();
    let site = SocketAddr::from(([127, 0, 0, 1], 4321));
    world.write("reader.md", &reader(site));
    world.up();
    let refused = world.expect(4, &["packs", "deploy", "reader.md"]);
    for part in ["E013", "reader.md, line 6", "127.0.0.1:4321", "web.allow"] {
        assert!(refused.err.contains(part), "{part}: {}", refused.err);
    }
    let wrong = world.hale(&["config", "explain", "web.allow"]);
    assert!(wrong.out.contains("HALE_WEB_ALLOW"), "{}", wrong.out);
}
