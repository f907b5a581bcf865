//! Any ask and any answer, there and back.

use crate::dialect_answers::{ALL, check};
use hale_gateway::dialect::ask::{Ask, Format, Image, Part, Role, Thinking, Tool, ToolChoice, Turn};
use hale_gateway::dialect::event::{Event, Stop, Usage};
use hale_gateway::dialect::{Dialect, Version};
use proptest::prelude::*;
use serde_json::{Value, json};

fn words() -> impl Strategy<Value = String> {
    prop_oneof!["[a-zé\u{1f327}\"\\\\\n\u{2028} ]{1,12}", Just("\u{0}\u{7f}".to_owned())]
}

fn object() -> impl Strategy<Value = Value> {
    (
        words(),
        prop_oneof![
            any::<i32>().prop_map(Value::from),
            words().prop_map(Value::from),
            Just(json!([{"b": null}]))
        ],
    )
        .prop_map(|(key, value)| json!({key: value}))
}

/// What one exchange holds: words and pictures of the user, what the assistant says to it, which tools it calls.
type Exchange = (Vec<String>, Vec<bool>, Option<String>, Option<(String, bool)>, Vec<(Value, String)>);

fn exchange() -> impl Strategy<Value = Exchange> {
    (
        prop::collection::vec(words(), 0..2),
        prop::collection::vec(any::<bool>(), 0..2),
        prop::option::of(words()),
        prop::option::of((words(), any::<bool>())),
        prop::collection::vec((object(), words()), 0..3),
    )
}

/// Turns that alternate, each call answered in the next turn of the user.
fn turns(exchanges: Vec<Exchange>) -> Vec<Turn> {
    let (mut turns, mut results) = (Vec::new(), Vec::new());
    for (at, (said, pictures, answer, thought, calls)) in exchanges.into_iter().enumerate() {
        let mut user: Vec<Part> = std::mem::take(&mut results);
        let png = || Image::Data { media_type: "image/png".to_owned(), base64: "iVBORw0KGgoAAA".to_owned() };
        user.extend(pictures.iter().map(|_| Part::Image(png())));
        user.extend(said.into_iter().map(Part::Text));
        if user.is_empty() {
            user.push(Part::Text("go on".to_owned()));
        }
        turns.push(Turn { role: Role::User, parts: user });
        let mut assistant = Vec::new();
        assistant.extend(
            thought
                .map(|(text, signed)| Part::Reasoning { text, signature: signed.then(|| "sig".to_owned()) }),
        );
        assistant.push(Part::Text(answer.unwrap_or_else(|| "well".to_owned())));
        for (number, (arguments, said)) in calls.into_iter().enumerate() {
            let id = format!("c{at}_{number}");
            assistant.push(Part::ToolUse { id: id.clone(), name: format!("f{number}"), arguments });
            results.push(Part::ToolResult { id, parts: vec![Part::Text(said)], is_error: false });
        }
        turns.push(Turn { role: Role::Assistant, parts: assistant });
    }
    if !results.is_empty() {
        turns.push(Turn { role: Role::User, parts: results });
    }
    turns
}

fn tool() -> impl Strategy<Value = Tool> {
    (words(), prop::option::of(words()), object(), prop::option::of(any::<bool>()))
        .prop_map(|(name, description, parameters, strict)| Tool { name, description, parameters, strict })
}

fn format() -> impl Strategy<Value = Format> {
    prop_oneof![
        Just(Format::Text),
        Just(Format::JsonObject),
        (words(), object(), prop::option::of(any::<bool>()))
            .prop_map(|(name, schema, strict)| Format::JsonSchema { name, schema, strict }),
    ]
}

fn choice() -> impl Strategy<Value = ToolChoice> {
    prop_oneof![
        Just(ToolChoice::Auto),
        Just(ToolChoice::None),
        Just(ToolChoice::Required),
        words().prop_map(ToolChoice::Named)
    ]
}

fn thinking() -> impl Strategy<Value = (Thinking, Option<String>)> {
    prop_oneof![
        Just((Thinking::Unsaid, None)),
        Just((Thinking::Off, None)),
        Just((Thinking::On, None)),
        (1u64..20_000).prop_map(|tokens| (Thinking::Budget(tokens), None)),
        prop::sample::select(&["low", "medium", "high"][..])
            .prop_map(|effort| (Thinking::Unsaid, Some(effort.to_owned()))),
    ]
}

fn ask() -> impl Strategy<Value = Ask> {
    let hundredths = |max: u32| prop::option::of((0..=max).prop_map(|n| f64::from(n) / 100.0));
    let conversation = (
        prop::collection::vec(words(), 0..3),
        prop::collection::vec(exchange(), 1..4),
        prop::collection::vec(tool(), 0..3),
    );
    let limits = (
        prop::option::of(1u64..1_000_000),
        hundredths(200),
        hundredths(100),
        prop::option::of(1u64..100),
        prop::collection::vec(words(), 0..3),
        prop::option::of(any::<i64>()),
    );
    let rest = (
        choice(),
        prop::option::of(any::<bool>()),
        format(),
        prop::option::of(words()),
        thinking(),
        any::<bool>(),
    );
    (conversation, limits, rest).prop_map(|((system, exchanges, tools), limits, rest)| {
        let (max_tokens, temperature, top_p, top_k, stop, seed) = limits;
        let (tool_choice, parallel_tools, format, user, (thinking, reasoning_effort), stream) = rest;
        Ask {
            model: "m".to_owned(),
            system,
            turns: turns(exchanges),
            tools,
            native_tools: vec![],
            tool_choice,
            parallel_tools,
            max_tokens,
            temperature,
            top_p,
            top_k,
            stop,
            seed,
            format,
            user,
            reasoning_effort,
            thinking,
            stream,
            include_usage: true,
        }
    })
}

/// What a target says of an ask: all of it but what it names as dropped and what it cannot tell apart.
fn known(dialect: Dialect, mut ask: Ask, dropped: &[&str]) -> Ask {
    for field in dropped {
        match *field {
            "temperature" => ask.temperature = None,
            "top_p" => ask.top_p = None,
            "top_k" => ask.top_k = None,
            "seed" => ask.seed = None,
            "user" => ask.user = None,
            "parallel_tools" => ask.parallel_tools = None,
            "thinking" | "reasoning" | "strict" => {}
            other => panic!("{other}"),
        }
    }
    if ask.tools.is_empty() || dialect == Dialect::OllamaChat && ask.tool_choice == ToolChoice::None {
        ask.tools.clear();
        (ask.tool_choice, ask.parallel_tools) = (ToolChoice::Auto, None);
    }
    ask.turns = known_turns(dialect, &ask);
    if dialect == Dialect::Anthropic {
        ask.system.retain(|text| !text.trim().is_empty());
    }
    let anonymous = |format: Format| match format {
        Format::JsonSchema { schema, .. } => {
            Format::JsonSchema { name: "answer".to_owned(), schema, strict: None }
        }
        format => format,
    };
    match dialect {
        Dialect::OpenAiChat => {
            if let Thinking::Budget(tokens) = ask.thinking {
                let effort = if tokens <= 2048 {
                    "low"
                } else if tokens <= 8192 {
                    "medium"
                } else {
                    "high"
                };
                ask.reasoning_effort = Some(effort.to_owned());
            }
            (ask.thinking, ask.include_usage) = (Thinking::Unsaid, ask.stream);
        }
        Dialect::Anthropic => {
            ask.max_tokens = ask.max_tokens.or(Some(4096));
            ask.format = anonymous(ask.format);
        }
        _ => {
            ask.format = anonymous(ask.format);
            ask.parallel_tools = None;
            ask.tools.iter_mut().for_each(|tool| tool.strict = None);
            if let Thinking::Budget(_) = ask.thinking {
                ask.thinking = Thinking::On;
            }
        }
    }
    ask
}

fn known_turns(dialect: Dialect, ask: &Ask) -> Vec<Turn> {
    // Anthropic takes no blank text, not in results either.
    let is_said = |part: &Part| match part {
        Part::Text(text) => dialect != Dialect::Anthropic || !text.trim().is_empty(),
        Part::Reasoning { signature, .. } => match dialect {
            Dialect::OpenAiChat => false,
            Dialect::Anthropic => signature.is_some(),
            _ => true,
        },
        _ => true,
    };
    let mut said = ask.clone();
    for turn in &mut said.turns {
        turn.parts.retain(is_said);
        for part in &mut turn.parts {
            match part {
                Part::ToolResult { parts, .. } => parts.retain(is_said),
                Part::Reasoning { signature, .. } if dialect == Dialect::OllamaChat => *signature = None,
                _ => {}
            }
        }
    }
    said.turns.retain(|turn| !turn.parts.is_empty());
    said.merged_turns()
}

/// Why a target must refuse an ask.
fn must_refuse(dialect: Dialect, ask: &Ask) -> bool {
    let forced =
        matches!(ask.tool_choice, ToolChoice::Required | ToolChoice::Named(_)) && !ask.tools.is_empty();
    match dialect {
        Dialect::Anthropic => ask.format == Format::JsonObject || known_turns(dialect, ask).is_empty(),
        Dialect::OllamaChat => forced,
        _ => false,
    }
}

fn check_ask(dialect: Dialect, version: Version, ask: &Ask) {
    let written = match dialect.write(ask, "m", version) {
        Ok(written) => written,
        Err(bad) => return assert!(must_refuse(dialect, ask), "{dialect:?}: {bad}"),
    };
    assert!(!must_refuse(dialect, ask), "{dialect:?}");
    assert!(written.dropped.is_sorted_by(|a, b| a < b), "{:?}", written.dropped);
    let mut back = dialect.read(&written.body, version).unwrap();
    back.turns = back.merged_turns();
    let mut expected = known(dialect, ask.clone(), &written.dropped);
    // A temperature above the scale is told as its end, where the version has one.
    if dialect == Dialect::Anthropic && version == Version::V2023_06_01 && ask.temperature > Some(1.0) {
        assert!(written.dropped.contains(&"temperature"));
        expected.temperature = Some(1.0);
    }
    assert_eq!(back, expected, "{dialect:?} {}", String::from_utf8_lossy(&written.body));
}

#[derive(Clone, Debug)]
enum Said {
    Text(Vec<String>),
    Reasoning(Vec<String>),
    Refusal(Vec<String>),
    Call(String, String, usize),
}

fn said() -> impl Strategy<Value = Said> {
    let pieces = || prop::collection::vec(prop_oneof![words(), Just(String::new())], 1..4);
    prop_oneof![
        pieces().prop_map(Said::Text),
        pieces().prop_map(Said::Reasoning),
        pieces().prop_map(Said::Refusal),
        (words(), object(), any::<usize>()).prop_map(|(name, arguments, cut)| Said::Call(
            name,
            arguments.to_string(),
            cut
        )),
    ]
}

/// The arguments in two pieces, cut anywhere.
fn halves(json: &str, cut: usize) -> [String; 2] {
    let borders: Vec<usize> = json.char_indices().map(|(at, _)| at).collect();
    let (one, two) = json.split_at(borders[cut % borders.len()]);
    [one.to_owned(), two.to_owned()]
}

fn answer() -> impl Strategy<Value = Vec<Event>> {
    let stops = prop_oneof![
        4 => Just(None),
        1 => Just(Some(Stop::Length)),
        1 => Just(Some(Stop::ContentFilter)),
        1 => Just(Some(Stop::Refusal)),
        1 => words().prop_map(|word| Some(Stop::StopSequence(Some(word)))),
    ];
    (prop::collection::vec(said(), 0..6), stops, 0u64..1000, 0u64..1000, any::<bool>()).prop_map(
        |(blocks, stop, input_tokens, output_tokens, mixed)| {
            let (mut events, mut late, mut index) = (vec![Event::Start { id: None, model: None }], vec![], 0);
            for block in blocks {
                match block {
                    Said::Text(pieces) => events.extend(pieces.into_iter().map(Event::Text)),
                    Said::Reasoning(pieces) => events.extend(pieces.into_iter().map(Event::Reasoning)),
                    Said::Refusal(pieces) => events.extend(pieces.into_iter().map(Event::Refusal)),
                    Said::Call(name, arguments, cut) => {
                        events.push(Event::ToolStart { index, id: format!("c{index}"), name });
                        let [one, two] =
                            halves(&arguments, cut).map(|json| Event::ToolArguments { index, json });
                        events.push(one);
                        if mixed {
                            late.push(two)
                        } else {
                            events.push(two)
                        }
                        index += 1;
                    }
                }
            }
            events.extend(late);
            let usual = if index == 0 { Stop::End } else { Stop::ToolUse };
            events.push(Event::Stop(stop.unwrap_or(usual)));
            let cached_input_tokens = Some(input_tokens / 3);
            events.push(Event::Usage(Usage { input_tokens, output_tokens, cached_input_tokens }));
            events
        },
    )
}

proptest! {
    #[test]
    fn an_ask_that_goes_to_a_provider_says_what_it_said(ask in ask()) {
        for version in [Version::V2023_06_01, Version::V2026_10_21] {
            for dialect in [Dialect::OpenAiChat, Dialect::Anthropic, Dialect::OllamaChat] {
                check_ask(dialect, version, &ask);
            }
        }
    }

    #[test]
    fn an_answer_that_goes_to_a_client_says_what_it_said(events in answer()) {
        for dialect in ALL {
            check(dialect, &events);
        }
    }

    #[test]
    fn no_body_makes_a_reader_fall(body in "[ -~]{0,60}", name in "[a-z_]{0,8}") {
        for dialect in ALL {
            let quoted = json!({"type": name, "messages": [body.as_str()], "choices": body.as_str()}).to_string();
            for text in [body.as_str(), &quoted] {
                let _ = dialect.read(text.as_bytes(), Version::V2026_10_21);
                let _ = hale_gateway::dialect::reader::read_whole(dialect, text.as_bytes());
                let _ = hale_gateway::dialect::reader::Reader::of(dialect).event(Some(&name), text);
            }
        }
    }
}
