"""Servers that lie, flood, drip or repeat secrets: requests fail with a reason, and a run always has its summary."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from agentgen.replay import server_info
from agentgen.replay.server_info import cache_state
from conftest import command
from replay_server import HEAD, Received, event, flooding, plain, refuse, serving
from small_traces import options, summary_of, write_trace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Invoke, Run

    Parts = Callable[[], tuple[bytes, bytes]]

MAX_RSS_KB = 200_000
MEASURE = (
    "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:]);"
    "print('RSS', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(code)"
)
COUNTERS = "vllm:prefix_cache_queries_total 5\nvllm:prefix_cache_hits_total 1\n"


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return write_trace(tmp_path / "trace.jsonl", 3, 2)


# --- secrets ------------------------------------------------------------------------------------------------------


def test_no_output_repeats_a_key_or_a_header_that_a_server_sends_back(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", 'sk-"SECRET"/key')
    said = ""

    async def answer(received: Received, writer: asyncio.StreamWriter) -> None:
        nonlocal said
        said = f"{received.headers['authorization']} {received.headers['x-tenant']}"
        echo = json.dumps({"error": {"message": f"{'x' * 490} bad key: {said}", "code": said}}).encode()
        finish = {"choices": [{"index": 0, "delta": {}, "finish_reason": f"stop {said}"}]}
        bodies = [
            (b"401 No", echo),
            (b"400 No", b"<html><title>" + said.replace('"', "&quot;").encode() + b"</title>"),
            (b"500 No", b" " * 65_520 + said.encode() * 3),
            (b"200 OK", b"data: " + echo + b"\n\n"),
            (b"200 OK", b"event: error\ndata: " + said.encode() + b"\n\n"),
            (b"200 OK", event(content="a") + b"data: " + json.dumps(finish).encode() + b"\n\ndata: [DONE]\n\n"),
            (b"200 OK", f"{said} is no event".encode()),
            (b"307 Else\r\nLocation: https://other/?key=" + said.encode(), b""),
            (b"200 OK\r\nContent-Encoding: " + said.encode(), b"a"),
        ]
        status, body = bodies[int(received.session.rsplit("-", 1)[-1].strip("s")) % len(bodies)]
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    trace = write_trace(tmp_path / "trace.jsonl", 18, 1)
    with serving(answer) as server:
        server.models = [{"id": 'model of sk-"SECRET"/key'}]
        server.metrics = f'vllm:cache_config_info{{block_size="SECRET"}} 1\n{COUNTERS}'
        done = run("replay", trace, *options(server.url, tmp_path, "--header", "X-Tenant: SECRET tenant"), code=1)
    assert "SECRET" in said
    summary = summary_of(tmp_path / "out")
    assert {"ok", "http_error", "server_error", "bad_response"} == set(summary["run"]["outcomes"])
    rows = pl.read_parquet(tmp_path / "out" / "requests.parquet").rows()
    written = [path.read_text("utf-8", "replace") for path in (tmp_path / "out").rglob("*") if path.is_file()]
    for text in (*written, str(rows), done.stdout, done.stderr):
        assert "SECRET" not in text
        assert "SECR" not in text
    assert "[redacted]" in done.stderr
    assert "[redacted]" in str(rows)


# --- what servers say outside of answers --------------------------------------------------------------------------


QUERIES, HITS, CONFIG = "vllm:prefix_cache_queries_total", "vllm:prefix_cache_hits_total", "vllm:cache_config_info"
NONE = (None, None, None)
ODD_SIZES = ("4294967296", "0", "-1", "x", "9" * 3000, "\u00b2")
ODD_VALUES = ("+Inf", "-Inf", "NaN", "-1", "1e999", "x", "", f"1e308 1\n{QUERIES} 1e308")


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (COUNTERS, (None, 5, 1)),
        (COUNTERS + "a_gauge +Inf\nb_gauge Nan\nc{", (None, 5, 1)),
        (COUNTERS + CONFIG + '{hash_block_size="8",block_size="32"} 1.0\n', (32, 5, 1)),  # vLLM 0.32
        (COUNTERS + CONFIG + '{a_block_size="8",block_size="32",b="}"} 1.0\n', (32, 5, 1)),
        (CONFIG + '{hash_block_size="8"} 1.0\n', NONE),
        *((f'{CONFIG}{{block_size="{size}"}} 1\n', NONE) for size in ODD_SIZES),
        *((f"{QUERIES} {value}\n{HITS} 1\n", NONE) for value in ODD_VALUES),
        (f'{QUERIES}{{engine="0"}} 3\n{QUERIES}{{engine="1"}} 4\n{HITS} 2 1700000000000\n', (None, 7, 2)),
        ("sglang:prompt_tokens_total 9\nsglang:cached_tokens_total 4\n", (None, 9, 4)),
        (QUERIES + "{" + 'a="b",' * 100_000 + "} 1\n" + COUNTERS, (None, 5, 1)),
        ("\x00\ud83d\n" * 1000 + COUNTERS, (None, 5, 1)),
    ],
)
def test_odd_metrics_are_missing_values(page: str, expected: tuple[int | None, ...]) -> None:
    state = cache_state(page.encode("utf-8", "surrogatepass"))
    counters = state.counters or {}
    assert (state.block_tokens, counters.get("queries"), counters.get("hits")) == expected


@pytest.mark.parametrize(
    "after",
    [
        b"vllm:prefix_cache_queries_total +Inf\nvllm:prefix_cache_hits_total +Inf\n",
        b"vllm:prefix_cache_queries_total 1\nvllm:prefix_cache_hits_total 1\n",  # the server has restarted
        b"vllm:" + b"x" * 5_000_000,
        b"",
    ],
)
def test_a_finished_run_has_its_summary_whatever_the_metrics_are(
    after: bytes, trace: Path, run: Run, tmp_path: Path
) -> None:
    async def answer(received: Received, writer: asyncio.StreamWriter) -> None:
        server.pages["/metrics"] = after
        await plain(received, writer)

    with serving(answer) as server:
        server.metrics = COUNTERS
        run("replay", trace, *options(server.url, tmp_path))
    assert summary_of(tmp_path / "out")["run"]["cache"]["server"] is None


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (b'{"data":' + b"[" * 100_000, "not an OpenAI model list"),
        (b'{"data":[{"id":"\\ud800"}]}', "found the models none, expected one"),
        (b'{"data":[{"id":7},[],null,{"id":""},{"id":"a\\u0000b"}]}', "found the models none, expected one"),
        (b'{"data":[{"id":"m","max_model_len":' + b"9" * 5000 + b"}]}", "not an OpenAI model list"),
        (b" " * 5_000_000, "found no server (a body of more than 4,194,304 bytes)"),
        (json.dumps({"data": [{"id": f"m{n}"} for n in range(50_000)]}).encode(), "m8, m9, 49,990 more, expected one"),
        (b"\xff\xfe", "not an OpenAI model list"),
    ],
)
def test_odd_model_lists_are_one_line(page: bytes, said: str, trace: Path, invoke: Invoke, tmp_path: Path) -> None:
    with serving() as server:
        server.pages["/models"] = page
        result = invoke("replay", trace, *options(server.url, tmp_path), code=2)
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("begin", [b"HTTP/1.1 200 ", b"HTTP/1.1 200 OK\r\nX-A: ", b"HTTP/1.1 200 OK\r\n\r\n{"])
def test_the_checks_before_the_start_have_one_time_limit(
    begin: bytes, trace: Path, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes that keep coming do not extend it."""
    monkeypatch.setattr(server_info, "CHECKS_S", 0.5)

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(begin)
        while not writer.is_closing():
            writer.write(b"a")
            await asyncio.sleep(0.05)

    with flooding(drip) as url:
        result = invoke("replay", trace, *options(url, tmp_path), code=2)
    assert "found no server (no complete answer within 0.5 s)" in result.stderr


# --- floods -------------------------------------------------------------------------------------------------------


def endless(begin: bytes, repeated: bytes) -> Callable[[Received, asyncio.StreamWriter], Any]:
    async def answer(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(begin)
        while not writer.is_closing():
            writer.write(repeated)
            await writer.drain()

    return answer


FILL = b"a" * 1_000_000
DATA = HEAD + b"\r\n"
CALL = {"index": 0, "function": {"arguments": "a" * 100_000}}
FLOODS = {
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X-Fill: " + b"a" * 1000 + b"\r\n"),
    "one header": (b"HTTP/1.1 200 OK\r\nX-Fill: ", FILL),
    "interim responses": (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000),
    "a line": (DATA, FILL),
    "an event": (DATA, b"data: " + FILL + b"\n"),
    "text": (DATA, event(content="a" * 100_000) * 10),
    "tokens": (DATA, event(content="token ") * 10_000),
    "reasoning": (DATA, event(reasoning="\u00e9" * 50_000) * 10),
    "tool calls": (DATA, event(tool_calls=[CALL]) * 10),
    "comments": (DATA, b": " + b"a" * 1000 + b"\n" + b"\n"),
    "invalid text": (DATA + b"data: ", b"\xff" * 1_000_000),
    "an error": (b"HTTP/1.1 500 No\r\n\r\n", FILL),
    "an error as JSON": (b'HTTP/1.1 500 No\r\n\r\n{"error": [', b"0," * 500_000),
    "a document": (DATA + b'{"choices": [', b"0," * 500_000),
}


@pytest.mark.skipif(sys.platform != "linux", reason="the largest RSS is measured as on Linux")
@pytest.mark.parametrize("flood", FLOODS)
def test_a_flood_fails_the_request_and_takes_little_memory(flood: str, trace: Path, tmp_path: Path) -> None:
    with serving(endless(*FLOODS[flood])) as server:
        arguments = command("replay", trace, *options(server.url, tmp_path, "--timeout", "30s"))
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, *arguments], capture_output=True, text=True, check=False, timeout=100
        )
    assert done.returncode == 1, (done.stdout, done.stderr)
    run = summary_of(tmp_path / "out")["run"]
    assert run["outcomes"] == {"response_too_large": 3}
    assert "failed with response_too_large, such as: found " in done.stderr
    assert int(done.stdout.rsplit("RSS ", 1)[1]) < MAX_RSS_KB, done.stdout


@pytest.mark.parametrize("retry_after", ["9" * 400, "Mon, 01 Jan 2020 00:00:00 +99999999999999999999", "soon", "-1"])
def test_an_odd_retry_after_is_none(retry_after: str, trace: Path, run: Run, tmp_path: Path) -> None:
    async def answer(_: Received, writer: asyncio.StreamWriter) -> None:
        refuse(writer, "503 Busy", f"Retry-After: {retry_after}")

    with serving(answer) as server:
        run("replay", trace, *options(server.url, tmp_path, "--retries", 2), code=1)
        assert len(server.requests) == 3 * (1 + 2), "sent again after the waits of a refusal without Retry-After"
    assert summary_of(tmp_path / "out")["run"]["outcomes"] == {"http_error": 3}
