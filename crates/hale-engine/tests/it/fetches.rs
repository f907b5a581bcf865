//! The tool `web.fetch` in the engine: granted and refused pages, and what a deploy says of its hosts.

use crate::world::{Turn, World, caller, pack, state};
use hale_core::code::Code;
use hale_core::run::StateName;
use hale_engine::DryRun;
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpListener;
use tracing::Level;

/// A server on this machine that answers every request with the same page, and how it is written in a grant.
fn page(text: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let site = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let Ok(mut socket) = socket else { return };
            let _ = socket.read(&mut [0; 4096]);
            let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/html; charset=utf-8\r\n";
            let _ =
                socket.write_all(format!("{head}content-length: {}\r\n\r\n{text}", text.len()).as_bytes());
        }
    });
    site
}

fn fetch(url: &str) -> Turn {
    Turn::Call("web_fetch", json!({ "url": url }))
}

#[tokio::test]
async fn a_granted_page_is_fetched_and_the_model_hears_of_it() {
    let site = page("<h1>opening hours</h1>");
    let allow = vec![site.parse().unwrap()];
    let world = World::with(|config| config.web_allow = allow).await;
    world.deploy("reader", &format!("tools: [web.fetch]\ngrants: {{ web: [\"{site}\"] }}")).await;
    world.model.script([fetch(&format!("http://{site}/hours"))]);
    let run = world.submit("reader").await;
    assert_eq!(state(&world.end(run.id).await.run), StateName::Completed);
    let step = world.steps(run.id).await.remove(1);
    assert_eq!((step.name.as_str(), step.is_error), ("web.fetch", false));
    assert_eq!(step.waiting_on, "tool:web.fetch");
    let expected = json!({
        "url": format!("http://{site}/hours"), "status": 200, "content_type": "text/html; charset=utf-8",
        "text": "<h1>opening hours</h1>", "bytes": 22, "truncated": false, "redirects": [],
    });
    assert_eq!(step.result, expected);
    let calls = world.model.calls.lock().unwrap();
    assert!(calls[0].tools.iter().any(|tool| tool.name == "web_fetch"));
    assert!(format!("{:?}", calls[1].messages).contains("opening hours"));
}

#[tokio::test]
async fn a_refused_page_is_an_answer_and_a_warning() {
    let site = page("never seen");
    let world = World::with(|config| config.web_allow = vec!["*".parse().unwrap()]).await;
    world.deploy("open", "tools: [web.fetch]").await;
    world.model.script([
        fetch(&format!("http://{site}/")),
        fetch("http://169.254.169.254/latest/meta-data/"),
        fetch("http://[::ffff:7f00:1]/"),
        Turn::Call("web_fetch", json!({"url": "http://a.example/", "headers": {"host": "b"}})),
    ]);
    let run = world.submit("open").await;
    assert_eq!(state(&world.end(run.id).await.run), StateName::Completed);
    let steps: Vec<_> =
        world.steps(run.id).await.into_iter().filter(|step| step.name == "web.fetch").collect();
    let told: Vec<_> =
        steps.iter().map(|step| (step.is_error, step.result["error"]["code"].clone())).collect();
    let (refused, unreadable) = ((true, json!("E013")), (true, json!("E002")));
    assert_eq!(told, [refused.clone(), refused.clone(), refused, unreadable]);
    assert!(steps[0].result.to_string().contains("add \\\"127.0.0.1"), "{}", steps[0].result);
    let lines = world.logs.lines();
    let warned = lines.iter().filter(|line| line.contains("a call to the web was refused")).count();
    assert_eq!(warned, 3, "{lines:?}");
    assert!(world.logs.has(Level::WARN, "a call to the web was refused"));
}

#[tokio::test]
async fn without_the_tool_there_is_no_fetch() {
    let world = World::with(|config| config.web_allow = vec!["*".parse().unwrap()]).await;
    world.deploy("plain", "").await;
    world.model.script([fetch("http://example.com/")]);
    let run = world.submit("plain").await;
    world.end(run.id).await;
    let step = world.steps(run.id).await.remove(1);
    assert_eq!((step.is_error, &step.result["error"]["cause"]), (true, &json!("tool.not_granted")));
    assert!(world.model.calls.lock().unwrap()[0].tools.is_empty());
}

#[tokio::test]
async fn a_host_beyond_what_is_allowed_is_refused_at_deploy_with_its_line() {
    let world = World::with(|config| config.web_allow = vec!["*".parse().unwrap()]).await;
    let more = "tools: [web.fetch]\ngrants:\n  web:\n    - example.com\n    - 10.0.0.7:8080";
    let source = pack("inside", more);
    let refused =
        world.engine.deploy("inside.md", source.as_bytes(), DryRun::No, &caller()).await.unwrap_err();
    assert_eq!((refused.code, refused.cause.as_str()), (Code::E013, "pack.grant_refused"));
    let told = refused.to_string();
    for part in ["inside.md, line 9", "10.0.0.7:8080", "web.allow", "add \"10.0.0.7:8080\""] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let more = "tools: [web.fetch]\ngrants: { web: [example.com] }";
    let fine = world.engine.deploy("a.md", pack("a", more).as_bytes(), DryRun::No, &caller()).await.unwrap();
    assert_eq!(fine.info.warnings, []);
}

#[tokio::test]
async fn a_pack_with_the_tool_and_no_host_is_told_what_that_means() {
    for (allow, told) in [(vec![], "every call will be refused"), (vec!["*"], "may call every public one")] {
        let allow = allow.into_iter().map(|site| site.parse().unwrap()).collect();
        let world = World::with(|config| config.web_allow = allow).await;
        let source = pack("bare", "tools: [web.fetch]");
        let deployed =
            world.engine.deploy("bare.md", source.as_bytes(), DryRun::No, &caller()).await.unwrap();
        let [warning] = deployed.info.warnings.as_slice() else { panic!("{:?}", deployed.info.warnings) };
        assert!(warning.message.contains(told), "{warning:?}");
        assert_eq!(warning.line, 5);
    }
}
