"""What a recorder forwards: bytes as they are, whatever client and server do."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import threading
import time
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import agentgen
import polars as pl
import pytest
from replay_server import chunked, flooding, tokens

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from pathlib import Path

DOCUMENT = json.dumps(
    {
        "id": "chatcmpl-1",
        "choices": [{"message": {"role": "assistant", "content": "done"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 30, "completion_tokens": 7, "completion_tokens_details": {"reasoning_tokens": 5}},
    }
).encode()
BODY = json.dumps({"model": "m", "messages": [{"role": "user", "content": "one two"}]}).encode()


def request(body: bytes = BODY, path: str = "/v1/chat/completions", headers: str = "") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: me\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


def response(body: bytes = DOCUMENT, headers: str = "Content-Type: application/json\r\n") -> bytes:
    return f"HTTP/1.1 200 OK\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


class Upstream:
    """A server that answers with bytes, and keeps what it has received."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.received: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                return  # the recorder has closed the connection
            length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            body = await reader.readexactly(int(length[0].split(b":")[1]) if length else 0)
            self.received.append(head + body)
            writer.write(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])
            await writer.drain()
            if b"connection: close" in self.answers[0].lower():
                return


@contextmanager
def recorded(upstream: Upstream, directory: Path, **options: Any) -> Iterator[agentgen.Recorder]:
    with flooding(upstream) as url, agentgen.record(url.removesuffix("/v1"), directory, **options) as recorder:
        yield recorder


def connect(recorder: agentgen.Recorder) -> socket.socket:
    host, port = recorder.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=20)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def exchange(recorder: agentgen.Recorder, sent: bytes) -> bytes:
    """Send bytes and end; everything that comes back."""
    with connect(recorder) as connection:
        connection.sendall(sent.replace(b"Host: me\r\n", b"Host: me\r\nConnection: close\r\n"))
        parts = []
        while part := connection.recv(1 << 16):
            parts.append(part)
        return b"".join(parts)


def wait_for(recorder: agentgen.Recorder, **expected: int) -> dict[str, Any]:
    for _ in range(400):
        stats = recorder.stats()
        if all(stats[key] == count for key, count in expected.items()):
            return stats
        time.sleep(0.02)
    raise AssertionError(stats)


def entries(directory: Path) -> list[dict[str, Any]]:
    lines = (directory / "journal.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines[1:]]


def test_headers_and_bodies_pass_unchanged(tmp_path: Path) -> None:
    headers = "Content-Type: application/json\r\nX-Odd-Case: \xe9\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n"
    upstream = Upstream(response(DOCUMENT, headers))
    with recorded(upstream, tmp_path / "run") as recorder:
        more = "Authorization: Bearer sk-1\r\nX-Api-Key: k\r\nTE: trailers\r\nX-Hop: 1\r\nConnection: close, x-hop\r\n"
        answer = exchange(recorder, request(headers=more))
    head, _, body = upstream.received[0].partition(b"\r\n\r\n")
    assert body == BODY
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /v1/chat/completions HTTP/1.1"
    # Of the connection alone are these: TE, Connection and what it names. Host is the server's.
    sent = {line.split(b":")[0] for line in lines[1:]}
    assert sent == {b"Host", b"Authorization", b"X-Api-Key", b"Content-Length"}
    head, _, body = answer.partition(b"\r\n\r\n")
    assert body == DOCUMENT
    came = [line for line in head.split(b"\r\n")[1:] if not line.lower().startswith(b"connection")]
    assert came == [*headers.encode().strip().split(b"\r\n"), b"Content-Length: %d" % len(DOCUMENT)]


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_compressed_answers_are_forwarded_and_read(encoding: str, tmp_path: Path) -> None:
    stream = tokens(5, 40)
    packed = gzip.compress(stream) if encoding == "gzip" else zlib.compress(stream)
    headers = f"Content-Type: text/event-stream\r\nContent-Encoding: {encoding}\r\n"
    with recorded(Upstream(response(packed, headers)), tmp_path / "run") as recorder:
        answer = exchange(recorder, request())
    assert answer.endswith(packed)
    (entry,) = entries(tmp_path / "run")
    assert (entry["usage"], entry["outcome"]) == ({"prompt": 40, "output": 5}, "answered")


def test_a_stream_is_not_buffered(tmp_path: Path) -> None:
    """Each event arrives before the next one is sent."""
    events = tokens(4, 9).split(b"\n\n")[:-1]
    loops: list[asyncio.AbstractEventLoop] = []
    arrived = [asyncio.Event() for _ in events]

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for event, seen in zip(events, arrived, strict=True):
            writer.write(chunked(event + b"\n\n").removesuffix(b"0\r\n\r\n"))
            await writer.drain()
            loops.append(asyncio.get_running_loop())
            await seen.wait()
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    with flooding(upstream) as url, agentgen.record(url.removesuffix("/v1"), tmp_path / "run") as recorder:
        with connect(recorder) as connection:
            connection.sendall(request())
            data = b""
            for event, seen in zip(events, arrived, strict=True):
                while event not in data:
                    data += connection.recv(1 << 16)
                data = data.partition(event)[2]
                loops[0].call_soon_threadsafe(seen.set)
        wait_for(recorder, calls=1, failed=0)


def test_interim_responses_precede_the_answer(tmp_path: Path) -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
    with recorded(Upstream(early + response()), tmp_path / "run") as recorder:
        assert exchange(recorder, request(headers="Expect: 100-continue\r\n")).endswith(DOCUMENT)
    (entry,) = entries(tmp_path / "run")
    assert entry["usage"] == {"prompt": 30, "output": 7, "reasoning": 5}


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (b"HTTP/1.1 429 Too Many\r\nContent-Length: 2\r\nRetry-After: 1\r\n\r\n{}", "refused"),
        (response(b"{nothing"), "truncated"),
        (response(b'{"error":{"message":"no"}}'), "refused"),
        (response(b"data: {\n\ndata: []\n\n", "Content-Type: text/event-stream\r\n"), "truncated"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 999\r\n\r\n{", "truncated"),
        (b"not HTTP at all\r\n\r\nConnection: close", "unreachable"),
        (
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Encoding: gzip\r\nContent-Length: 12\r\n\r\nnot-gzipped!",
            "answered",
        ),
    ],
)
def test_bad_answers_are_forwarded_and_counted(answer: bytes, outcome: str, tmp_path: Path) -> None:
    with recorded(Upstream(response(), answer), tmp_path / "run") as recorder:
        exchange(recorder, request())
        came = exchange(recorder, request())
        wait_for(recorder, calls=2)
    assert recorder.run is not None
    if outcome == "unreachable":
        assert came.startswith(b"HTTP/1.1 502")
        assert b"agentgen record: 127.0.0.1" in came
    else:
        assert came.startswith(answer.partition(b"\r\n")[0])
        assert came.endswith(answer.partition(b"\r\n\r\n")[2])
    assert [entry["outcome"] for entry in entries(tmp_path / "run")] == ["answered", outcome]
    calls = 2 if outcome == "answered" else 1
    assert recorder.run.summary["calls"] == calls
    assert sum(recorder.run.manifest["import"]["left_out"].values()) == 2 - calls


@pytest.mark.parametrize(
    "body",
    [
        b"{broken",
        b"[]",
        b'{"messages": 7}',
        b'{"messages": [{"role": "narrator", "content": "x"}]}',
        b'{"input": [{"role": "user", "content": "x"}], "previous_response_id": "unknown"}',
        b'\xff\xfe{"prompt": "x"}',
        b"",
    ],
)
def test_requests_that_cannot_be_read_are_forwarded_and_counted(body: bytes, tmp_path: Path) -> None:
    upstream = Upstream(response())
    path = "/v1/responses" if b"previous" in body else "/v1/chat/completions"
    with recorded(upstream, tmp_path / "run") as recorder:
        exchange(recorder, request())
        assert exchange(recorder, request(body, path)).endswith(DOCUMENT)
        wait_for(recorder, calls=2, unread=1)
    assert upstream.received[1].partition(b"\r\n\r\n")[2] == body
    assert recorder.run is not None
    assert recorder.run.manifest["import"]["left_out"] == {"calls whose request could not be read": 1}


def test_a_huge_request_is_forwarded(tmp_path: Path) -> None:
    """Larger than what is kept to be read."""
    upstream = Upstream(response())
    body = b'{"messages":[{"role":"user","content":"' + b"word " * (13 << 20) + b'"}]}'
    with recorded(upstream, tmp_path / "run") as recorder:
        exchange(recorder, request())
        exchange(recorder, request(body))
        wait_for(recorder, calls=2, unread=1)
    assert len(upstream.received[1]) > len(body)


def test_clients_that_leave_are_counted_and_end_the_call(tmp_path: Path) -> None:
    left = threading.Event()

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        writer.write(chunked(tokens(1).partition(b"\n\n")[0] + b"\n\n").removesuffix(b"0\r\n\r\n"))
        await reader.read()  # until the recorder closes the connection
        left.set()

    with flooding(upstream) as url, agentgen.record(url.removesuffix("/v1"), tmp_path / "run") as recorder:
        with connect(recorder) as connection:
            connection.sendall(request())
            while b"tok " not in connection.recv(1 << 16):
                pass
            assert recorder.stats()["open"] == 1
        assert left.wait(20)
        wait_for(recorder, calls=1, failed=1, open=0)
        with connect(recorder) as connection:  # half a request
            connection.sendall(request()[:-3])
        wait_for(recorder, calls=2, failed=2, open=0)
        with connect(recorder) as connection:  # no HTTP
            connection.sendall(b"no HTTP at all\r\n\r\n")
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 400")
    assert [entry["outcome"] for entry in entries(tmp_path / "run")] == ["cancelled", "cancelled"]
    # Of the first one the server had begun its answer.
    assert pl.read_parquet(tmp_path / "run" / "calls.parquet")["output_quality"].to_list() == ["estimated"]


def test_connections_without_a_call_do_not_hold_up_the_end(tmp_path: Path) -> None:
    with flooding(Upstream(response())) as url:
        recorder = agentgen.record(url.removesuffix("/v1"), tmp_path / "run")
        with connect(recorder), connect(recorder) as half, connect(recorder) as idle:
            half.sendall(request()[:20])
            idle.sendall(request())
            assert idle.recv(1 << 16).startswith(b"HTTP/1.1 200")
            wait_for(recorder, calls=1)
            recorder.close()
            for _ in range(400):
                if recorder.is_over:
                    break
                time.sleep(0.02)
            assert recorder.is_over
            assert recorder.stop().summary["calls"] == 1


def test_a_connection_is_used_again_and_made_anew(tmp_path: Path) -> None:
    """The server closes its connection between two requests of one client."""
    close = response(headers="Connection: close\r\nContent-Type: application/json\r\n")
    upstream = Upstream(response(), response(), close, response())
    with recorded(upstream, tmp_path / "run") as recorder, connect(recorder) as connection:
        for number in range(1, 6):
            connection.sendall(request())
            data = b""
            while not data.endswith(DOCUMENT):
                data += connection.recv(1 << 16)
            wait_for(recorder, calls=number, failed=0)


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    recorder = agentgen.record(f"http://127.0.0.1:{port}", tmp_path / "run")
    answer = exchange(recorder, request(path="/v1/messages"))
    assert answer.startswith(b"HTTP/1.1 502")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["type"] == "api_error"
    with pytest.raises(agentgen.TraceError, match="no model calls"):
        recorder.stop()
    assert [entry["outcome"] for entry in entries(tmp_path / "run")] == ["unreachable"]


def test_responses_continue_each_other_by_their_ids(tmp_path: Path) -> None:
    def answer(number: int, prompt: int) -> bytes:
        item = {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": f"answer{number} is so"}],
        }
        usage = {"input_tokens": prompt, "output_tokens": 3}
        return response(
            json.dumps({"id": f"resp_{number}", "status": "completed", "output": [item], "usage": usage}).encode()
        )

    def ask(text: str, before: str | None) -> bytes:
        body = {"model": "m", "instructions": "be very good", "input": text, "previous_response_id": before}
        return request(json.dumps(body).encode(), "/v1/responses")

    upstream = Upstream(answer(1, 5), answer(2, 10), answer(3, 10), answer(4, 15))
    with recorded(upstream, tmp_path / "run", block_size=1) as recorder:
        for text, before in (
            ("one two", None),
            ("three four", "resp_1"),
            ("other words", "resp_1"),
            ("end it", "resp_2"),
        ):
            exchange(recorder, ask(text, before))
    rows = pl.read_parquet(tmp_path / "run" / "dataset.parquet")
    assert recorder.run is not None
    assert recorder.run.summary["prompt_error_tokens_max"] == 0
    # The third one goes back to the first; the fourth continues the second.
    found = rows.select("context_length", "link", "kept_length").rows()
    assert found == [(5, None, None), (10, None, None), (10, "break", 8), (15, "break", 8)]
    prompts = rows["hash_ids"].to_list()
    assert prompts[3][:10] == prompts[1]
    assert prompts[2][:8] == prompts[1][:8]


def test_tls_to_the_server(certificate: tuple[Path, ssl.SSLContext], tmp_path: Path) -> None:
    from replay_server import serving  # noqa: PLC0415

    file, context = certificate
    with serving(context=context) as server:
        url = server.url.removesuffix("/v1")
        for name, options in (("ca", {"ca_file": file}), ("any", {"insecure": True})):
            with agentgen.record(url, tmp_path / name, **options) as recorder:
                assert exchange(recorder, request(headers="X-Session-ID: s\r\n")).startswith(b"HTTP/1.1 200")
            assert recorder.run is not None
            assert recorder.run.summary["calls"] == 1
        recorder = agentgen.record(url, tmp_path / "neither")
        answer = exchange(recorder, request())
        recorder.abandon()
        assert answer.startswith(b"HTTP/1.1 502")
        assert b"certificate" in answer
