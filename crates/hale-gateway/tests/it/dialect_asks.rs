//! What clients ask, understood; and the same asked of providers.

use hale_gateway::dialect::ask::{Ask, Format, Image, Native, Part, Role, Thinking, Tool, ToolChoice, Turn};
use hale_gateway::dialect::{Dialect, Version, Written};
use serde_json::{Value, json};

const OLD: Version = Version::V2023_06_01;
const NEW: Version = Version::V2026_10_21;

fn read(dialect: Dialect, body: &Value) -> Ask {
    dialect.read(body.to_string().as_bytes(), OLD).unwrap()
}

fn write(dialect: Dialect, ask: &Ask, version: Version) -> (Value, Vec<&'static str>) {
    let Written { body, dropped } = dialect.write(ask, "m-2", version).unwrap();
    (serde_json::from_slice(&body).unwrap(), dropped)
}

fn text(text: &str) -> Part {
    Part::Text(text.to_owned())
}

fn schema() -> Value {
    json!({"type": "object", "properties": {"city": {"type": "string"}}})
}

/// A conversation that all chat dialects can tell: a picture, two calls at once, their results, the answer asked for.
fn conversation() -> Ask {
    let png = Image::Data { media_type: "image/png".to_owned(), base64: "iVBORw0KGgoAAA".to_owned() };
    let call = |id: &str, city: &str| Part::ToolUse {
        id: id.to_owned(),
        name: "weather".to_owned(),
        arguments: json!({"city": city}),
    };
    let result = |id: &str, said: &str| Part::ToolResult {
        id: id.to_owned(),
        parts: vec![text(said)],
        is_error: false,
    };
    let weather = Tool {
        name: "weather".to_owned(),
        description: Some("tells it".to_owned()),
        parameters: schema(),
        strict: None,
    };
    Ask {
        model: "m-1".to_owned(),
        system: vec!["be brief".to_owned()],
        turns: vec![
            Turn {
                role: Role::User,
                parts: vec![Part::Image(png), text("is it \u{1f327} here, \"or\" there?")],
            },
            Turn {
                role: Role::Assistant,
                parts: vec![text("I look."), call("c1", "Köln"), call("c2", "Oslo")],
            },
            Turn { role: Role::User, parts: vec![result("c1", "rain"), result("c2", "sun"), text("well?")] },
        ],
        tools: vec![weather],
        max_tokens: Some(100),
        temperature: Some(0.5),
        top_p: Some(0.9),
        stream: true,
        include_usage: true,
        ..Ask::default()
    }
}

fn chat_body() -> Value {
    let call = |id: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": "weather", "arguments": arguments}});
    json!({
        "model": "m-1",
        "messages": [
            {"role": "developer", "content": "be brief"},
            {"role": "user", "content": [
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgoAAA", "detail": "low"}},
                {"type": "text", "text": "is it \u{1f327} here, \"or\" there?"}]},
            {"role": "assistant", "content": "I look.", "tool_calls": [
                call("c1", "{\"city\": \"K\\u00f6ln\"}"), call("c2", "{\"city\":\"Oslo\"}")]},
            {"role": "tool", "tool_call_id": "c1", "content": "rain"},
            {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "sun"}]},
            {"role": "user", "content": "well?"},
        ],
        "tools": [{"type": "function", "function": {"name": "weather", "description": "tells it", "parameters": schema()}}],
        "max_completion_tokens": 100, "temperature": 0.5, "top_p": 0.9, "n": 1, "logit_bias": {"1": 2},
        "stream": true, "stream_options": {"include_usage": true}, "tool_choice": null, "stop": null, "user": null,
    })
}

fn responses_body() -> Value {
    let call = |id: &str, arguments: &str| json!({"type": "function_call", "id": "fc", "call_id": id, "name": "weather", "arguments": arguments});
    json!({
        "model": "m-1", "instructions": "be brief",
        "input": [
            {"role": "user", "content": [
                {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgoAAA", "detail": "auto"},
                {"type": "input_text", "text": "is it \u{1f327} here, \"or\" there?"}]},
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
                "content": [{"type": "output_text", "text": "I look.", "annotations": []}]},
            call("c1", "{\"city\":\"Köln\"}"), call("c2", "{\"city\":\"Oslo\"}"),
            {"type": "function_call_output", "call_id": "c1", "output": "rain"},
            {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "sun"}]},
            {"type": "message", "role": "user", "content": "well?"},
        ],
        "tools": [{"type": "function", "name": "weather", "description": "tells it", "parameters": schema(), "strict": null}],
        "max_output_tokens": 100, "temperature": 0.5, "top_p": 0.9, "stream": true,
        "store": true, "include": ["reasoning.encrypted_content"], "metadata": {"a": "b"}, "previous_response_id": null,
    })
}

fn anthropic_body() -> Value {
    let call = |id: &str, city: &str| json!({"type": "tool_use", "id": id, "name": "weather", "input": {"city": city}});
    json!({
        "model": "m-1", "system": [{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {"role": "user", "content": [
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgoAAA"}},
                {"type": "text", "text": "is it \u{1f327} here, \"or\" there?"}]},
            {"role": "assistant", "content": [{"type": "text", "text": "I look."}, call("c1", "Köln"), call("c2", "Oslo")]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "rain"},
                {"type": "tool_result", "tool_use_id": "c2", "content": [{"type": "text", "text": "sun"}]},
                {"type": "text", "text": "well?"}]},
        ],
        "tools": [{"name": "weather", "description": "tells it", "input_schema": schema()}],
        "max_tokens": 100, "temperature": 0.5, "top_p": 0.9, "stream": true,
    })
}

fn ollama_body() -> Value {
    let call = |city: &str| json!({"function": {"name": "weather", "arguments": {"city": city}}});
    json!({
        "model": "m-1",
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "is it \u{1f327} here, \"or\" there?", "images": ["iVBORw0KGgoAAA"]},
            {"role": "assistant", "content": "I look.", "tool_calls": [call("Köln"), call("Oslo")]},
            {"role": "tool", "content": "rain", "tool_name": "weather"},
            {"role": "tool", "content": "sun"},
            {"role": "user", "content": "well?"},
        ],
        "tools": [{"type": "function", "function": {"name": "weather", "description": "tells it", "parameters": schema()}}],
        "options": {"num_predict": 100, "temperature": 0.5, "top_p": 0.9, "num_ctx": 8192}, "keep_alive": "5m",
    })
}

#[test]
fn one_conversation_is_one_ask_in_every_dialect() {
    let merged = |mut ask: Ask| {
        ask.turns = ask.merged_turns();
        ask
    };
    let expected = conversation();
    assert_eq!(merged(read(Dialect::OpenAiChat, &chat_body())), expected);
    assert_eq!(merged(read(Dialect::OpenAiResponses, &responses_body())), expected);
    assert_eq!(merged(read(Dialect::Anthropic, &anthropic_body())), expected);
    // Without ids in the dialect they are made from positions; the rest is the same.
    let renamed = format!("{expected:?}").replace("\"c1\"", "\"call_2_0\"").replace("\"c2\"", "\"call_2_1\"");
    assert_eq!(format!("{:?}", merged(read(Dialect::OllamaChat, &ollama_body()))), renamed);
}

#[test]
fn a_provider_of_the_chat_dialect_gets_the_conversation() {
    let (body, dropped) = write(Dialect::OpenAiChat, &conversation(), OLD);
    let mut expected = chat_body();
    expected["model"] = json!("m-2");
    expected["messages"][0]["role"] = json!("system");
    expected["messages"][1]["content"][0]["image_url"].as_object_mut().unwrap().remove("detail");
    expected["messages"][2]["tool_calls"][0]["function"]["arguments"] = json!("{\"city\":\"Köln\"}");
    expected["messages"][4]["content"] = json!("sun");
    expected["max_tokens"] = json!(100);
    for key in ["n", "logit_bias", "tool_choice", "stop", "user", "max_completion_tokens"] {
        expected.as_object_mut().unwrap().remove(key);
    }
    assert_eq!((body, dropped), (expected, vec![]));
}

#[test]
fn a_provider_of_the_anthropic_dialect_gets_the_conversation_as_its_version_takes_it() {
    let mut expected = anthropic_body();
    expected["model"] = json!("m-2");
    expected["system"] = json!("be brief");
    expected["messages"][2]["content"][0]["content"] = json!([{"type": "text", "text": "rain"}]);
    let (body, dropped) = write(Dialect::Anthropic, &conversation(), OLD);
    assert_eq!((body, dropped), (expected.clone(), vec![]));
    for key in ["temperature", "top_p"] {
        expected.as_object_mut().unwrap().remove(key);
    }
    let (body, dropped) = write(Dialect::Anthropic, &conversation(), NEW);
    assert_eq!((&body, dropped), (&expected, vec!["temperature", "top_p"]));
    Dialect::Anthropic.read(body.to_string().as_bytes(), NEW).unwrap();
}

#[test]
fn a_provider_of_the_ollama_dialect_gets_the_conversation() {
    let mut expected = ollama_body();
    expected["model"] = json!("m-2");
    expected["stream"] = json!(true);
    expected["options"].as_object_mut().unwrap().remove("num_ctx");
    expected.as_object_mut().unwrap().remove("keep_alive");
    for (at, id) in [(0, "c1"), (1, "c2")] {
        expected["messages"][2]["tool_calls"][at]["id"] = json!(id);
        expected["messages"][3 + at]["tool_call_id"] = json!(id);
    }
    expected["messages"][4]["tool_name"] = json!("weather");
    assert_eq!(write(Dialect::OllamaChat, &conversation(), OLD), (expected, vec![]));
}

#[test]
fn anthropic_gets_turns_that_alternate_with_results_first_and_nothing_empty() {
    let result = |id: &str| Part::ToolResult { id: id.to_owned(), parts: vec![], is_error: true };
    let turn = |role, parts: Vec<Part>| Turn { role, parts };
    let ask = Ask {
        system: vec!["a".to_owned(), " ".to_owned(), "b".to_owned()],
        turns: vec![
            turn(Role::User, vec![text("one")]),
            turn(Role::Assistant, vec![text("")]),
            turn(Role::User, vec![text("two"), text(" \n")]),
            turn(Role::User, vec![text("three"), result("functions.f:0")]),
        ],
        ..Ask::default()
    };
    let block = |text: &str| json!({"type": "text", "text": text});
    let result =
        json!({"type": "tool_result", "tool_use_id": "functions_f_0", "content": [], "is_error": true});
    let expected = json!({
        "model": "m-2", "max_tokens": 4096, "system": [block("a"), block("b")],
        "messages": [{"role": "user", "content": [result, block("one"), block("two"), block("three")]}],
    });
    let (body, dropped) = write(Dialect::Anthropic, &ask, OLD);
    assert_eq!((body, dropped), (expected, vec![]));
}

#[test]
fn what_a_target_cannot_say_is_dropped_by_name() {
    let ask = Ask {
        turns: vec![Turn {
            role: Role::Assistant,
            parts: vec![
                Part::Reasoning { text: "hm".to_owned(), signature: None },
                Part::Redacted("x".to_owned()),
                text("a"),
            ],
        }],
        temperature: Some(1.5),
        top_k: Some(3),
        seed: Some(7),
        user: Some("u".to_owned()),
        thinking: Thinking::Budget(5000),
        ..Ask::default()
    };
    let (body, dropped) = write(Dialect::OpenAiChat, &ask, OLD);
    assert_eq!(dropped, ["reasoning", "thinking", "top_k"]);
    assert_eq!(body["reasoning_effort"], "medium");
    let (body, dropped) = write(Dialect::Anthropic, &ask, OLD);
    assert_eq!(dropped, ["reasoning", "seed", "temperature"]);
    assert_eq!((&body["temperature"], &body["thinking"]["budget_tokens"]), (&json!(1.0), &json!(5000)));
    let (_, dropped) = write(Dialect::Anthropic, &ask, NEW);
    assert_eq!(dropped, ["reasoning", "seed", "temperature", "top_k"]);
    let (body, dropped) = write(Dialect::OllamaChat, &ask, OLD);
    assert_eq!(dropped, ["reasoning", "user"]);
    assert_eq!((&body["think"], &body["options"]["top_k"]), (&json!(true), &json!(3)));
}

#[test]
fn images_in_results_are_told_to_chat_providers_as_words_of_the_user() {
    let image = Part::Image(Image::Url("https://a/b.png".to_owned()));
    let result = Part::ToolResult { id: "c1".to_owned(), parts: vec![text("see"), image], is_error: false };
    let ask = Ask { turns: vec![Turn { role: Role::User, parts: vec![result] }], ..Ask::default() };
    let (body, _) = write(Dialect::OpenAiChat, &ask, OLD);
    let expected = json!([
        {"role": "tool", "tool_call_id": "c1", "content": "see"},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a/b.png"}}]},
    ]);
    assert_eq!(body["messages"], expected);
}

#[test]
fn arguments_that_are_no_object_go_back_as_they_came_or_not_at_all() {
    let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"a\": "}});
    let empty = json!({"id": "d", "type": "function", "function": {"name": "g", "arguments": ""}});
    let body = json!({"model": "m", "messages": [{"role": "assistant", "tool_calls": [call, empty]}]});
    let ask = read(Dialect::OpenAiChat, &body);
    let (written, _) = write(Dialect::OpenAiChat, &ask, OLD);
    let calls = &written["messages"][0]["tool_calls"];
    assert_eq!(
        (&calls[0]["function"]["arguments"], &calls[1]["function"]["arguments"]),
        (&json!("{\"a\": "), &json!("{}"))
    );
    for dialect in [Dialect::Anthropic, Dialect::OllamaChat] {
        let bad = dialect.write(&ask, "m", OLD).unwrap_err();
        assert!(bad.message.contains("call of f are no JSON object"), "{bad}");
    }
}

#[test]
fn what_one_dialect_alone_can_say_goes_back_to_it_and_to_no_other() {
    let pdf = json!({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "AA"}});
    let search = json!({"type": "web_search_20250305", "name": "web_search"});
    let body = json!({"model": "m", "max_tokens": 5, "tools": [search],
        "messages": [{"role": "user", "content": [pdf]}]});
    let ask = read(Dialect::Anthropic, &body);
    assert_eq!(ask.native_tools, [Native { dialect: Dialect::Anthropic, value: search.clone() }]);
    let (written, _) = write(Dialect::Anthropic, &ask, OLD);
    assert_eq!((&written["messages"][0]["content"][0], &written["tools"][0]), (&pdf, &search));
    let bad = Dialect::OpenAiChat.write(&ask, "m", OLD).unwrap_err();
    assert_eq!(bad.field.as_deref(), Some("messages"));
    assert!(bad.message.contains("document"), "{bad}");
    assert!(Dialect::OllamaChat.write(&ask, "m", OLD).is_err());
}

#[test]
fn a_generate_request_is_a_chat_of_one_turn() {
    let body = json!({"model": "m", "prompt": "hi", "system": "s", "images": ["/9j/AA"], "format": "json",
        "options": {"stop": ["x"], "seed": 3, "top_k": 4, "num_predict": -1}, "think": "low"});
    let jpeg = Image::Data { media_type: "image/jpeg".to_owned(), base64: "/9j/AA".to_owned() };
    let expected = Ask {
        model: "m".to_owned(),
        system: vec!["s".to_owned()],
        turns: vec![Turn { role: Role::User, parts: vec![Part::Image(jpeg), text("hi")] }],
        top_k: Some(4),
        stop: vec!["x".to_owned()],
        seed: Some(3),
        format: Format::JsonObject,
        reasoning_effort: Some("low".to_owned()),
        stream: true,
        include_usage: true,
        ..Ask::default()
    };
    assert_eq!(read(Dialect::OllamaGenerate, &body), expected);
    let whole = read(Dialect::OllamaGenerate, &json!({"model": "m", "prompt": "", "stream": false}));
    assert_eq!((whole.stream, whole.turns), (false, vec![]));
}

#[test]
fn choices_of_tools_and_formats_are_known_under_all_their_names() {
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    let choices = [
        (json!("auto"), ToolChoice::Auto),
        (json!("none"), ToolChoice::None),
        (json!("required"), ToolChoice::Required),
        (json!({"type": "function", "function": {"name": "f"}}), ToolChoice::Named("f".to_owned())),
    ];
    for (said, choice) in choices {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}], "tools": tools,
            "tool_choice": said, "parallel_tool_calls": false, "stop": "end",
            "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"a": 1}, "strict": true}}});
        let ask = read(Dialect::OpenAiChat, &body);
        let format = Format::JsonSchema { name: "n".to_owned(), schema: json!({"a": 1}), strict: Some(true) };
        assert_eq!((&ask.tool_choice, ask.parallel_tools, &ask.format), (&choice, Some(false), &format));
        assert_eq!(ask.stop, ["end"]);
        let (chat, _) = write(Dialect::OpenAiChat, &ask, OLD);
        assert_eq!(read(Dialect::OpenAiChat, &chat).tool_choice, choice);
        let (body, _) = write(Dialect::Anthropic, &ask, OLD);
        assert_eq!(body["output_config"]["format"], json!({"type": "json_schema", "schema": {"a": 1}}));
        let back = read(Dialect::Anthropic, &body);
        assert_eq!((back.tool_choice, back.stop), (choice.clone(), ask.stop.clone()));
        assert_eq!(back.parallel_tools, (choice != ToolChoice::None).then_some(false));
        // Ollama cannot be made to call a tool; without tools it calls none.
        match (Dialect::OllamaChat.write(&ask, "m", OLD), &choice) {
            (Err(bad), ToolChoice::Required | ToolChoice::Named(_)) => {
                assert_eq!(bad.field.unwrap(), "tool_choice")
            }
            (Ok(written), ToolChoice::Auto | ToolChoice::None) => {
                let body: Value = serde_json::from_slice(&written.body).unwrap();
                assert_eq!(body.get("tools").is_some(), choice == ToolChoice::Auto);
                assert_eq!(body["format"], json!({"a": 1}));
            }
            (written, _) => panic!("{choice:?}: {written:?}"),
        }
    }
}

#[test]
fn the_limit_of_tokens_has_the_name_that_the_model_knows() {
    let ask = Ask { max_tokens: Some(9), ..conversation() };
    let cases = [
        ("gpt-4o", "max_tokens"),
        ("gpt-5.1-mini", "max_completion_tokens"),
        ("openai/o3", "max_completion_tokens"),
        ("gpt-oss:20b", "max_tokens"),
        ("olmo", "max_tokens"),
        ("llama3", "max_tokens"),
    ];
    for (model, key) in cases {
        let body: Value =
            serde_json::from_slice(&Dialect::OpenAiChat.write(&ask, model, OLD).unwrap().body).unwrap();
        let keys: Vec<_> = ["max_tokens", "max_completion_tokens"]
            .into_iter()
            .filter(|key| body.get(key).is_some())
            .collect();
        assert_eq!(keys, [key], "{model}");
    }
}

#[test]
fn a_body_for_a_provider_of_its_own_dialect_passes_as_it_is() {
    let pass = |dialect: Dialect, body: &str| {
        dialect.pass(body.as_bytes(), "m\"2").map(|body| String::from_utf8(body).unwrap())
    };
    let body = r#" {"x": 1e400, "model": "a", "messages": [ {"c": "\u00e9\ud800"} ], "stream":true, "big":123456789012345678901234567890} "#;
    let expected = r#"{"model":"m\"2","x":1e400,"messages":[ {"c": "\u00e9\ud800"} ],"stream":true,"big":123456789012345678901234567890}"#;
    assert_eq!(pass(Dialect::Anthropic, body).unwrap(), expected);
    let counted =
        expected.strip_suffix('}').unwrap().to_owned() + r#","stream_options":{"include_usage":true}}"#;
    assert_eq!(pass(Dialect::OpenAiChat, body).unwrap(), counted);
    let options = r#"{"model":"a","stream":true,"stream_options":{"include_usage":false,"y":[1]}}"#;
    let expected = r#"{"model":"m\"2","stream":true,"stream_options":{"include_usage":true,"y":[1]}}"#;
    assert_eq!(pass(Dialect::OpenAiChat, options).unwrap(), expected);
    let whole = r#"{"model":"a","stream":false,"stream_options":null}"#;
    assert_eq!(
        pass(Dialect::OpenAiChat, whole).unwrap(),
        r#"{"model":"m\"2","stream":false,"stream_options":null}"#
    );
    assert_eq!(pass(Dialect::OpenAiChat, r#"{"a":1,"b":2,"\u0061":3}"#).unwrap_err().field.unwrap(), "a");
    for body in ["", "[]", "{\"a\":}"] {
        assert_eq!(pass(Dialect::OpenAiChat, body).unwrap_err().field, None);
    }
}
