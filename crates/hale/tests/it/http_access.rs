//! Who comes in: every route against every kind of key, foreign pages, and what a key's life does.

use crate::http_house::{House, Plan};
use hale::access::RequireKey;
use hale::http::routes::{Door, Route, TABLE};
use hale::wire::{Health, KeyView, Page};
use hale_core::time::Millis;
use serde_json::json;

/// The route's path with something in its holes that exists nowhere.
fn filled(route: &Route) -> String {
    let id = match route.path.split('/').nth(3) {
        Some("runs") => "run_01J00000000000000000000000",
        Some("operations") => "op_01J00000000000000000000000",
        Some("workers") => "wrk_01J00000000000000000000000",
        Some("keys") => "key_01J00000000000000000000000",
        _ => "flt_01J00000000000000000000000",
    };
    route.path.replace("{id}", id).replace("{name}", "nobody").replace("{*name}", "a/b.txt")
}

async fn keyed() -> House {
    House::of(Plan { require_key: RequireKey::Always, ..Plan::default() }).await
}

#[tokio::test]
async fn every_route_wants_a_valid_key_where_keys_are_wanted() {
    let mut house = keyed().await;
    let now = house.app.engine.now();
    let (_, expired) = house.make_key("old", now - Millis::seconds(7200), Some(Millis::seconds(3600))).await;
    let (row, revoked) = house.make_key("gone", now, None).await;
    house.ask("DELETE", &format!("/api/v1/keys/{}", row.id)).gives(200).await;
    let bad = format!("{}0000", &revoked[..revoked.len() - 4]);
    let valid = house.key.take();
    let kinds = [
        (None, "access.no_key"),
        (Some(bad.as_str()), "access.bad_key"),
        (Some("nonsense"), "access.bad_key"),
        (Some(expired.as_str()), "access.key_expired"),
        (Some(revoked.as_str()), "access.key_revoked"),
    ];
    for route in TABLE {
        for (key, cause) in kinds {
            let ask = house.ask(route.verb.name(), &filled(route)).json(json!({}));
            // The model door tells errors in its callers' dialects, but to those who ask for this form.
            let ask = ask.header("accept", "application/problem+json");
            let ask = match key {
                Some(key) => ask.header("authorization", &format!("Bearer {key}")),
                None => ask,
            };
            let answer = ask.send().await;
            match route.door {
                Door::Key => {
                    assert_eq!(answer.status(), 401, "{} {} with {cause}", route.verb.name(), route.path);
                    let problem = answer.problem();
                    assert_eq!((problem.code.as_str(), problem.cause.as_deref()), ("E005", Some(cause)));
                    assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer"));
                }
                Door::Open => assert_ne!(answer.status(), 401, "{}", route.path),
            }
        }
    }
    for path in ["/", "/nowhere", "/api/v1", "/api/v2/runs"] {
        assert_eq!(house.get(path).send().await.status(), 401, "unknown paths tell nothing either");
    }
    house.key = valid;
    assert!(!house.app.shutdown.is_cancelled(), "nobody without a key ended the server");
}

#[tokio::test]
async fn every_route_answers_who_has_a_key() {
    let house = keyed().await;
    let document = hale::http::openapi::document();
    // The last one ends the server.
    let (last, others): (Vec<&Route>, Vec<&Route>) = TABLE.iter().partition(|route| route.id == "shutdown");
    for route in others.into_iter().chain(last) {
        let ask = house.ask(route.verb.name(), &filled(route)).json(json!({}));
        let answer = ask.header("accept", "application/problem+json").send().await;
        let line = format!("{} {}: {}\n{}", route.verb.name(), route.path, answer.head, answer.body);
        assert!(!matches!(answer.status(), 0 | 401 | 405 | 500..=502), "{line}");
        if answer.status() >= 400 && !route.id.starts_with("health") {
            let cause = answer.problem().cause;
            assert_ne!(cause.as_deref(), Some("http.no_such_path"), "{line}");
        }
        let path = route.path.replace("{*", "{");
        let responses =
            &document["paths"][path.as_str()][route.verb.name().to_lowercase().as_str()]["responses"];
        assert!(responses.get(answer.status().to_string()).is_some(), "not in the document: {line}");
    }
    assert!(house.app.shutdown.is_cancelled());
}

#[tokio::test]
async fn open_routes_tell_strangers_no_details() {
    let mut house = keyed().await;
    house.app.engine.probe().await;
    let known: Health = house.get("/health").gives(200).await.json();
    assert!(known.components.iter().any(|component| !component.detail.is_empty()));
    house.key = None;
    for path in ["/health", "/api/v1/health", "/orchestrator/health"] {
        let told: Health = house.get(path).gives(200).await.json();
        assert_eq!(told.components.len(), known.components.len());
        assert!(told.components.iter().all(|component| component.detail.is_empty()), "{path}");
    }
    house.get("/livez").gives(200).await;
    house.get("/readyz").gives(200).await;
}

#[tokio::test]
async fn a_foreign_page_gets_nothing() {
    let house = House::open().await;
    for host in ["evil.example", "evil.example:8080", "127.0.0.1.nip.io"] {
        let problem = house.get("/api/v1/runs").header("host", host).gives(403).await.problem();
        assert_eq!(
            (problem.cause.as_deref(), problem.field.as_deref()),
            (Some("access.foreign_host"), Some("Host"))
        );
    }
    for origin in ["http://evil.example", "null", "http://127.0.0.1:1"] {
        let problem = house.get("/api/v1/runs").header("origin", origin).gives(403).await.problem();
        assert_eq!(problem.cause.as_deref(), Some("access.foreign_origin"));
    }
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        let ask = house.ask("POST", "/api/v1/shutdown").text(kind, "{}".to_owned());
        let problem = ask.gives(415).await.problem();
        assert_eq!((problem.code.as_str(), problem.field.as_deref()), ("E002", Some("Content-Type")));
    }
    house.ask("POST", "/api/v1/shutdown").gives(415).await;
    assert!(!house.app.shutdown.is_cancelled());
    let own = format!("http://{}", house.address);
    house.get("/api/v1/runs").header("origin", &own).gives(200).await;
}

#[tokio::test]
async fn a_key_is_told_once_and_its_last_use_is_noted() {
    let house = House::open().await;
    let made = house.post("/api/v1/keys", json!({"name": "ci", "expires_in": "1h"})).gives(201).await;
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let made: KeyView = made.json();
    let secret = made.secret.expect("it is told once");
    assert!(made.expires_at.is_some());
    house.get("/api/v1/keys").header("x-api-key", &secret).gives(200).await;
    let noted = async {
        loop {
            let listed = house.get("/api/v1/keys").gives(200).await;
            assert!(!listed.body.contains(&secret), "never again");
            let page: Page<KeyView> = listed.json();
            if page.items[0].last_used_at.is_some() {
                break;
            }
        }
    };
    tokio::time::timeout(crate::http_house::PATIENCE, noted).await.expect("the use of a key is noted");

    let problem = house.post("/api/v1/keys", json!({"name": "ci"})).gives(409).await.problem();
    assert_eq!((problem.code.as_str(), problem.field.as_deref()), ("E011", Some("name")));
    house.post("/api/v1/keys", json!({"name": "local"})).gives(422).await;
    house.post("/api/v1/keys", json!({"name": "x", "expires_in": "soon"})).gives(422).await;

    house.ask("DELETE", "/api/v1/keys/ci").gives(200).await;
    house.ask("DELETE", &format!("/api/v1/keys/{}", made.id)).gives(200).await;
    house.ask("DELETE", "/api/v1/keys/ci").gives(404).await;
    let problem = house.get("/api/v1/keys").header("x-api-key", &secret).gives(401).await.problem();
    assert_eq!(problem.cause.as_deref(), Some("access.key_revoked"), "at once, on loopback too");
}

#[tokio::test]
async fn a_key_can_be_made_without_a_server() {
    use hale::keys::{ServerKey, offline};
    let dir = tempfile::tempdir().unwrap();
    let now = hale_core::time::Timestamp(1_800_000_000_000);
    let (row, secret) = offline::create(dir.path(), "first", (None, None), now).await.unwrap();
    assert!(ServerKey::load(dir.path()).unwrap().matches(&secret.reveal(), &row));
    assert_eq!(offline::list(dir.path()).unwrap(), vec![row.clone()]);
    assert_eq!(
        offline::create(dir.path(), "first", (None, None), now)
            .await
            .map(|_| ())
            .unwrap_err()
            .code
            .to_string(),
        "E011"
    );
    let revoked = offline::revoke(dir.path(), "first", now).await.unwrap();
    assert_eq!((revoked.id, revoked.revoked_at), (row.id, Some(now)));
    assert_eq!(offline::revoke(dir.path(), "nobody", now).await.unwrap_err().code.to_string(), "E010");
    let held = hale_store::Folder::lock(dir.path()).unwrap();
    assert!(
        offline::create(dir.path(), "second", (None, None), now).await.is_err(),
        "a server has the folder"
    );
    drop(held);
}
