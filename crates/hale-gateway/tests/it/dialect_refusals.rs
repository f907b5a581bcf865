//! What is refused of clients, and errors as the clients of each dialect know them.

use hale_gateway::dialect::trouble::Trouble;
use hale_gateway::dialect::{Dialect, Version};
use serde_json::{Value, json};

/// The field that is refused, and the message.
fn refused(dialect: Dialect, body: &Value, version: Version) -> (String, String) {
    let bad = dialect.read(body.to_string().as_bytes(), version).unwrap_err();
    (bad.field.unwrap_or_default(), bad.message)
}

/// A good body with one more field in it.
fn with(dialect: Dialect, key: &str, value: Value) -> Value {
    let mut body = match dialect {
        Dialect::OpenAiChat | Dialect::OllamaChat => json!({"model": "m", "messages": []}),
        Dialect::OpenAiResponses => json!({"model": "m", "input": "x"}),
        Dialect::Anthropic => json!({"model": "m", "messages": [], "max_tokens": 5}),
        Dialect::OllamaGenerate => json!({"model": "m", "prompt": "x"}),
    };
    body[key] = value;
    body
}

/// Dialect, field and value of a body; the field that is refused, and what its message must say.
type Refusal = (Dialect, &'static str, Value, &'static str, &'static str);

fn refusals() -> Vec<Refusal> {
    use Dialect::{Anthropic, OllamaChat, OllamaGenerate, OpenAiChat, OpenAiResponses};
    let user = |content: Value| json!([{"role": "user", "content": content}]);
    let audio = json!([{"type": "text", "text": "a"}, {"type": "input_audio", "input_audio": {}}]);
    vec![
        (OpenAiChat, "n", json!(2), "n", "must be 1"),
        (OpenAiChat, "functions", json!([]), "functions", "send `tools`"),
        (OpenAiChat, "function_call", json!("auto"), "function_call", "send `tool_choice`"),
        (OpenAiChat, "modalities", json!(["text", "audio"]), "modalities", "audio"),
        (OpenAiChat, "messages", user(audio), "messages[0].content[1].type", "as text"),
        (OpenAiChat, "messages", user(json!(7)), "messages[0].content", "string or an array"),
        (OpenAiChat, "messages", json!("hi"), "messages", "an array"),
        (
            OpenAiChat,
            "messages",
            json!([{"role": "tool", "content": "x"}]),
            "messages[0].tool_call_id",
            "required",
        ),
        (OpenAiChat, "messages", json!([{"content": "x"}]), "messages[0].role", "required"),
        (OpenAiChat, "tool_choice", json!("any"), "tool_choice", "required"),
        (OpenAiChat, "max_tokens", json!(0), "max_tokens", "at least 1"),
        (OpenAiChat, "temperature", json!("hot"), "temperature", "a number"),
        (OpenAiChat, "response_format", json!({"type": "xml"}), "response_format.type", "json_schema"),
        (
            OpenAiResponses,
            "previous_response_id",
            json!("r"),
            "previous_response_id",
            "send the whole conversation",
        ),
        (OpenAiResponses, "conversation", json!("c"), "conversation", "send the whole conversation"),
        (OpenAiResponses, "background", json!(true), "background", "must be false"),
        (OpenAiResponses, "prompt", json!({"id": "p"}), "prompt", "`instructions`"),
        (OpenAiResponses, "tools", json!([{"type": "web_search"}]), "tools[0].type", "type function"),
        (
            OpenAiResponses,
            "input",
            json!([{"type": "item_reference", "id": "i"}]),
            "input[0].type",
            "the item itself",
        ),
        (OpenAiResponses, "input", json!([{"type": "mcp_call"}]), "input[0].type", "function_call_output"),
        (OpenAiResponses, "input", Value::Null, "input", "required"),
        (Anthropic, "max_tokens", Value::Null, "max_tokens", "required"),
        (Anthropic, "thinking", json!({"type": "enabled"}), "thinking.budget_tokens", "required"),
        (
            Anthropic,
            "messages",
            json!([{"role": "robot", "content": "x"}]),
            "messages[0].role",
            "user or assistant",
        ),
        (Anthropic, "tool_choice", json!({"type": "f"}), "tool_choice.type", "auto, any"),
        (
            OllamaChat,
            "messages",
            json!([{"role": "tool", "content": "x"}]),
            "messages[0].role",
            "no call before it",
        ),
        (OllamaChat, "format", json!("xml"), "format", "JSON schema"),
        (OllamaGenerate, "suffix", json!("x"), "suffix", "bare model"),
        (OllamaGenerate, "raw", json!(true), "raw", "bare model"),
        (OllamaGenerate, "context", json!([1, 2]), "context", "/api/chat"),
        (OllamaGenerate, "model", json!(null), "model", "required"),
    ]
}

#[test]
fn what_cannot_be_taken_is_refused_with_its_field_and_a_way_out() {
    for (dialect, key, value, field, hint) in refusals() {
        let (at, message) = refused(dialect, &with(dialect, key, value), Version::V2023_06_01);
        assert_eq!(at, field, "{dialect:?} {key}");
        assert!(message.contains(hint), "{dialect:?} {key}: {message}");
    }
}

#[test]
fn a_body_that_is_no_json_object_is_refused_whole() {
    let deep = "[".repeat(200);
    for body in ["", "{", "[]", "\"x\"", "{\"a\":\"\\ud800\"}", &deep] {
        let bad = Dialect::OpenAiChat.read(body.as_bytes(), Version::V2023_06_01).unwrap_err();
        assert_eq!(bad.field, None, "{body}");
        assert!(bad.message.starts_with("the body "), "{bad}");
    }
}

#[test]
fn each_version_of_anthropic_refuses_what_it_does_not_know() {
    let cited = |citations: Value| json!([{"role": "user", "content": [{"type": "text", "text": "x", "citations": citations}]}]);
    let document = |role: &str| json!([{"role": role, "content": [{"type": "document", "source": {}}]}]);
    let cases = [
        ("temperature", json!(0.5), Some("temperature")),
        ("top_p", json!(0.5), Some("top_p")),
        ("top_k", json!(5), Some("top_k")),
        ("temperature", Value::Null, None),
        ("messages", cited(json!([{"type": "char_location"}])), Some("messages[0].content[0].citations")),
        ("messages", cited(json!([])), None),
        ("messages", document("assistant"), Some("messages[0].content[0].type")),
        ("messages", document("user"), None),
    ];
    for (key, value, field) in cases {
        let body = with(Dialect::Anthropic, key, value);
        let bytes = body.to_string().into_bytes();
        assert!(Dialect::Anthropic.read(&bytes, Version::V2023_06_01).is_ok(), "{body}");
        let new = Dialect::Anthropic.read(&bytes, Version::V2026_10_21);
        assert_eq!(new.err().and_then(|bad| bad.field).as_deref(), field, "{body}");
    }
    for version in [Version::V2023_06_01, Version::V2026_10_21] {
        assert_eq!(Version::of(version.header()), Some(version));
    }
    assert_eq!(Version::of("2024-01-01"), None);
}

#[test]
fn a_json_answer_without_schema_is_not_asked_of_anthropic() {
    let mut body = with(Dialect::OpenAiChat, "response_format", json!({"type": "json_object"}));
    body["messages"] = json!([{"role": "user", "content": "x"}]);
    let ask = Dialect::OpenAiChat.read(body.to_string().as_bytes(), Version::V2023_06_01).unwrap();
    let bad = Dialect::Anthropic.write(&ask, "m", Version::V2023_06_01).unwrap_err();
    assert_eq!(bad.field.as_deref(), Some("response_format"));
    assert!(Dialect::OllamaChat.write(&ask, "m", Version::V2023_06_01).is_ok());
}

#[test]
fn an_image_by_its_address_and_an_empty_conversation_are_refused_by_targets() {
    let image = json!([{"type": "image_url", "image_url": {"url": "https://a/b.png"}}]);
    let body = with(Dialect::OpenAiChat, "messages", json!([{"role": "user", "content": image}]));
    let ask = Dialect::OpenAiChat.read(body.to_string().as_bytes(), Version::V2023_06_01).unwrap();
    let bad = Dialect::OllamaChat.write(&ask, "m", Version::V2023_06_01).unwrap_err();
    assert!(bad.message.contains("data: URL"), "{bad}");
    let empty = with(Dialect::OpenAiChat, "messages", json!([]));
    let ask = Dialect::OpenAiChat.read(empty.to_string().as_bytes(), Version::V2023_06_01).unwrap();
    for dialect in [Dialect::OpenAiChat, Dialect::Anthropic, Dialect::OllamaChat] {
        assert_eq!(dialect.write(&ask, "m", Version::V2023_06_01).unwrap_err().field.unwrap(), "messages");
    }
    for dialect in [Dialect::OpenAiResponses, Dialect::OllamaGenerate] {
        let ask = Dialect::OpenAiChat.read(body.to_string().as_bytes(), Version::V2023_06_01).unwrap();
        assert!(dialect.write(&ask, "m", Version::V2023_06_01).is_err());
    }
}

fn trouble(status: u16) -> Trouble<'static> {
    Trouble {
        status,
        code: "E006",
        cause: "llm.rate_limited",
        message: "slow \"down\"",
        correlation_id: "corr-1",
        field: Some("model"),
    }
}

#[test]
fn an_error_is_told_as_the_dialects_clients_know_it() {
    let ours = |mut error: Value| {
        error["hale_code"] = json!("E006");
        error["correlation_id"] = json!("corr-1");
        error
    };
    let body =
        |dialect: Dialect| serde_json::from_slice::<Value>(&dialect.error_body(&trouble(429))).unwrap();
    let openai = ours(
        json!({"message": "slow \"down\"", "type": "rate_limit_error", "param": "model", "code": "llm.rate_limited"}),
    );
    assert_eq!(body(Dialect::OpenAiChat), json!({"error": openai}));
    assert_eq!(body(Dialect::OpenAiResponses), json!({"error": openai}));
    let anthropic =
        ours(json!({"type": "rate_limit_error", "message": "slow \"down\"", "code": "llm.rate_limited"}));
    assert_eq!(
        body(Dialect::Anthropic),
        json!({"type": "error", "error": anthropic, "request_id": "corr-1"})
    );
    let ollama = ours(json!({"error": "slow \"down\"", "code": "llm.rate_limited"}));
    assert_eq!(body(Dialect::OllamaChat), ollama);
    assert_eq!(body(Dialect::OllamaGenerate), ollama);
}

#[test]
fn an_error_in_a_stream_is_a_frame_of_the_stream() {
    let event = |dialect: Dialect| String::from_utf8(dialect.error_event(&trouble(500))).unwrap();
    assert!(
        event(Dialect::OpenAiChat)
            .starts_with("data: {\"error\":{\"message\":\"slow \\\"down\\\"\",\"type\":\"server_error\"")
    );
    assert!(
        event(Dialect::OpenAiResponses)
            .starts_with("event: error\ndata: {\"type\":\"error\",\"code\":\"llm.rate_limited\"")
    );
    assert!(
        event(Dialect::Anthropic)
            .starts_with("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\"")
    );
    assert!(event(Dialect::OllamaChat).starts_with("{\"error\":\"slow"));
    for dialect in [Dialect::OpenAiChat, Dialect::OpenAiResponses, Dialect::Anthropic] {
        assert!(event(dialect).ends_with("}\n\n"));
        assert_eq!(dialect.stream_type(), "text/event-stream");
    }
    assert!(event(Dialect::OllamaGenerate).ends_with("}\n"));
    assert_eq!(Dialect::OllamaGenerate.stream_type(), "application/x-ndjson");
}

#[test]
fn every_status_has_the_type_that_its_dialect_gives_it() {
    let kinds = [
        (400, "invalid_request_error", "invalid_request_error"),
        (401, "authentication_error", "authentication_error"),
        (402, "invalid_request_error", "billing_error"),
        (403, "permission_error", "permission_error"),
        (404, "not_found_error", "not_found_error"),
        (409, "conflict_error", "conflict_error"),
        (413, "invalid_request_error", "request_too_large"),
        (422, "invalid_request_error", "invalid_request_error"),
        (429, "rate_limit_error", "rate_limit_error"),
        (500, "server_error", "api_error"),
        (502, "server_error", "api_error"),
        (503, "server_error", "overloaded_error"),
        (504, "timeout_error", "timeout_error"),
        (529, "server_error", "overloaded_error"),
    ];
    for (status, openai, anthropic) in kinds {
        let kind = |dialect: Dialect| {
            let body: Value = serde_json::from_slice(&dialect.error_body(&trouble(status))).unwrap();
            body["error"]["type"].as_str().unwrap().to_owned()
        };
        assert_eq!(
            (kind(Dialect::OpenAiChat).as_str(), kind(Dialect::Anthropic).as_str()),
            (openai, anthropic),
            "{status}"
        );
    }
}
