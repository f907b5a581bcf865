//! Streams as they are on the wire: what clients get byte by byte, and what real providers send.

use crate::dialect_answers::{about, arguments, call, frames, stream, text, tokens};
use hale_gateway::dialect::event::{Event, Stop, Usage};
use hale_gateway::dialect::reader::{Reader, Unreadable, read_whole};
use hale_gateway::dialect::writer::Writer;
use hale_gateway::dialect::{About, Dialect};
use serde_json::{Value, json};

/// The events of these frames.
fn read(dialect: Dialect, data: &[&str]) -> Result<Vec<Event>, Unreadable> {
    let mut reader = Reader::of(dialect);
    let mut events = Vec::new();
    for data in data {
        events.extend(reader.event(None, data)?);
    }
    Ok(events)
}

/// The events after the start.
fn pieces(dialect: Dialect, data: &[&str]) -> Vec<Event> {
    read(dialect, data).unwrap().split_off(1)
}

fn stop(stop: Stop) -> Event {
    Event::Stop(stop)
}

fn short() -> Vec<Event> {
    vec![Event::Start { id: None, model: None }, text("hé\n"), stop(Stop::End), tokens(4, 2)]
}

#[test]
fn a_chat_stream_is_exactly_this() {
    let chunk = |rest: &str| {
        format!(
            "data: {{\"id\":\"resp_1\",\"object\":\"chat.completion.chunk\",\"created\":1790000000,\"model\":\"m-1\",{rest}}}\n\n"
        )
    };
    let choice = |delta: &str, reason: &str| {
        format!(
            "\"choices\":[{{\"index\":0,\"delta\":{delta},\"logprobs\":null,\"finish_reason\":{reason}}}]"
        )
    };
    let usage = "\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":2,\"total_tokens\":6,\"prompt_tokens_details\":{\"cached_tokens\":2}}";
    let with_null = |choice: String| chunk(&format!("{choice},\"usage\":null"));
    let expected = [
        with_null(choice("{\"role\":\"assistant\",\"content\":\"\"}", "null")),
        with_null(choice("{\"content\":\"hé\\n\"}", "null")),
        with_null(choice("{}", "\"stop\"")),
        chunk(&format!("\"choices\":[],{usage}")),
        "data: [DONE]\n\n".to_owned(),
    ];
    assert_eq!(stream(Dialect::OpenAiChat, &short()), expected.concat());
    // Who did not ask for usage gets none.
    let mut writer = Writer::new(Dialect::OpenAiChat, About { include_usage: false, ..about() });
    let mut out = Vec::new();
    short().iter().for_each(|event| writer.event(event, &mut out));
    writer.finish(&mut out);
    let out = String::from_utf8(out).unwrap();
    assert!(!out.contains("usage") && out.ends_with("[DONE]\n\n"), "{out}");
}

#[test]
fn an_anthropic_stream_is_exactly_this() {
    let events = [
        Event::Start { id: None, model: None },
        tokens(4, 0),
        text("hé\n"),
        call(0, "f"),
        arguments(0, "{}"),
        stop(Stop::ToolUse),
        tokens(4, 2),
    ];
    let expected = "\
event: message_start
data: {\"type\":\"message_start\",\"message\":{\"id\":\"resp_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m-1\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":2,\"output_tokens\":0,\"cache_read_input_tokens\":2}}}

event: content_block_start
data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}

event: content_block_delta
data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hé\\n\"}}

event: content_block_stop
data: {\"type\":\"content_block_stop\",\"index\":0}

event: content_block_start
data: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"tool_use\",\"id\":\"c0\",\"name\":\"f\",\"input\":{}}}

event: content_block_delta
data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{}\"}}

event: content_block_stop
data: {\"type\":\"content_block_stop\",\"index\":1}

event: message_delta
data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\",\"stop_sequence\":null},\"usage\":{\"input_tokens\":2,\"output_tokens\":2,\"cache_read_input_tokens\":2}}

event: message_stop
data: {\"type\":\"message_stop\"}

";
    assert_eq!(stream(Dialect::Anthropic, &events), expected);
}

#[test]
fn ollama_streams_are_exactly_this() {
    let head = "{\"model\":\"m-1\",\"created_at\":\"2026-09-21T14:13:20.000Z\",";
    let counts = "\"total_duration\":0,\"load_duration\":0,\"prompt_eval_count\":4,\"prompt_eval_duration\":0,\"eval_count\":2,\"eval_duration\":0}\n";
    let expected = [
        format!("{head}\"message\":{{\"role\":\"assistant\",\"content\":\"hé\\n\"}},\"done\":false}}\n"),
        format!(
            "{head}\"message\":{{\"role\":\"assistant\",\"content\":\"\"}},\"done\":true,\"done_reason\":\"stop\",{counts}"
        ),
    ];
    assert_eq!(stream(Dialect::OllamaChat, &short()), expected.concat());
    let expected = [
        format!("{head}\"response\":\"hé\\n\",\"done\":false}}\n"),
        format!("{head}\"response\":\"\",\"done\":true,\"done_reason\":\"stop\",{counts}"),
    ];
    assert_eq!(stream(Dialect::OllamaGenerate, &short()), expected.concat());
}

#[test]
fn a_responses_stream_adds_tells_and_ends_every_item() {
    let events = [
        Event::Reasoning("hm".to_owned()),
        text("a"),
        text("b"),
        Event::Refusal("no".to_owned()),
        call(0, "f"),
        arguments(0, "{}"),
        stop(Stop::ToolUse),
        tokens(4, 2),
    ];
    let frames = frames(Dialect::OpenAiResponses, &stream(Dialect::OpenAiResponses, &events));
    let values: Vec<Value> = frames.iter().map(|(_, data)| serde_json::from_str(data).unwrap()).collect();
    let told: Vec<String> = values
        .iter()
        .map(|value| {
            let kind = value["type"].as_str().unwrap().trim_start_matches("response.");
            match value.get("output_index") {
                Some(at) => format!("{at} {kind}"),
                None => kind.to_owned(),
            }
        })
        .collect();
    let expected = [
        "created",
        "in_progress",
        "0 output_item.added",
        "0 reasoning_summary_part.added",
        "0 reasoning_summary_text.delta",
        "0 reasoning_summary_text.done",
        "0 reasoning_summary_part.done",
        "0 output_item.done",
        "1 output_item.added",
        "1 content_part.added",
        "1 output_text.delta",
        "1 output_text.delta",
        "1 output_text.done",
        "1 content_part.done",
        "1 content_part.added",
        "1 refusal.delta",
        "1 refusal.done",
        "1 content_part.done",
        "1 output_item.done",
        "2 output_item.added",
        "2 function_call_arguments.delta",
        "2 function_call_arguments.done",
        "2 output_item.done",
        "completed",
    ];
    assert_eq!(told, expected);
    for (at, ((name, _), value)) in frames.iter().zip(&values).enumerate() {
        assert_eq!((&value["type"], &value["sequence_number"]), (&json!(name), &json!(at)));
    }
    // The items as they ended are the output of the response, and no two share an id.
    let ended: Vec<&Value> = values
        .iter()
        .filter(|value| value["type"] == "response.output_item.done")
        .map(|value| &value["item"])
        .collect();
    let response = &values.last().unwrap()["response"];
    assert_eq!(response["output"].as_array().unwrap().iter().collect::<Vec<_>>(), ended);
    let ids: Vec<&str> = ended.iter().map(|item| item["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["rs_1_0", "msg_1_1", "fc_1_2"]);
    assert_eq!(ended[1]["content"][0]["text"], "ab");
    assert_eq!((&response["status"], &response["usage"]["total_tokens"]), (&json!("completed"), &json!(6)));
}

#[test]
fn mixed_pieces_of_parallel_calls_keep_to_their_calls() {
    let events = [
        call(0, "f"),
        arguments(0, "{\"a\":"),
        call(1, "g"),
        arguments(1, "{}"),
        arguments(0, "1}"),
        call(2, "h"),
        arguments(2, "{}"),
        stop(Stop::ToolUse),
    ];
    let frames = frames(Dialect::Anthropic, &stream(Dialect::Anthropic, &events));
    let told: Vec<String> = frames
        .iter()
        .filter_map(|(name, data)| {
            let value: Value = serde_json::from_str(data).unwrap();
            Some(format!("{} {}", name.strip_prefix("content_block_")?, value["index"]))
        })
        .collect();
    // Two are open while both grow; what is whole is ended before the next begins.
    let expected = [
        "start 0", "delta 0", "start 1", "delta 1", "delta 0", "stop 0", "stop 1", "start 2", "delta 2",
        "stop 2",
    ];
    assert_eq!(told, expected);
}

#[test]
fn what_a_client_cannot_hear_still_parts_what_stands_around_it() {
    let sealed = || Event::Redacted("zz".to_owned());
    let thought = |text: &str| Event::Reasoning(text.to_owned());
    let signed = || Event::ReasoningSignature("sig".to_owned());
    let events =
        [thought("a"), signed(), thought("b"), signed(), text("c"), sealed(), text("d"), stop(Stop::End)];
    let count = |dialect: Dialect, name: &str| {
        frames(dialect, &stream(dialect, &events)).iter().filter(|(frame, _)| frame == name).count()
    };
    assert_eq!(count(Dialect::Anthropic, "content_block_start"), 5);
    assert_eq!(count(Dialect::Anthropic, "content_block_stop"), 5);
    assert_eq!(count(Dialect::OpenAiResponses, "response.output_item.done"), 4);
    let last = frames(Dialect::OpenAiResponses, &stream(Dialect::OpenAiResponses, &events)).pop().unwrap().1;
    let last: Value = serde_json::from_str(&last).unwrap();
    assert_eq!(last["response"]["output"].as_array().unwrap().len(), 4);
}

#[test]
fn chat_servers_are_understood_with_all_their_ways() {
    use Dialect::OpenAiChat;
    let delta = |delta: &str| format!("{{\"choices\":[{{\"delta\":{delta}}}]}}");
    let calls = |calls: &str| delta(&format!("{{\"tool_calls\":[{calls}]}}"));
    let done = "{\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}";
    // `stop` though tools are called; pieces in any order; a call without a word of arguments.
    let mixed = [
        calls(r#"{"index":0,"id":"c0","function":{"name":"f","arguments":""}}"#),
        calls(r#"{"index":1,"id":"c1","function":{"name":"g"}}"#),
        calls(r#"{"index":0,"function":{"arguments":"{}"}}"#),
    ];
    let data: Vec<&str> = mixed.iter().map(String::as_str).chain([done]).collect();
    assert_eq!(
        pieces(OpenAiChat, &data),
        [call(0, "f"), call(1, "g"), arguments(0, "{}"), stop(Stop::ToolUse)]
    );
    // One index for all calls, told apart by ids; a new id in every piece of one call; no index at all.
    let whole = |id: &str, name: &str| {
        format!("{{\"index\":0,\"id\":\"{id}\",\"function\":{{\"name\":\"{name}\",\"arguments\":\"{{}}\"}}}}")
    };
    let same = calls(&format!("{},{}", whole("c0", "f"), whole("c1", "f")));
    let expected = [call(0, "f"), arguments(0, "{}"), call(1, "f"), arguments(1, "{}")];
    assert_eq!(pieces(OpenAiChat, &[&same]), expected);
    let fresh = [
        calls(r#"{"index":0,"id":"c0","function":{"name":"f","arguments":"{"}}"#),
        calls(r#"{"index":0,"id":"other","function":{"arguments":"}"}}"#),
    ];
    assert_eq!(
        pieces(OpenAiChat, &[&fresh[0], &fresh[1]]),
        [call(0, "f"), arguments(0, "{"), arguments(0, "}")]
    );
    let bare = calls(
        r#"{"id":"c0","function":{"name":"f","arguments":"{}"}},{"id":"c1","function":{"name":"f","arguments":"{}"}}"#,
    );
    assert_eq!(pieces(OpenAiChat, &[&bare]), expected);
    // Reasoning under both names, and nulls.
    let thoughts = [
        delta(r#"{"role":"assistant","content":null,"reasoning_content":"a"}"#),
        delta(r#"{"reasoning":"b","content":""}"#),
    ];
    let expected = [Event::Reasoning("a".to_owned()), Event::Reasoning("b".to_owned())];
    assert_eq!(pieces(OpenAiChat, &[&thoughts[0], &thoughts[1]]), expected);
    // No reason to stop but the end; usage after the stop; nothing after the end.
    assert_eq!(
        pieces(OpenAiChat, &[&delta("{}"), "[DONE]", &delta("{\"content\":\"late\"}")]),
        [stop(Stop::End)]
    );
    let usage = r#"{"choices":[],"usage":{"prompt_tokens":4,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":2}}}"#;
    assert_eq!(pieces(OpenAiChat, &[done, usage, "[DONE]"]), [stop(Stop::End), tokens(4, 2)]);
}

#[test]
fn an_anthropic_provider_is_understood_with_what_it_adds() {
    let data = [
        r#"{"type":"message_start","message":{"id":"msg_9","model":"c","usage":{"input_tokens":2,"cache_creation_input_tokens":3,"cache_read_input_tokens":5,"output_tokens":1}}}"#,
        r#"{"type":"ping"}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"server_tool_use","id":"s","name":"web_search","input":{}}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{}"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"c0","name":"f","input":{}}}"#,
        r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":""}}"#,
        r#"{"type":"content_block_stop","index":1}"#,
        r#"{"type":"content_block_start","index":2,"content_block":{"type":"text","text":"","citations":null}}"#,
        r#"{"type":"content_block_delta","index":2,"delta":{"type":"citations_delta","citation":{}}}"#,
        r#"{"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"\ud83c\udf27"}}"#,
        r#"{"type":"later_days","index":2}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":7}}"#,
        r#"{"type":"message_stop"}"#,
    ];
    let usage =
        |output_tokens| Event::Usage(Usage { input_tokens: 10, output_tokens, cached_input_tokens: Some(5) });
    let expected = [
        Event::Start { id: Some("msg_9".to_owned()), model: Some("c".to_owned()) },
        usage(1),
        call(0, "f"),
        arguments(0, "{}"),
        text("\u{1f327}"),
        usage(7),
        stop(Stop::ToolUse),
    ];
    assert_eq!(read(Dialect::Anthropic, &data).unwrap(), expected);
    // Some gateways end without a reason.
    assert_eq!(read(Dialect::Anthropic, &[data[13]]).unwrap(), [stop(Stop::End)]);
    let reasons = [
        ("end_turn", Stop::End),
        ("max_tokens", Stop::Length),
        ("model_context_window_exceeded", Stop::Length),
        ("stop_sequence", Stop::StopSequence(Some("x".to_owned()))),
        ("refusal", Stop::Refusal),
        ("pause_turn", Stop::Other("pause_turn".to_owned())),
    ];
    for (reason, expected) in reasons {
        let delta = json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": "x"}})
            .to_string();
        assert_eq!(read(Dialect::Anthropic, &[&delta]).unwrap(), [stop(expected)]);
    }
}

#[test]
fn ollama_calls_without_ids_get_their_own() {
    let line = r#"{"model":"l","message":{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{}}}]},"done":false}"#;
    let last = r#"{"model":"l","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","prompt_eval_count":4,"eval_count":2}"#;
    let mut reader = Reader::of(Dialect::OllamaChat).with_call_ids("call_r7");
    let mut events = Vec::new();
    for line in [line, line, "", last, line] {
        events.extend(reader.event(None, line).unwrap());
    }
    assert!(reader.is_done());
    let named = |index| Event::ToolStart { index, id: format!("call_r7_{index}"), name: "f".to_owned() };
    let usage = Event::Usage(Usage { input_tokens: 4, output_tokens: 2, cached_input_tokens: None });
    let expected = [named(0), arguments(0, "{}"), named(1), arguments(1, "{}"), usage, stop(Stop::ToolUse)];
    assert_eq!(events[1..], expected);
}

#[test]
fn errors_of_providers_are_events_with_their_status() {
    let cases = [
        (
            Dialect::OpenAiChat,
            r#"{"error":{"message":"slow","type":"rate_limit_error","code":null}}"#,
            Some(429),
            "rate_limit_error",
        ),
        (
            Dialect::OpenAiChat,
            r#"{"error":{"message":"slow","type":"invalid_request_error","code":"context_length_exceeded"}}"#,
            Some(400),
            "context_length_exceeded",
        ),
        (
            Dialect::Anthropic,
            r#"{"type":"error","error":{"type":"rate_limit_error","code":"llm.rate_limited","message":"slow"}}"#,
            Some(429),
            "llm.rate_limited",
        ),
        (
            Dialect::OpenAiChat,
            r#"{"error":{"message":"slow","type":"","code":503}}"#,
            Some(503),
            "server_error",
        ),
        (Dialect::OpenAiChat, r#"{"error":{"message":"slow","type":"odd"}}"#, None, "odd"),
        (
            Dialect::OpenAiResponses,
            r#"{"type":"error","code":"rate_limit_exceeded","message":"slow"}"#,
            Some(429),
            "rate_limit_exceeded",
        ),
        (
            Dialect::OpenAiResponses,
            r#"{"type":"response.failed","response":{"error":{"code":"server_error","message":"slow"}}}"#,
            Some(500),
            "server_error",
        ),
        (
            Dialect::Anthropic,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"slow"}}"#,
            Some(529),
            "overloaded_error",
        ),
        (Dialect::OllamaChat, r#"{"error":"slow"}"#, Some(500), "server_error"),
    ];
    for (dialect, data, status, kind) in cases {
        let mut reader = Reader::of(dialect);
        let events = reader.event(None, data).unwrap();
        let expected = Event::Error { status, kind: kind.to_owned(), message: "slow".to_owned() };
        assert_eq!((events, reader.is_done()), (vec![expected], true), "{data}");
    }
}

#[test]
fn what_is_no_answer_is_unreadable() {
    for dialect in crate::dialect_answers::ALL {
        assert!(matches!(read(dialect, &["{\"a\":"]), Err(Unreadable::Json { .. })), "{dialect:?}");
        assert!(matches!(read(dialect, &["[1]"]), Err(Unreadable::Shape { .. })), "{dialect:?}");
        for body in ["", "<html>", "{}", "[]", "{\"object\":\"list\",\"data\":[]}"] {
            assert!(read_whole(dialect, body.as_bytes()).is_err(), "{dialect:?} {body}");
        }
    }
    assert!(matches!(read(Dialect::OpenAiChat, &["[DONE]"]), Err(Unreadable::Shape { .. })));
    let piece = |index: usize, name: &str| {
        json!({"choices": [{"delta": {"tool_calls": [{"index": index, "id": format!("c{index}"), "function": {"name": name}}]}}]}).to_string()
    };
    let many: Vec<String> = (0..129).map(|index| piece(index, "f")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert!(read(Dialect::OpenAiChat, &many[..128]).is_ok());
    assert!(matches!(read(Dialect::OpenAiChat, &many), Err(Unreadable::TooManyCalls { max: 128 })));
    let nameless = [&piece(0, "") as &str, "{\"choices\":[{\"finish_reason\":\"tool_calls\"}]}"];
    assert!(matches!(read(Dialect::OpenAiChat, &nameless), Err(Unreadable::Nameless)));
}
