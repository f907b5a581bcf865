//! Calls between dialects: every client against every provider, whole and in pieces, well and badly.

use crate::relay::{heard, impatient, incoming};
use crate::script::{Act, HELLO, STOP, Server, USAGE, answer, call, events, gateway, request, send};
use hale_gateway::call::Route;
use hale_gateway::calls::Outcome;
use hale_gateway::dialect::{Dialect, Version};
use hale_gateway::provider::{Finish, ToolSpec, unheard};
use hale_gateway::relay::{Incoming, Look};
use hale_gateway::site::Speaks;
use hale_gateway::{Message, ProviderConfig};
use serde_json::{Value, json};

const SSE: &str = "content-type: text/event-stream\r\n";
const NDJSON: &str = "content-type: application/x-ndjson\r\n";
const SPEAKS: [Speaks; 4] = [
    Speaks::OpenAi,
    Speaks::Anthropic(Version::V2023_06_01),
    Speaks::Anthropic(Version::V2026_10_21),
    Speaks::Ollama,
];
const CLIENTS: [Dialect; 5] = [
    Dialect::OpenAiChat,
    Dialect::OpenAiResponses,
    Dialect::Anthropic,
    Dialect::OllamaChat,
    Dialect::OllamaGenerate,
];

fn named(events: &[Value]) -> String {
    events
        .iter()
        .map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap()))
        .collect()
}

fn anthropic_start() -> Value {
    json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "m",
        "content": [], "stop_reason": null, "usage": {"input_tokens": 7, "output_tokens": 1}}})
}

fn anthropic_hello() -> Vec<Value> {
    vec![
        anthropic_start(),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "ping"}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hello"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}}),
        json!({"type": "message_stop"}),
    ]
}

/// A good stream of a provider.
fn good(speaks: Speaks) -> Act {
    match speaks {
        Speaks::OpenAi => events(&[HELLO, STOP, USAGE, "[DONE]"]),
        Speaks::Anthropic(_) => answer("200 OK", SSE, &named(&anthropic_hello())),
        Speaks::Ollama => {
            let lines = [
                json!({"model": "m", "message": {"role": "assistant", "content": "hello"}, "done": false}),
                json!({"model": "m", "message": {"role": "assistant", "content": ""}, "done": true,
                    "done_reason": "stop", "prompt_eval_count": 7, "eval_count": 3}),
            ];
            answer("200 OK", NDJSON, &lines.map(|line| format!("{line}\n")).concat())
        }
    }
}

/// The beginning of one, and then this act.
fn begun(speaks: Speaks) -> String {
    match speaks {
        Speaks::OpenAi => format!("data: {HELLO}\n\n"),
        Speaks::Anthropic(_) => named(&anthropic_hello()[..4]),
        Speaks::Ollama => {
            "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"hello\"},\"done\":false}\n"
                .to_owned()
        }
    }
}

fn speaking(config: ProviderConfig, speaks: Speaks) -> ProviderConfig {
    ProviderConfig { speaks, ..impatient(config) }
}

fn asking(dialect: Dialect, streamed: bool, fallback: &[&str]) -> Incoming {
    let body = match dialect {
        Dialect::OpenAiResponses => json!({"model": "x", "stream": streamed, "input": "hi"}),
        Dialect::OllamaGenerate => json!({"model": "x", "stream": streamed, "prompt": "hi"}),
        _ => {
            json!({"model": "x", "stream": streamed, "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]})
        }
    };
    let look = Look { model: "x".to_owned(), streamed, tells_usage: true };
    Incoming { dialect, body: body.to_string().into(), look, ..incoming(streamed, fallback) }
}

/// The text that a client finds in its own dialect, and whether the answer has its good end.
fn said(dialect: Dialect, streamed: bool, told: &str) -> (String, bool) {
    let data = |line: &str| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok();
    let text = |value: &Value, path: &str| {
        value.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    if !streamed {
        let whole: Value = serde_json::from_str(told).unwrap();
        let path = match dialect {
            Dialect::OpenAiChat => "/choices/0/message/content",
            Dialect::OpenAiResponses => "/output/0/content/0/text",
            Dialect::Anthropic => "/content/0/text",
            Dialect::OllamaChat => "/message/content",
            Dialect::OllamaGenerate => "/response",
        };
        return (text(&whole, path), true);
    }
    let (path, end) = match dialect {
        Dialect::OpenAiChat => ("/choices/0/delta/content", "data: [DONE]\n\n"),
        Dialect::OpenAiResponses => ("/delta", "event: response.completed\n"),
        Dialect::Anthropic => ("/delta/text", "event: message_stop\n"),
        Dialect::OllamaChat => ("/message/content", "\"done\":true"),
        Dialect::OllamaGenerate => ("/response", "\"done\":true"),
    };
    let lines = told.lines().filter_map(|line| match dialect {
        Dialect::OllamaChat | Dialect::OllamaGenerate => serde_json::from_str::<Value>(line).ok(),
        _ => data(line),
    });
    (lines.map(|value| text(&value, path)).collect(), told.contains(end))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_client_has_the_answer_of_every_provider_in_its_own_dialect() {
    for speaks in SPEAKS {
        for dialect in CLIENTS {
            for streamed in [false, true] {
                let cell = format!("{dialect:?} of {speaks:?} streamed={streamed}");
                let is_same = speaks.dialect() == dialect && !streamed && dialect != Dialect::OllamaChat;
                // A provider that is asked in the client's own dialect answers whole as it was asked.
                let same_version = speaks != Speaks::Anthropic(Version::V2026_10_21);
                let whole = match speaks {
                    Speaks::OpenAi => {
                        r#"{"choices":[{"message":{"content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":3}}"#
                    }
                    _ => {
                        r#"{"type":"message","role":"assistant","content":[{"type":"text","text":"hello"}],"stop_reason":"end_turn","usage":{"input_tokens":7,"output_tokens":3}}"#
                    }
                };
                let act = if is_same && same_version {
                    answer("200 OK", "content-type: application/json\r\n", whole)
                } else {
                    good(speaks)
                };
                let server = Server::play(vec![act]).await;
                let gateway = gateway(vec![speaking(server.config("a"), speaks)]);
                let told = heard(&gateway, &asking(dialect, streamed, &[])).await;
                let told = told.unwrap_or_else(|refused| panic!("{cell}: {refused:?}"));
                assert_eq!(said(dialect, streamed, &told), ("hello".to_owned(), true), "{cell}: {told}");
                let record = gateway.calls().last(1).pop().unwrap();
                assert_eq!(record.outcome, Outcome::Answered, "{cell}");
                let usage = record.usage.unwrap_or_else(|| panic!("{cell}: no usage"));
                assert_eq!((usage.input_tokens, usage.output_tokens), (7, 3), "{cell}");
                let sent = server.requests().remove(0);
                let path = match speaks {
                    Speaks::OpenAi => "POST /v1/chat/completions ",
                    Speaks::Anthropic(_) => "POST /v1/messages ",
                    Speaks::Ollama => "POST /v1/chat ",
                };
                assert!(sent.starts_with(path), "{cell}: {sent}");
                let version =
                    speaks.version().map(|version| format!("anthropic-version: {}\r\n", version.header()));
                assert!(version.is_none_or(|version| sent.contains(&version)), "{cell}: {sent}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_after_the_first_byte_is_an_error_event_of_the_clients_dialect() {
    for speaks in SPEAKS {
        let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\n\r\n";
        let reported = match speaks {
            Speaks::OpenAi => "data: {\"error\":{\"code\":503,\"message\":\"m\"}}\n\n",
            Speaks::Anthropic(_) => {
                "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"m\"}}\n\n"
            }
            Speaks::Ollama => "{\"error\":\"m\"}\n",
        };
        let acts = [
            ("the end", send(format!("{head}{}", begun(speaks))), "llm.stream_cut"),
            ("silence", Act::Hang(format!("{head}{}", begun(speaks)).into()), "llm.stalled"),
            ("an error", send(format!("{head}{}{reported}", begun(speaks))), "llm.server_error"),
            ("garbage", send(format!("{head}{}data: {{no\n\n", begun(speaks))), "llm.garbled"),
        ];
        for (name, act, cause) in acts {
            for dialect in CLIENTS {
                let cell = format!("{name} of {speaks:?} to {dialect:?}");
                let (first, second) =
                    (Server::play(vec![act.clone()]).await, Server::play(vec![good(Speaks::OpenAi)]).await);
                let gateway = gateway(vec![speaking(first.config("a"), speaks), second.config("b")]);
                let told = heard(&gateway, &asking(dialect, true, &["b/n"])).await.unwrap();
                let (text, ended) = said(dialect, true, &told);
                assert!(!ended, "{cell}: no good end: {told}");
                assert!(text.starts_with("hello"), "{cell}: {told}");
                assert!(told.contains("error"), "{cell}: {told}");
                assert!(second.requests().is_empty(), "{cell}");
                let record = gateway.calls().last(1).pop().unwrap();
                assert_eq!(record.failure.map(|failure| failure.cause).as_deref(), Some(cause), "{cell}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fallback_may_speak_another_dialect_and_a_client_that_wants_it_whole_never_hears_of_the_cut() {
    for dialect in CLIENTS {
        let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\n\r\n";
        let speaks = if dialect == Dialect::Anthropic {
            Speaks::OpenAi
        } else {
            Speaks::Anthropic(Version::V2023_06_01)
        };
        let cut = send(format!("{head}{}", begun(speaks)));
        let (first, second) = (Server::play(vec![cut]).await, Server::play(vec![good(Speaks::Ollama)]).await);
        let configs = vec![speaking(first.config("a"), speaks), speaking(second.config("b"), Speaks::Ollama)];
        let gateway = gateway(configs);
        let told = heard(&gateway, &asking(dialect, false, &["b/n"])).await.unwrap();
        assert_eq!(said(dialect, false, &told).0, "hello", "{dialect:?}: {told}");
        let record = gateway.calls().last(1).pop().unwrap();
        assert_eq!(record.tried[0].failure.cause, "llm.stream_cut", "{dialect:?}");
        assert_eq!(record.served_by.as_deref(), Some("b/n"));
    }
}

#[tokio::test]
async fn a_stream_of_the_same_dialect_is_untouched_wherever_its_bytes_are_cut() {
    let events = named(&anthropic_hello());
    let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n{SSE}\r\n");
    for at in (0..events.len()).step_by(3) {
        let pieces = vec![format!("{head}{}", &events[..at]).into(), events[at..].into()];
        let server = Server::play(vec![Act::Send(pieces)]).await;
        let speaks = Speaks::Anthropic(Version::V2023_06_01);
        let gateway = gateway(vec![speaking(server.config("a"), speaks)]);
        assert_eq!(
            heard(&gateway, &asking(Dialect::Anthropic, true, &[])).await.unwrap(),
            events,
            "cut at {at}"
        );
    }
}

#[tokio::test]
async fn what_a_provider_cannot_be_asked_is_refused_before_it_is_asked() {
    let server = Server::play(vec![good(Speaks::Ollama)]).await;
    let gateway = gateway(vec![speaking(server.config("a"), Speaks::Ollama)]);
    let tool = json!({"type": "function", "function": {"name": "w", "parameters": {"type": "object"}}});
    let body = json!({"model": "x", "messages": [{"role": "user", "content": "hi"}], "tools": [tool], "tool_choice": "required"});
    let call = Incoming { body: body.to_string().into(), ..asking(Dialect::OpenAiChat, false, &[]) };
    let refused = heard(&gateway, &call).await.unwrap_err();
    assert_eq!(refused.failure.cause, "llm.bad_request");
    assert!(refused.failure.chain[0].contains("tool_choice"), "{:?}", refused.failure);
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn an_agent_speaks_to_providers_of_every_dialect_and_its_tools_are_called() {
    let tool_events = [
        anthropic_start(),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "t1", "name": "look", "input": {}}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": "{\"a\":"}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": "1}"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 3}}),
        json!({"type": "message_stop"}),
    ];
    let line = json!({"model": "m", "message": {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "look", "arguments": {"a": 1}}}]},
        "done": true, "done_reason": "stop", "prompt_eval_count": 7, "eval_count": 3});
    let acts = [
        (Speaks::Anthropic(Version::V2023_06_01), answer("200 OK", SSE, &named(&tool_events))),
        (Speaks::Ollama, answer("200 OK", NDJSON, &format!("{line}\n"))),
    ];
    for (speaks, act) in acts {
        let server = Server::play(vec![act, good(speaks)]).await;
        let gateway = gateway(vec![speaking(server.config("a"), speaks)]);
        let mut asked = request();
        asked.tools = vec![ToolSpec {
            name: "look".into(),
            description: "d".into(),
            parameters: json!({"type": "object"}),
        }];
        let first = gateway.chat(&Route::to("a/m"), asked.clone(), &unheard).await.unwrap().reply;
        assert_eq!(
            (first.finish, first.tool_calls[0].name.as_str()),
            (Finish::ToolCalls, "look"),
            "{speaks:?}"
        );
        assert_eq!(first.tool_calls[0].arguments, json!({"a": 1}));
        asked.messages.extend([first.message(), Message::tool(first.tool_calls[0].id.clone(), "seen")]);
        let second = gateway.chat(&Route::to("a/m"), asked, &unheard).await.unwrap().reply;
        assert_eq!((second.finish, second.text.as_str()), (Finish::Stop, "hello"), "{speaks:?}");
        assert_eq!((second.usage.input_tokens, second.usage.output_tokens), (7, 3));
        assert!(server.requests()[1].contains("seen"), "{}", server.requests()[1]);
    }
    // Cut in the middle: an error, not half an answer.
    let cut = answer("200 OK", SSE, &named(&anthropic_hello()[..4]));
    let server = Server::play(vec![cut]).await;
    let gateway = gateway(vec![speaking(server.config("a"), Speaks::Anthropic(Version::V2023_06_01))]);
    let failed = gateway.chat(&Route::to("a/m"), request(), &unheard).await.unwrap_err();
    assert_eq!(failed.failure.cause, "llm.stream_cut");
    // The plain dialect goes on as before.
    assert_eq!(call(vec![crate::script::hello()]).await.unwrap().reply.text, "hello");
}
