"""The official Python clients, unmodified but for base URL and key, against a hale server.

Usage: clients.py URL KEY. Prints one line a check, `ok NAME` or `failed NAME: why`, and exits 1 if any failed.
"""

import base64
import struct
import sys
import traceback

import anthropic
import ollama
import openai

URL, KEY = sys.argv[1], sys.argv[2]
MODELS = ["sim/small", "sim/large", "default", "small"]
HELLO = [{"role": "user", "content": "hello"}]
TURNS = [
    {"role": "user", "content": "hello"},
    {"role": "assistant", "content": "hello yourself"},
    {"role": "user", "content": "naïve 日本語 🦀 \u2028 \" \\ end"},
]
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 32).decode()
failed = 0
passed = 0


def check(name, call):
    global failed, passed
    try:
        call()
        passed += 1
        print("ok", name)
    except Exception as error:  # every failure is told, none ends the rest
        failed += 1
        print(f"failed {name}: {type(error).__name__}: {error}")
        traceback.print_exc()


def said(text):
    assert isinstance(text, str) and "Simulated answer" in text, repr(text)


def openai_client(**more):
    return openai.OpenAI(base_url=URL + "/v1", api_key=KEY, max_retries=0, **more)


def anthropic_client(**more):
    return anthropic.Anthropic(base_url=URL, api_key=KEY, max_retries=0, **more)


def openai_checks():
    client = openai_client()
    chat = client.chat.completions.create

    def streamed(**more):
        return list(chat(stream=True, **more))

    for model in MODELS:
        check(f"openai chat {model}", lambda: said(chat(model=model, messages=HELLO).choices[0].message.content))

        def pieces():
            chunks = streamed(model=model, messages=HELLO)
            said("".join(c.choices[0].delta.content or "" for c in chunks if c.choices))
            assert chunks[-1].choices and chunks[-1].choices[0].finish_reason == "stop", chunks[-1]
            assert all(c.usage is None for c in chunks)

        check(f"openai chat stream {model}", pieces)

        def usage():
            chunks = streamed(model=model, messages=HELLO, stream_options={"include_usage": True})
            assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens > 0, chunks[-1]

        check(f"openai chat stream with usage {model}", usage)
    options = [
        {"temperature": 0.2},
        {"max_tokens": 50},
        {"max_completion_tokens": 50},
        {"seed": 7},
        {"stop": ["never"]},
        {"user": "u-1"},
        {"response_format": {"type": "json_object"}},
        {"extra_headers": {"X-Correlation-ID": "cor-from-client"}},
        {"extra_body": {"unknown_field": {"kept": [1, 2.50]}}},
        {"timeout": 30.0},
        {"parallel_tool_calls": True, "tools": [{"type": "function", "function": {"name": "w", "parameters": WEATHER}}]},
    ]
    for option in options:
        name = ",".join(option)
        check(f"openai chat with {name}", lambda: said(chat(model="sim/small", messages=HELLO, **option).choices[0].message.content))
        check(f"openai chat stream with {name}", lambda: streamed(model="sim/small", messages=HELLO, **option)[0].id)
    check("openai chat turns", lambda: said(chat(model="sim/small", messages=TURNS).choices[0].message.content))
    picture = [{"role": "user", "content": [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64," + PIXEL}}]}]
    check("openai chat image", lambda: chat(model="sim/small", messages=picture).choices[0].message.content)

    def headers():
        raw = client.chat.completions.with_raw_response.create(model="sim/small", messages=HELLO, extra_headers={"X-Correlation-ID": "cor-1"})
        assert raw.headers["x-correlation-id"] == "cor-1", raw.headers
        assert raw.headers["x-hale-call-id"].startswith("call_") and raw.headers["x-hale-model"] == "sim/small"
        assert raw.parse().choices

    check("openai headers", headers)

    def stream_manager():
        with client.chat.completions.stream(model="sim/small", messages=HELLO) as stream:
            events = [event.type for event in stream]
            said(stream.get_final_completion().choices[0].message.content)
        assert "content.delta" in events and "content.done" in events, events

    check("openai stream manager", stream_manager)

    def cancelled():
        stream = chat(model="sim/small", messages=HELLO, stream=True)
        next(iter(stream))
        stream.close()

    check("openai stream cancelled", cancelled)

    def models():
        ids = [model.id for model in client.models.list()]
        assert "sim/small" in ids, ids
        assert client.models.retrieve("sim/small").id == "sim/small"

    check("openai models", models)

    def floats():
        for how in ({}, {"encoding_format": "float"}, {"encoding_format": "base64"}):
            data = client.embeddings.create(model="sim/small", input=["one", "two"], **how).data
            vectors = [item.embedding for item in data]
            if how.get("encoding_format") == "base64":
                vectors = [struct.unpack(f"<{len(base64.b64decode(v)) // 4}f", base64.b64decode(v)) for v in vectors]
            assert len(vectors) == 2 and len(vectors[0]) > 8 and vectors[0] != vectors[1]

    check("openai embeddings", floats)
    errors = [
        ("unknown provider", openai.NotFoundError, lambda: chat(model="nope/x", messages=HELLO), "llm.model_not_found"),
        ("unknown model", openai.NotFoundError, lambda: chat(model="sim/smal", messages=HELLO), "llm.model_not_found"),
        ("no model", openai.NotFoundError, lambda: client.models.retrieve("sim/none"), "llm.model_not_found"),
        ("bad stream flag", openai.BadRequestError, lambda: chat(model="sim/small", messages=HELLO, extra_body={"stream": "yes"}), "request.invalid"),
    ]
    for name, kind, call, cause in errors:
        check(f"openai {name}", lambda: refused(kind, call, cause))


def refused(kind, call, cause):
    try:
        call()
    except kind as error:
        assert error.code == cause, error.body
        assert error.request_id, "the request id"
        return
    raise AssertionError(f"no {kind.__name__}")


def responses_checks():
    client = openai_client()
    create = client.responses.create
    for model in MODELS:
        check(f"responses {model}", lambda: said(create(model=model, input="hello").output_text))

        def pieces():
            events = list(create(model=model, input="hello", stream=True))
            assert events[0].type == "response.created" and events[-1].type == "response.completed", [e.type for e in events]
            said("".join(e.delta for e in events if e.type == "response.output_text.delta"))
            assert [e.sequence_number for e in events] == list(range(events[0].sequence_number, events[0].sequence_number + len(events)))

        check(f"responses stream {model}", pieces)
    check("responses with instructions", lambda: said(create(model="sim/small", input=TURNS, instructions="be brief").output_text))
    check("responses usage", lambda: create(model="sim/small", input="hello").usage.output_tokens > 0 or 1 / 0)

    def stateless():
        try:
            create(model="sim/small", input="x", previous_response_id="resp_1")
        except openai.BadRequestError as error:
            assert "previous_response_id" in str(error), error
            return
        raise AssertionError("it was taken")

    check("responses previous_response_id", stateless)


def anthropic_checks():
    for version in (None, "2023-06-01", "2026-10-21"):
        headers = {"anthropic-version": version} if version else {}
        client = anthropic_client(default_headers=headers)
        tag = version or "own version"
        for model in MODELS:

            def whole():
                message = client.messages.create(model=model, max_tokens=100, messages=HELLO)
                said(message.content[0].text)
                assert message.stop_reason == "end_turn" and message.usage.output_tokens > 0, message

            check(f"anthropic {tag} {model}", whole)

            def pieces():
                with client.messages.stream(model=model, max_tokens=100, messages=HELLO) as stream:
                    said("".join(stream.text_stream))
                    assert stream.get_final_message().stop_reason == "end_turn"

            check(f"anthropic stream {tag} {model}", pieces)
        check(f"anthropic turns {tag}", lambda: said(client.messages.create(model="sim/small", max_tokens=100, system="s", messages=TURNS).content[0].text))
        blocks = [{"role": "user", "content": [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}, {"type": "text", "text": "see"}]}]
        check(f"anthropic image {tag}", lambda: client.messages.create(model="sim/small", max_tokens=9, messages=blocks).content)
        check(f"anthropic tools {tag}", lambda: client.messages.create(model="sim/small", max_tokens=99, messages=HELLO, tools=[{"name": "w", "input_schema": WEATHER}]).content)
        check(f"anthropic count {tag}", lambda: client.messages.count_tokens(model="sim/small", messages=HELLO).input_tokens > 0 or 1 / 0)
        check(f"anthropic models {tag}", lambda: "sim/small" in [m.id for m in client.models.list()] or 1 / 0)
        check(f"anthropic unknown model {tag}", lambda: anthropic_refused(anthropic.NotFoundError, "not_found_error", lambda: client.messages.create(model="nope/x", max_tokens=9, messages=HELLO)))
    check("anthropic bad version", lambda: anthropic_refused(anthropic.BadRequestError, "invalid_request_error", lambda: anthropic_client(default_headers={"anthropic-version": "1999-01-01"}).messages.create(model="sim/small", max_tokens=9, messages=HELLO)))


def anthropic_refused(kind, name, call):
    try:
        call()
    except kind as error:
        assert error.body["type"] == "error" and error.body["error"]["type"] == name, error.body
        return
    raise AssertionError(f"no {kind.__name__}")


def ollama_checks():
    client = ollama.Client(host=URL, headers={"Authorization": f"Bearer {KEY}"})
    for model in MODELS:
        check(f"ollama chat {model}", lambda: said(client.chat(model=model, messages=HELLO).message.content))
        check(f"ollama chat stream {model}", lambda: said("".join(p.message.content or "" for p in client.chat(model=model, messages=HELLO, stream=True))))
        check(f"ollama generate {model}", lambda: said(client.generate(model=model, prompt="hello").response))
        check(f"ollama generate stream {model}", lambda: said("".join(p.response for p in client.generate(model=model, prompt="hello", stream=True))))
    check("ollama options", lambda: said(client.chat(model="sim/small", messages=TURNS, options={"temperature": 0.1, "num_predict": 60}).message.content))
    check("ollama list", lambda: "sim/small" in [m.model for m in client.list().models] or 1 / 0)
    check("ollama ps", lambda: client.ps().models)
    check("ollama show", lambda: client.show("sim/small").capabilities)

    def unknown():
        try:
            client.chat(model="nope/x", messages=HELLO)
        except ollama.ResponseError as error:
            assert error.status_code == 404 and "nope" in error.error, error
            return
        raise AssertionError("it was taken")

    check("ollama unknown model", unknown)


for group in (openai_checks, responses_checks, anthropic_checks, ollama_checks):
    group()
print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed or passed < 100 else 0)
