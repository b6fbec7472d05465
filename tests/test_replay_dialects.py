"""Servers that differ in what they accept: request fields, model lists, URLs."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from agentgen import _native
from replay_server import Received, event, plain, serving, tokens
from small_traces import options, summary_of, write_trace

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Invoke, Run
    from replay_server import Handler

LIMITS = ("max_completion_tokens", "max_tokens")


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return write_trace(tmp_path / "trace.jsonl", 3, 2)


def refusing(*names: str, said: str, status: str = "400 Bad Request") -> Handler:
    """A server that refuses these fields; `said` is its message, with a place for the field."""

    async def answer(received: Received, writer: asyncio.StreamWriter) -> None:
        refused = next((name for name in names if name in received.json), None)
        if refused is None:
            await plain(received, writer)
            return
        body = said.replace("FIELD", refused).encode()
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    return answer


OPENAI = '{"error": {"message": "Unsupported parameter: \'FIELD\' is not supported. Use \'max_tokens\' instead."}}'
FASTAPI = '{"detail": [{"loc": ["body", "FIELD", "include_usage"], "msg": "extra fields not permitted"}]}'


@pytest.mark.parametrize(
    ("names", "said", "status", "sent", "warned"),
    [
        (("max_completion_tokens",), OPENAI, "400 Bad Request", "max_tokens", "max_tokens is sent instead"),
        (LIMITS, OPENAI, "422 Unprocessable", None, "no limit of the answer is sent"),
        (("stream_options",), FASTAPI, "422 Unprocessable", "max_completion_tokens", "it is not sent"),
    ],
)
def test_a_field_that_the_server_names_in_a_refusal_is_renamed_or_dropped(
    names: tuple[str, ...], said: str, status: str, sent: str | None, warned: str, trace: Path, run: Run, tmp_path: Path
) -> None:
    answer = refusing(*names, said=said, status=status)
    with serving(answer, probe=answer) as server:
        run("replay", trace, *options(server.url, tmp_path))
        assert len(server.probes) == len(names) + 1
        assert len(server.requests) == 6
        for received in server.requests:
            assert {name: received.json.get(name) for name in LIMITS} == {
                name: 4 if name == sent else None for name in LIMITS
            }
            assert not set(names) & set(received.json)
    warnings = summary_of(tmp_path / "out")["warnings"]
    assert [name for name in names if any(f"refuses {name}; {warned} (" in one for one in warnings)] == list(names)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (("--max-tokens-field", "max_tokens"), {"max_tokens": 4}),
        (("--max-tokens-field", "both"), {"max_tokens": 4, "max_completion_tokens": 4}),
        (("--max-tokens-field", "none"), {}),
        (("--request-json", '{"max_completion_tokens": null}'), {"max_tokens": 4}),
        (("--request-json", '{"max_tokens": 9}'), {"max_tokens": 9}),
        (("--request-json", '{"max_tokens": 9}', "--max-tokens-field", "both"), {"max_tokens": 9, LIMITS[0]: 4}),
    ],
)
def test_the_limit_of_answers(
    more: tuple[str, ...], expected: dict[str, int], trace: Path, run: Run, tmp_path: Path
) -> None:
    with serving() as server:
        run("replay", trace, *options(server.url, tmp_path, *more))
        for received in server.requests:
            assert {name: received.json[name] for name in LIMITS if name in received.json} == expected


def test_a_null_field_is_in_no_request_and_not_asked_for(trace: Path, run: Run, tmp_path: Path) -> None:
    with serving() as server:
        run("replay", trace, *options(server.url, tmp_path, "--request-json", '{"stream_options": null}'))
        assert all("stream_options" not in received.json for received in [*server.probes, *server.requests])


# --- model lists --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [b"<html>gateway</html>", b'{"data": []}', b'[{"id": "m"}]'])
def test_without_a_model_list_a_named_model_is_enough(page: bytes, trace: Path, run: Run, tmp_path: Path) -> None:
    with serving() as server:
        server.pages["/models"] = page
        without = run("replay", trace, *options(server.url, tmp_path), code=2)
        assert server.url in without.stderr
        run("replay", trace, *options(server.url, tmp_path, "--model", "lora-a"))
        assert {received.json["model"] for received in server.requests} == {"lora-a"}
    (warning,) = (one for one in summary_of(tmp_path / "out")["warnings"] if "are not checked" in one)
    assert warning.startswith(server.url)


def test_skipped_checks_ask_nothing(trace: Path, run: Run, tmp_path: Path) -> None:
    with serving() as server:
        server.models = [{"id": "other", "max_model_len": 3}]
        run("replay", trace, *options(server.url, tmp_path, "--model", "lora-a", "--skip-checks"))
        assert not server.probes
        assert len(server.requests) == 6


# --- URLs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["", "/chat/completions", "/chat/completions/"])
def test_a_url_keeps_its_path_and_its_query(end: str, trace: Path, run: Run, tmp_path: Path) -> None:
    query = "api-version=2024-10-21&key=SECRET-1234"
    with serving() as server:
        url = server.url.replace("/v1", f"/openai/deployments/d{end}?{query}")
        shown = run("replay", trace, *options(url, tmp_path, "--model", "m"))
        paths = {received.path for received in [*server.probes, *server.requests]}
        assert paths == {f"/openai/deployments/d/chat/completions?{query}"}
    found = (tmp_path / "out" / "summary.json").read_text(encoding="utf-8") + shown.stdout + shown.stderr
    assert "SECRET-1234" not in found
    assert "?api-version=2024-10-21&key=[redacted]" in found


# --- ends of answers ----------------------------------------------------------------------------------------------


def test_the_next_turn_does_not_wait_for_the_end_of_http(run: Run, tmp_path: Path) -> None:
    """Each response but the last ends only when the next request has come."""
    waited: list[str] = []

    async def answer(received: Received, writer: asyncio.StreamWriter) -> None:
        body = tokens(4)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b" % (len(body), body))
        turns = len(received.json["messages"]) // 2
        if turns < 2:
            for _ in range(2000):
                if any(len(other.json["messages"]) // 2 > turns for other in server.requests):
                    break
                await asyncio.sleep(0.01)
            else:
                waited.append(received.session)
        writer.write(b"\r\n0\r\n\r\n")

    with serving(answer) as server:
        run("replay", write_trace(tmp_path / "trace.jsonl", 1, 3), *options(server.url, tmp_path))
        assert len(server.requests) == 3
    assert not waited
    assert summary_of(tmp_path / "out")["run"]["counters"]["succeeded"] == 3


def test_a_proxy_of_the_environment_is_named_where_no_server_is_found(
    trace: Path, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    result = invoke("replay", trace, *options("http://gateway.invalid/v1", tmp_path), code=2)
    assert "a proxy of the environment is not used (--proxy env uses it)" in result.stderr


# --- histories ----------------------------------------------------------------------------------------------------

MESSAGES = [
    {"role": "user", "content": "a"},
    {"role": "assistant", "content": "b"},
    {"role": "user", "content": "c"},
]


def write_messages(path: Path) -> Path:
    rows = ({"conversation_id": "c", "turn": turn + 1, **row} for turn, row in enumerate(MESSAGES))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("owner", "more", "sent"),
    [
        ("vllm", (), "hm"),
        ("deepseek", (), None),
        ("deepseek", ("--reasoning", "keep"), "hm"),
        ("vllm", ("--reasoning", "drop"), None),
        ("vllm", ("--reasoning", "in-tool-turns"), None),
    ],
)
def test_reasoning_comes_back_as_the_servers_kind_reads_it(
    owner: str, more: tuple[str, ...], sent: str | None, run: Run, tmp_path: Path
) -> None:
    async def answer(received: Received, writer: asyncio.StreamWriter) -> None:
        del received
        body = event(reasoning="hm") + tokens(2)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    with serving(answer) as server:
        server.models = [{"id": "m", "owned_by": owner}]
        where = ("--url", server.url, "--output", tmp_path, "--name", "out")
        run("replay", write_messages(tmp_path / "messages.jsonl"), *where, *more)
        (last,) = (received.json["messages"] for received in server.requests if len(received.json["messages"]) == 3)
    assert last[1].get("reasoning") == sent
    expected = more[1] if more else "keep" if owner == "vllm" else "in-tool-turns"
    assert summary_of(tmp_path / "out")["settings"]["reasoning"] == expected


def test_an_answer_without_content_fails_its_turn(trace: Path, run: Run, tmp_path: Path) -> None:
    """With a recorded history nothing is sent back, so that all turns are played."""

    async def answer(received: Received, writer: asyncio.StreamWriter) -> None:
        del received
        body = tokens(4).replace(b'"content": "tok "', b'"content": {"odd": 1}')
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    async def silent(received: Received, writer: asyncio.StreamWriter) -> None:
        del received
        body = tokens(4).replace(event(content="tok "), b"")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    with serving(answer) as server:
        run("replay", trace, *options(server.url, tmp_path), code=1)
    assert summary_of(tmp_path / "out")["run"]["outcomes"] == {"bad_response": 3}
    with serving(silent) as server:
        live = run("replay", trace, *options(server.url, tmp_path), "--name", "live", code=1)
        run("replay", trace, *options(server.url, tmp_path), "--name", "recorded", "--history", "recorded")
    assert summary_of(tmp_path / "live")["run"]["outcomes"] == {"empty_answer": 3}
    assert summary_of(tmp_path / "live")["run"]["counters"]["skipped"] == 3
    assert "3 sessions failed with empty_answer, such as: session s0, turn 0: found an answer without" in live.stderr
    recorded = summary_of(tmp_path / "recorded")
    assert recorded["run"]["outcomes"] == {"ok": 6}
    assert "run: 6 of 6 answers have counted tokens and no text" in recorded["warnings"][0]


def test_faults_of_the_embedded_server_that_are_dialects(trace: Path, run: Run, tmp_path: Path) -> None:
    server = _native.Server(json.dumps({"decode_tokens_per_second": 0, "prefill_tokens_per_second": 0}))
    try:
        for name in ("interim", "gzip", "content-parts", "tool-calls=2, argument-objects", "reasoning=4"):
            out = name.split("=")[0]
            where = ("--output", tmp_path, "--name", out, "--trace-block-size", 16)
            run("replay", trace, "--url", server.url, *where, "--header", f"x-agentgen-fault: {name}")
            assert summary_of(tmp_path / out)["run"]["outcomes"] == {"ok": 6}, name
    finally:
        server.stop()
