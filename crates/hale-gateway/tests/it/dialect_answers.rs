//! What models say, from dialect to dialect and back, whole and in streams.

use hale_gateway::dialect::event::{Event, Stop, Usage};
use hale_gateway::dialect::reader::{Reader, read_whole};
use hale_gateway::dialect::writer::{Writer, flaw, write_whole};
use hale_gateway::dialect::{About, Dialect};
use hale_gateway::sse::Splitter;
use serde_json::Value;

pub const ALL: [Dialect; 5] = [
    Dialect::OpenAiChat,
    Dialect::OpenAiResponses,
    Dialect::Anthropic,
    Dialect::OllamaChat,
    Dialect::OllamaGenerate,
];

pub fn about() -> About {
    About { id: "resp_1".to_owned(), model: "m-1".to_owned(), created_s: 1_790_000_000, include_usage: true }
}

/// The stream that a client gets.
pub fn stream(dialect: Dialect, events: &[Event]) -> String {
    let (mut writer, mut out) = (Writer::new(dialect, about()), Vec::new());
    events.iter().for_each(|event| writer.event(event, &mut out));
    writer.finish(&mut out);
    assert!(writer.is_ended());
    // Whatever comes after the end adds nothing.
    let length = out.len();
    writer.event(&Event::Text("late".to_owned()), &mut out);
    writer.finish(&mut out);
    assert_eq!(out.len(), length);
    String::from_utf8(out).unwrap()
}

/// Names and data of the frames, by the splitter that reads real providers.
pub fn frames(dialect: Dialect, stream: &str) -> Vec<(String, String)> {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if dialect.stream_type() == "application/x-ndjson" {
        return stream.lines().map(|line| (String::new(), line.to_owned())).collect();
    }
    let (mut splitter, mut frames) = (Splitter::new(1 << 20), Vec::new());
    for chunk in stream.as_bytes().chunks(7) {
        splitter.push(chunk, |event| frames.push((text(event.name), text(event.data)))).unwrap();
    }
    assert_eq!(splitter.finish(), None, "a frame is not ended");
    frames
}

/// The events of a stream, and whether its end was told.
pub fn heard(dialect: Dialect, stream: &str) -> (Vec<Event>, bool) {
    let (mut reader, mut events) = (Reader::of(dialect), Vec::new());
    for (name, data) in frames(dialect, stream) {
        let name = (!name.is_empty()).then_some(name.as_str());
        events.extend(reader.event(name, &data).unwrap());
    }
    (events, reader.is_done())
}

/// What an answer comes to, however it was cut into pieces.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sum {
    pub text: String,
    pub refusal: String,
    /// Texts and refusals as they came.
    pub words: String,
    pub reasoning: String,
    /// Index, id, name, arguments.
    pub calls: Vec<(usize, String, String, Value)>,
    pub usage: Usage,
    pub stop: Option<Stop>,
}

pub fn sum(events: &[Event]) -> Sum {
    let (mut sum, mut arguments) = (Sum::default(), Vec::new());
    for event in events {
        if let Event::Text(text) | Event::Refusal(text) = event {
            sum.words.push_str(text);
        }
        match event {
            Event::Text(text) => sum.text.push_str(text),
            Event::Refusal(text) => sum.refusal.push_str(text),
            Event::Reasoning(text) => sum.reasoning.push_str(text),
            Event::ToolStart { index, id, name } => {
                sum.calls.push((*index, id.clone(), name.clone(), Value::Null));
                arguments.push(String::new());
            }
            Event::ToolArguments { index, json } => arguments[*index].push_str(json),
            Event::Usage(usage) => sum.usage = *usage,
            Event::Stop(stop) => sum.stop = Some(stop.clone()),
            Event::Start { .. } | Event::ReasoningSignature(_) | Event::Redacted(_) => {}
            Event::Error { .. } => panic!("{event:?}"),
        }
    }
    for (call, json) in sum.calls.iter_mut().zip(arguments) {
        call.3 =
            serde_json::from_str(if json.is_empty() { "{}" } else { &json }).unwrap_or(Value::String(json));
    }
    sum
}

/// What is left of an answer in that dialect.
pub fn known(dialect: Dialect, mut sum: Sum) -> Sum {
    use Dialect::{Anthropic, OllamaChat, OllamaGenerate, OpenAiChat, OpenAiResponses};
    let refused = !sum.refusal.is_empty();
    if matches!(dialect, Anthropic | OllamaChat | OllamaGenerate) {
        sum.refusal.clear();
        sum.text.clone_from(&sum.words);
    }
    if matches!(dialect, OllamaChat | OllamaGenerate) {
        sum.usage.cached_input_tokens = None;
    }
    let usual = if sum.calls.is_empty() { Stop::End } else { Stop::ToolUse };
    sum.stop = sum.stop.map(|stop| match (dialect, stop) {
        (_, Stop::Length) => Stop::Length,
        (Anthropic, Stop::ContentFilter | Stop::Refusal) => Stop::Refusal,
        (Anthropic, Stop::End) if refused => Stop::Refusal,
        (Anthropic, stop) => stop,
        (OpenAiChat | OpenAiResponses, Stop::ContentFilter | Stop::Refusal) => Stop::ContentFilter,
        _ => usual,
    });
    if dialect == OpenAiResponses {
        sum.usage.cached_input_tokens = sum.usage.cached_input_tokens.or(Some(0));
    }
    sum
}

pub fn text(text: &str) -> Event {
    Event::Text(text.to_owned())
}

pub fn call(index: usize, name: &str) -> Event {
    Event::ToolStart { index, id: format!("c{index}"), name: name.to_owned() }
}

pub fn arguments(index: usize, json: &str) -> Event {
    Event::ToolArguments { index, json: json.to_owned() }
}

pub fn tokens(input_tokens: u64, output_tokens: u64) -> Event {
    Event::Usage(Usage { input_tokens, output_tokens, cached_input_tokens: Some(input_tokens / 2) })
}

/// Answers that show each thing at least once.
pub fn corpus() -> Vec<Vec<Event>> {
    let stop = Event::Stop;
    vec![
        vec![text("Hé"), text("llo\n\n\u{1f327} \"\\u00e9\" \u{2028}"), stop(Stop::End), tokens(10, 5)],
        vec![stop(Stop::End), tokens(10, 0)],
        vec![tokens(8, 1), text("x"), tokens(8, 2), stop(Stop::Length)],
        vec![text("x"), stop(Stop::StopSequence(Some("END".to_owned()))), tokens(1, 1)],
        vec![text("x"), stop(Stop::ContentFilter), tokens(1, 1)],
        vec![
            Event::Refusal("I ".to_owned()),
            Event::Refusal("won't".to_owned()),
            stop(Stop::End),
            tokens(1, 1),
        ],
        vec![
            Event::Reasoning("h".to_owned()),
            Event::Reasoning("m".to_owned()),
            Event::ReasoningSignature("sig".to_owned()),
            Event::Redacted("zz".to_owned()),
            text("a"),
            call(0, "f"),
            arguments(0, "{\"a\":"),
            arguments(0, "\"\u{1f327}\"}"),
            call(1, "g"),
            stop(Stop::ToolUse),
            tokens(6, 3),
        ],
        vec![
            call(0, "f"),
            call(1, "g"),
            arguments(0, "{\"a\":"),
            arguments(1, "{\"b\":"),
            arguments(0, "1}"),
            arguments(1, "2}"),
            stop(Stop::ToolUse),
            tokens(6, 3),
        ],
    ]
}

fn can_say(dialect: Dialect, events: &[Event]) -> bool {
    let calls = events.iter().any(|event| matches!(event, Event::ToolStart { .. }));
    !(calls && dialect == Dialect::OllamaGenerate)
}

/// Checks one answer in one dialect: the stream, the whole, and that they are the same.
pub fn check(dialect: Dialect, events: &[Event]) {
    if !can_say(dialect, events) {
        return;
    }
    let expected = known(dialect, sum(events));
    let told = stream(dialect, events);
    let (back, is_done) = heard(dialect, &told);
    assert!(is_done, "{told}");
    assert_eq!(sum(&back), expected, "{dialect:?} stream {told}");
    assert_eq!(flaw(dialect, events), None);
    let whole = write_whole(dialect, &about(), events);
    let back = read_whole(dialect, &whole).unwrap();
    let mut expected = expected;
    if dialect == Dialect::OpenAiChat {
        // A whole message has one place for text and one for a refusal.
        expected.words = format!("{}{}", expected.text, expected.refusal);
    }
    assert_eq!(sum(&back), expected, "{dialect:?} whole {}", String::from_utf8_lossy(&whole));
    let id = (!matches!(dialect, Dialect::OllamaChat | Dialect::OllamaGenerate)).then(|| "resp_1".to_owned());
    assert_eq!(back[0], Event::Start { id, model: Some("m-1".to_owned()) });
}

#[test]
fn every_answer_survives_every_dialect_in_a_stream_and_whole() {
    for events in corpus() {
        for dialect in ALL {
            check(dialect, &events);
        }
    }
}

#[test]
fn an_answer_survives_from_every_provider_to_every_client() {
    for events in corpus() {
        for from in ALL.into_iter().filter(|from| can_say(*from, &events)) {
            let (heard, _) = heard(from, &stream(from, &events));
            for to in ALL {
                check(to, &heard);
            }
        }
    }
}

#[test]
fn anthropic_keeps_signatures_and_sealed_reasoning_in_their_places() {
    let events = &corpus()[6];
    let (back, _) = heard(Dialect::Anthropic, &stream(Dialect::Anthropic, events));
    let places: Vec<usize> = [
        Event::Reasoning("m".to_owned()),
        Event::ReasoningSignature("sig".to_owned()),
        Event::Redacted("zz".to_owned()),
        text("a"),
    ]
    .iter()
    .map(|wanted| back.iter().position(|event| event == wanted).unwrap())
    .collect();
    assert!(places.is_sorted(), "{back:?}");
    let whole = read_whole(Dialect::Anthropic, &write_whole(Dialect::Anthropic, &about(), events)).unwrap();
    assert_eq!(
        whole[1..5],
        [Event::Reasoning("hm".to_owned()), events[2].clone(), events[3].clone(), text("a")]
    );
}

#[test]
fn a_stream_that_was_cut_never_ends_well() {
    for dialect in ALL {
        let cut = [text("half")];
        let told = stream(dialect, &cut);
        for good in [
            "[DONE]",
            "finish_reason\":\"",
            "message_stop",
            "response.completed",
            "response.incomplete",
            "\"completed\"",
            "\"done\":true",
        ] {
            assert!(!told.contains(good), "{dialect:?} {told}");
        }
        assert!(told.contains("stream_cut"), "{told}");
        let (back, _) = heard(dialect, &told);
        assert!(matches!(back.last(), Some(Event::Error { .. })), "{back:?}");
        let Some(Event::Error { kind, .. }) = flaw(dialect, &cut) else { panic!("{dialect:?}") };
        assert_eq!(kind, "stream_cut");
        let body = String::from_utf8(write_whole(dialect, &about(), &cut)).unwrap();
        assert!(body.contains("\"error\"") && !body.contains("half"), "{body}");
    }
}

#[test]
fn an_error_in_the_middle_is_the_last_thing_that_a_client_hears() {
    let error =
        Event::Error { status: Some(429), kind: "rate_limit_error".to_owned(), message: "slow".to_owned() };
    for dialect in ALL {
        let told = stream(dialect, &[text("a"), error.clone(), text("b"), Event::Stop(Stop::End)]);
        let (back, is_done) = heard(dialect, &told);
        assert!(is_done);
        let Some(Event::Error { message, .. }) = back.last() else { panic!("{back:?}") };
        assert_eq!(message, "slow");
        assert!(!back.contains(&text("b")) && back.contains(&text("a")), "{back:?}");
    }
    let told = stream(Dialect::OpenAiResponses, &[text("a"), error.clone()]);
    let last = frames(Dialect::OpenAiResponses, &told).pop().unwrap();
    assert_eq!(last.0, "response.failed");
    assert!(last.1.contains("\"code\":\"rate_limit_exceeded\",\"message\":\"slow\""), "{}", last.1);
    // Before anything was told there is no response that could fail.
    assert!(!stream(Dialect::OpenAiResponses, &[error]).contains("response."));
}

#[test]
fn arguments_that_are_no_object_are_an_error_where_an_object_is_needed() {
    let broken = [call(0, "f"), arguments(0, "{\"a\":"), Event::Stop(Stop::ToolUse), tokens(1, 1)];
    for dialect in [Dialect::Anthropic, Dialect::OllamaChat] {
        let Some(Event::Error { kind, message, .. }) = flaw(dialect, &broken) else { panic!("{dialect:?}") };
        assert_eq!(kind, "malformed");
        assert!(message.contains("tool f"), "{message}");
        let (back, _) = heard(dialect, &stream(dialect, &broken));
        assert!(matches!(back.last(), Some(Event::Error { .. })), "{back:?}");
    }
    // The OpenAI dialects carry text, which goes through as the model wrote it.
    for dialect in [Dialect::OpenAiChat, Dialect::OpenAiResponses] {
        check(dialect, &broken);
    }
    let Some(Event::Error { kind, .. }) = flaw(Dialect::OllamaGenerate, &broken) else { panic!() };
    assert_eq!(kind, "malformed");
}

#[test]
fn a_call_that_the_limit_of_tokens_cut_off_is_no_error() {
    let cut = [
        text("a"),
        call(0, "f"),
        arguments(0, "{}"),
        call(1, "g"),
        arguments(1, "{\"a\":"),
        Event::Stop(Stop::Length),
    ];
    for dialect in [Dialect::Anthropic, Dialect::OllamaChat] {
        assert_eq!(flaw(dialect, &cut), None);
        let back = sum(&read_whole(dialect, &write_whole(dialect, &about(), &cut)).unwrap());
        assert_eq!((back.calls.len(), back.stop), (1, Some(Stop::Length)), "{dialect:?}");
    }
    let (back, is_done) = heard(Dialect::Anthropic, &stream(Dialect::Anthropic, &cut));
    assert!(is_done);
    assert_eq!(sum(&back).stop, Some(Stop::Length));
}
