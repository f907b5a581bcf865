//! `hale llm …` and `hale why CALL`, against a server with simulated models.

use crate::world::World;
use serde_json::{Value, json};

fn hale(world: &World, args: &[&str]) -> (i32, String, String) {
    let output =
        world.program().args(args).args(["--url", &format!("http://{}", world.address)]).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_call_is_listed_and_explained_and_an_unknown_model_is_told_what_was_meant() {
    let mut world = World::new();
    world.up();
    let (code, out, err) = hale(&world, &["llm", "models", "-o", "name"]);
    assert_eq!((code, out.as_str()), (0, "sim/backup\nsim/large\nsim/small\n"), "{err}");
    let (code, out, err) = hale(&world, &["llm", "test"]);
    assert!(code == 0 && out.contains("answers: You wrote"), "{out}{err}");
    let (code, _, err) = hale(&world, &["llm", "test", "sim/smal"]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("did you mean sim/small?"), "{err}");

    let (code, out, err) = hale(&world, &["llm", "calls", "--json"]);
    assert_eq!(code, 0, "{err}");
    let page: Value = serde_json::from_str(&out).unwrap();
    let calls = page["items"].as_array().unwrap();
    assert_eq!(calls.len(), 2, "{page:#}");
    assert_eq!((&calls[0]["outcome"], &calls[1]["outcome"]), (&json!("failed"), &json!("answered")));
    assert_eq!(calls[1]["served_by"], "sim/small");
    assert!(calls[1]["output_tokens"].as_u64().unwrap() > 0);
    let failed = calls[0]["id"].as_str().unwrap();
    for args in [["why", failed].as_slice(), &["llm", "show", failed]] {
        let (code, out, err) = hale(&world, args);
        assert_eq!(code, 0, "{err}");
        assert!(out.contains("attempt 1: sim/smal") && out.contains("llm.model_not_found"), "{out}");
    }
    let (code, _, err) = hale(&world, &["why", "call_01JD4M8Q2R7WX5B9N3K6T0VYHZ"]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("hale llm calls"), "{err}");
}

// A fault of the model shows in the call, in the list of providers, and in the caller's own dialect.
#[test]
fn a_limited_rate_is_told_in_the_callers_dialect_and_seen_at_the_provider() {
    let mut world = World::new();
    let mut command = world.server_command(&[]);
    world.up_with(command.env("HALE_MODEL_RETRY", "off"));
    world.model_does(&json!({"fault": {"kind": "rate_limit", "retry_after": 30}}));
    let ask = |path: &str, body: &Value| world.http().ask("POST", path, &[], Some(body)).unwrap();
    let hello = json!([{"role": "user", "content": "hello"}]);
    let openai = ask("/v1/chat/completions", &json!({"model": "sim/small", "messages": hello}));
    assert_eq!(openai.status, 429, "{}", openai.text);
    assert_eq!(openai.json()["error"]["code"], "llm.rate_limited");
    assert_eq!(openai.headers["retry-after"], "30");
    assert_eq!(openai.headers["x-should-retry"], "false");
    assert_eq!(openai.headers["x-hale-error-source"], "gateway");
    assert!(openai.headers["x-hale-call-id"].starts_with("call_"));
    let anthropic = ask("/v1/messages", &json!({"model": "sim/small", "max_tokens": 9, "messages": hello}));
    assert_eq!((anthropic.status, &anthropic.json()["error"]["type"]), (429, &json!("rate_limit_error")));
    let ollama = ask("/api/chat", &json!({"model": "sim/small", "messages": hello}));
    assert_eq!(ollama.status, 429);
    assert!(ollama.json()["error"].as_str().unwrap().contains("limits the rate"), "{}", ollama.text);
    let (code, out, err) = hale(&world, &["llm", "providers"]);
    assert!(code == 0 && out.contains("llm.rate_limited ×3"), "{out}{err}");
}

#[test]
fn aliases_stand_for_models_and_a_bad_one_is_refused_with_its_place() {
    let mut world = World::new();
    let mut command = world.server_command(&[]);
    world.up_with(command.env("HALE_MODEL_ALIASES", "gpt-4o=sim/large,*=sim/backup"));
    for (asked, served) in [
        ("gpt-4o", "sim/large"),
        ("anything", "sim/backup"),
        ("un/known", "sim/backup"),
        ("sim/small", "sim/small"),
    ] {
        let body = json!({"model": asked, "messages": [{"role": "user", "content": "hello"}]});
        let answer = world.http().ask("POST", "/v1/chat/completions", &[], Some(&body)).unwrap();
        assert_eq!(answer.headers["x-hale-model"], served, "{}", answer.text);
    }
    let output =
        world.program().args(["config", "check"]).env("HALE_MODEL_ALIASES", "gpt-4o").output().unwrap();
    let told =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success() && told.contains("name=provider/model"), "{told}");
}
