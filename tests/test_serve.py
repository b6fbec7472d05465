"""`agentgen serve`: the command and its HTTP API."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from agentgen._native import Server
from conftest import command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Invoke, Run

AT_ONCE = {"prefill_tokens_per_second": 0, "decode_tokens_per_second": 0}


@contextmanager
def serving(**options: Any) -> Iterator[Server]:
    server = Server(json.dumps(AT_ONCE | options))
    try:
        yield server
    finally:
        server.stop()


def post(url: str, body: Any, **headers: str) -> tuple[int, str]:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(f"{url}/v1/chat/completions", json.dumps(body).encode(), names)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310
        text: str = answer.read().decode()
        return text


def chat(content: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content}], "max_tokens": 4, **more}


def test_usage_reports_cached_tokens_and_stats_add_up() -> None:
    with serving(block_tokens=2, debug=True) as server:
        cached = []
        for content in ("a b c d e", "a b c d f", "a b c x e", "z"):
            status, text = post(server.url, chat(content), x_session_id=content[0])
            usage = json.loads(text)["usage"]
            assert (status, usage["completion_tokens"]) == (200, 4)
            cached.append(usage["prompt_tokens_details"]["cached_tokens"])
        assert cached == [0, 4, 2, 0]
        stats = json.loads(server.stats())
        assert (stats["answered"], stats["queried_tokens"], stats["cached_tokens"]) == (4, 16, 6)
        records = json.loads(get(f"{server.url}/debug/requests"))
        assert [record["session"] for record in records] == ["a", "a", "a", "z"]
        assert [record["cached_tokens"] for record in records] == cached


def test_events_can_be_read_line_by_line() -> None:
    with serving(decode_tokens_per_second=1000) as server:
        _, text = post(server.url, chat("a b", stream=True, stream_options={"include_usage": True}))
    events = [line.removeprefix("data: ") for line in text.splitlines() if line]
    assert events.pop() == "[DONE]"
    words = "".join(json.loads(event)["choices"][0]["delta"].get("content", "") for event in events[:-1]).split()
    assert len(words) == json.loads(events[-1])["usage"]["completion_tokens"] == 4


def test_faults_are_injected_by_header_and_at_random() -> None:
    with serving() as server:
        status, text = post(server.url, chat("a"), x_agentgen_fault="status=429; retry-after=3")
        assert (status, json.loads(text)["error"]["type"]) == (429, "rate_limit_error")
        assert post(server.url, chat("a"), x_agentgen_fault="zzz")[0] == 400
    with serving(faults=[{"fault": "status=503", "probability": 1}]) as server:
        assert post(server.url, chat("a"))[0] == 503


def test_a_server_can_be_stopped_twice_and_frees_its_port() -> None:
    with serving() as first:
        with pytest.raises(OSError, match=f"127.0.0.1:{first.port}"):
            Server(json.dumps({"port": first.port}))
        first.stop()
        with serving(port=first.port) as second:
            assert second.url == first.url
            assert post(second.url, chat("a"))[0] == 200


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ("{", "options: EOF"),
        ('{"zzz": 1}', "unknown field `zzz`"),
        ('{"capacity_blocks": 0}', "capacity_blocks: found 0, expected at least 1"),
        ('{"block_tokens": 0}', "block_tokens: found 0, expected at least 1"),
        ('{"decode_tokens_per_second": -1}', "found -1, expected a number of at least 0"),
        ('{"faults": [{"fault": "zzz", "probability": 1}]}', 'unknown fault "zzz"'),
        ('{"max_body_bytes": 0}', "max_body_bytes: found 0, expected at least 1"),
        ('{"max_connections": 0}', "max_connections: found 0, expected at least 1"),
        ('{"header_timeout_s": 0}', "header_timeout_s: found 0, expected a number above 0"),
        ('{"body_timeout_s": 1e300}', "expected a number above 0, up to 86400"),
        ('{"faults": [{"fault": "crlf", "probability": 2}]}', "probability: found 2, expected 0 to 1"),
    ],
)
def test_invalid_options_are_rejected(options: str, part: str) -> None:
    with pytest.raises(ValueError, match=part):
        Server(options)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_a_signal(number: int) -> None:
    arguments = ("serve", "--port", 0, "--prefill-rate", 0, "--decode-rate", 0, "--block-size", 4, "--capacity", "1MB")
    started = command(*arguments, "--kv-bytes-per-token", 1000, "--model", "m", "--fault", "100% no-usage", "--debug")
    with subprocess.Popen(started, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert process.stdout.readline() == ("model m: 250 blocks of 4 tokens each, prefill at once, decode at once\n")
        status, text = post(url, chat("a b", model="m"))
        assert status == 200
        assert "usage" not in json.loads(text)
        assert json.loads(get(f"{url}/debug/requests"))[0]["prompt_tokens"] == 2
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert errors == "stopped; 1 request served\n"


def test_the_command_reports_a_port_in_use(run: Run) -> None:
    with serving() as server:
        done = run("serve", "--port", server.port, code=1)
    assert done.stderr.startswith(f"agentgen: error: 127.0.0.1:{server.port}: ")
    assert done.stderr.endswith(" (--port 0 takes a free port)\n")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--capacity", "80GB"), "--capacity in bytes needs --model or --kv-bytes-per-token."),
        (("--capacity", "80"), "found '80', expected a size such as 300GB, 5000blocks or 2Mtokens."),
        (("--fault", "crlf"), "found 'crlf', expected a share and a fault"),
        (("--fault", "101% crlf"), "found '101% crlf', expected a share and a fault"),
        (("--fault", "1% zzz"), 'unknown fault "zzz"'),
        *(
            ((option, rate), f"'{option}': found {rate}, expected a number of at least 0.001, or 0 for no delay.")
            for option in ("--prefill-rate", "--decode-rate")
            for rate in ("-1", "nan", "inf", "-inf", "1e400", "0.0001")
        ),
        (("--capacity", "0blocks"), "found '0blocks', expected a size such as 300GB, 5000blocks or 2Mtokens."),
        (("--capacity", "0GB", "--kv-bytes-per-token", "1"), "found '0GB', expected a size such as 300GB"),
        (
            ("--capacity", "15kB", "--kv-bytes-per-token", "1000"),
            "--capacity: found 15000 bytes, expected at least 16000, one block of 16 tokens.",
        ),
        (("--kv-bytes-per-token", "5"), "--kv-bytes-per-token needs a --capacity in bytes, such as 300GB; found none."),
        (("--kv-dtype", "fp8", "--model", "llama-3.1-8b"), "--kv-dtype needs a --capacity in bytes"),
        (
            ("--kv-dtype", "bf16", "--capacity", "5blocks"),
            "in bytes, such as 300GB; found 5blocks.",
        ),
        (("--capacity", "1GB", "--kv-bytes-per-token", "5", "--kv-dtype", "fp8"), "--kv-dtype needs --model"),
        (("--port", "65536"), "expected a whole number from 0 to 65535"),
    ],
)
def test_invalid_arguments_are_rejected(arguments: tuple[str, ...], part: str, invoke: Invoke) -> None:
    assert part in invoke("serve", *arguments, code=2).stderr


@contextmanager
def serving_command(*more: object) -> Iterator[tuple[str, int]]:
    """URL and process id of `agentgen serve`."""
    arguments = ("serve", "--port", 0, "--prefill-rate", 0, "--decode-rate", 0, "--capacity", "200000blocks", *more)
    with subprocess.Popen(command(*arguments), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip(), process.pid
        finally:
            process.terminate()


def memory_kb(pid: int, name: str) -> int:
    """A line of the process's status: `VmRSS`, or `VmHWM` for the most it ever was."""
    lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def beginning(url: str, body: Any) -> bytes:
    """The first bytes of an answer; the rest is left."""
    port = int(url.rsplit(":", 1)[1])
    text = json.dumps(body).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(text)
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(head + text)
        return connection.recv(100)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read as on Linux")
def test_memory_does_not_grow_with_the_length_of_answers_and_is_given_back() -> None:
    with serving_command("--max-connections", 50) as (url, pid):
        post(url, chat("a"))
        base_kb = memory_kb(pid, "VmRSS")
        for stream in (True, False):
            assert beginning(url, chat("a", max_tokens=3_000_000, stream=stream)).startswith(b"HTTP/1.1 200")
        assert memory_kb(pid, "VmHWM") < base_kb + 50_000  # 13 bytes per token would be 39 MB more for each
        for number in range(40):
            status, _ = post(url, chat(f"{number} " + "word " * 200_000, max_tokens=2000))
            assert status == 200
        assert memory_kb(pid, "VmRSS") < base_kb + 60_000


@pytest.mark.skipif(sys.platform == "win32", reason="limits of files are POSIX's")
def test_the_command_limits_bodies_and_connections() -> None:
    with serving_command("--max-connections", 3, "--max-body", "1KiB") as (url, _):
        assert post(url, chat("a"))[0] == 200
        status, text = post(url, chat("word " * 1000))
        assert (status, json.loads(text)["error"]["message"]) == (
            413,
            "body: found more than 1024 bytes, expected fewer (--max-body)",
        )
        held = [socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1]))) for _ in range(3)]
        statuses = {post(url, chat("a"))[0] for _ in range(20)}
        for connection in held:
            connection.close()
    assert 503 in statuses
