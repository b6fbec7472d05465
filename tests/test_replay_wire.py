"""Responses as bytes on the wire: cut and split at every byte, in every framing, they are one answer or a failure."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import pytest
from agentgen._native import Answer
from agentgen.replay.active_sessions import ActiveSession
from agentgen.replay.http import MAX_HEAD_BYTES, Connection
from agentgen.replay.request_cycle import RequestCycle
from agentgen.replay.rules import Rules
from replay_server import chunked, event, tokens

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentgen.replay.protocols import ResponseHandler

OK = b"HTTP/1.1 200 OK\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\nContent-Length: 7\r\n\r\n"
STREAM = event(role="assistant", content=None) + event(content="na\u00efve ") + tokens(2, 9)
USAGE = {"prompt_tokens": 9, "completion_tokens": 2}
DOCUMENT = json.dumps(
    {"choices": [{"message": {"content": "na\u00efve"}, "finish_reason": "stop"}], "usage": USAGE}
).encode()
REFUSAL = json.dumps({"error": {"message": "not today", "code": 503}}).encode()


def with_length(body: bytes, head: bytes = OK) -> bytes:
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def in_chunks(body: bytes, size: int) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(*parts)


KINDS = {
    "stream, length": with_length(STREAM),
    "stream, chunks": in_chunks(STREAM, 70),
    "stream, trailers": in_chunks(STREAM, 900)[:-2] + b"X-Checksum: 7\r\nX-More: 8\r\n\r\n",
    "stream, close": OK + b"Content-Type: text/event-stream\r\n\r\n" + STREAM,
    "stream, interim": CONTINUE + HINTS + with_length(STREAM),
    "stream, interim, chunks": HINTS + CONTINUE + in_chunks(STREAM, 200),
    "stream, interim, close": CONTINUE + OK + b"\r\n" + STREAM,
    "document, length": with_length(DOCUMENT),
    "document, chunks": in_chunks(DOCUMENT, 30),
    "document, close": OK + b"\r\n" + DOCUMENT + b"\n",
    "document, interim": HINTS + with_length(DOCUMENT),
    "error, length": with_length(REFUSAL, b"HTTP/1.1 503 Busy\r\nX-Reason: load\r\n"),
    "error, interim": CONTINUE + with_length(REFUSAL, b"HTTP/1.1 503 Busy\r\n"),
    "error, close": b"HTTP/1.1 503 Busy\r\nX-Reason: load\r\n\r\n" + REFUSAL,
}


@dataclass(frozen=True)
class Seen:
    """What became of a request."""

    outcome: str = ""
    status: int = 0
    message: str = ""
    text: str = ""
    tokens: tuple[int | None, ...] = ()


class Transport:
    """A socket that sends nothing."""

    def __init__(self) -> None:
        self.is_open = True

    def writelines(self, _: Iterable[bytes]) -> None: ...

    def set_write_buffer_limits(self, _: int) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        self.is_open = False


class Exchange:
    """One request over a connection of its own, handled as in a replay: `seen` is what the log gets."""

    turns = 1
    key = "s"
    number = 0
    url = 0
    body = b"{}"

    def __init__(self, *, stream: bool, connection: Connection | None = None, max_bytes: int = 1 << 20) -> None:
        self.seen: Seen | None = None
        self.connection = connection or Connection()
        if connection is None:
            self.connection.connection_made(cast("Any", Transport()))
        rules = Rules()
        stated: Any = self
        cycle = RequestCycle(
            stated,
            stated,
            rules,
            lambda _: Answer("chat", stream, max_bytes=max_bytes),
            close=lambda *_, **__: None,
            crash=_raise,
        )
        self._active = ActiveSession(stated, "s", stated, 0)
        cycle.schedule(self._active, 0, 0)

    # The clock, the session, its connection and the log, as far as one request needs them.

    def now(self) -> int:
        return 0

    def at_ms(self) -> None: ...

    def delay_ms(self) -> float:
        return 0.0

    def request(self) -> Any:
        return self

    def answered(self, _: Any) -> None: ...

    def send(self, body: bytes, handler: ResponseHandler) -> None:
        self.connection.send(b"", body, handler)

    def cancel(self) -> None:
        self.connection.abort()

    def issued(self) -> None: ...

    def in_flight(self) -> None: ...

    def landed(self) -> None: ...

    def succeeded(self, in_flight: Any, active: Any, status: int) -> None:
        active.ended += 1
        answer = in_flight.answer
        self._end(Seen("ok", status, "", answer.text, (answer.prompt_tokens, answer.completion_tokens)))

    def failed(self, active: Any, outcome: str, status: int, message: str, _: Any) -> None:
        active.ended += 1
        self._end(Seen(outcome, status, message))

    def _end(self, seen: Seen) -> None:
        assert self.seen is None, "ended twice"
        self.seen = seen

    def receive(self, *reads: bytes, closed: bool = False) -> Seen | None:
        for read in reads:
            self.connection.data_received(read)
        if closed:
            self.connection.eof_received()
        return self.seen


def _raise(error: BaseException) -> None:
    raise error


def play(kind: str, *reads: bytes, closed: bool = False) -> Seen:
    seen = Exchange(stream=kind.startswith("stream")).receive(*reads, closed=closed)
    assert seen is not None, "the request has no end"
    return seen


def whole(kind: str) -> Seen:
    if kind.startswith("error"):
        return Seen("http_error", 503, "HTTP 503: not today (503)")
    text = "na\u00efve tok tok " if kind.startswith("stream") else "na\u00efve"
    return Seen("ok", 200, "", text, (9, 2))


@pytest.mark.parametrize("kind", KINDS)
def test_every_split_is_the_whole(kind: str) -> None:
    wire, expected = KINDS[kind], whole(kind)
    closed = kind.endswith("close")
    assert play(kind, wire, closed=closed) == expected
    assert play(kind, *(wire[at : at + 1] for at in range(len(wire))), closed=closed) == expected
    for at in range(1, len(wire)):
        assert play(kind, wire[:at], wire[at:], closed=closed) == expected, wire[:at]


@pytest.mark.parametrize("kind", KINDS)
def test_every_cut_is_a_failure_with_its_reason(kind: str) -> None:
    wire, expected = KINDS[kind], whole(kind)
    complete = wire.rstrip(b"\n") if kind.endswith("close") else wire  # what a closed connection can say
    if kind.startswith("stream"):  # the answer ends, even if HTTP does not
        complete = complete[: wire.index(b"[DONE]\n\n") + len(b"[DONE]\n\n")]
    for at in range(len(wire)):
        seen = play(kind, wire[:at], closed=True) if at else play(kind, closed=True)
        if at >= len(complete):
            assert seen == expected, wire[:at]
        elif kind == "error, close" and seen.outcome == "http_error":
            assert seen.status == 503
        else:
            assert seen.outcome not in {"ok", ""}, wire[:at]
        assert seen == expected or seen.message, wire[:at]


def test_of_two_answers_in_one_read_the_first_counts_and_the_connection_is_closed() -> None:
    first, second = with_length(STREAM), with_length(event(content="of another") + b"data: [DONE]\n\n")
    for follows in (second, second[:30], second[:-4], CONTINUE, b"garbage", b"\x00" * 100, in_chunks(STREAM, 30)):
        for cut in (0, 1, len(follows)):
            exchange = Exchange(stream=True)
            assert exchange.receive(first + follows[:cut], follows[cut:]) == whole("stream")
            assert not exchange.connection.usable
    exchange = Exchange(stream=True)
    assert exchange.receive(first) == whole("stream")
    assert exchange.connection.usable
    again = Exchange(stream=True, connection=exchange.connection)
    assert again.receive(CONTINUE + first) == whole("stream")


def test_an_answer_ends_before_http_does_and_the_rest_is_drained() -> None:
    wire = in_chunks(STREAM, len(STREAM))
    end = wire.index(b"[DONE]\n\n") + len(b"[DONE]\n\n")
    for cut in range(end, len(wire)):
        exchange = Exchange(stream=True)
        assert exchange.receive(wire[:end]) == whole("stream")
        exchange.connection.data_received(wire[end:cut]) if cut > end else None
        assert not exchange.connection.usable
        exchange.connection.data_received(wire[cut:])
        assert exchange.connection.usable
        assert Exchange(stream=True, connection=exchange.connection).receive(wire[:end]) == whole("stream")
    for follows in (b"garbage", b"\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n", b"\r\n1;" + b"a" * 70_000):
        exchange = Exchange(stream=True)
        assert exchange.receive(wire[:end], follows) == whole("stream")
        assert (exchange.connection.usable, exchange.connection.draining) == (False, False)
    exchange = Exchange(stream=True)
    assert exchange.receive(wire[:end], closed=True) == whole("stream")
    assert (exchange.connection.usable, exchange.connection.draining) == (False, False)


def test_data_after_the_end_is_never_the_next_answer() -> None:
    exchange = Exchange(stream=True)
    exchange.receive(with_length(STREAM))
    exchange.connection.data_received(with_length(STREAM))  # without a request
    assert not exchange.connection.usable


@pytest.mark.parametrize("where", ["head", "interim", "trailers", "one header", "chunk extension"])
@pytest.mark.parametrize("size", [1000, 70_000, 300_000])
def test_headers_are_limited(where: str, size: int) -> None:
    header = b"X-Fill: " + b"a" * 90 + b"\r\n"
    begin, repeated = {
        "head": (OK, header),
        "interim": (b"", b"HTTP/1.1 103 Early Hints\r\n" + header + b"\r\n"),
        "trailers": (OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n0\r\n", header),
        "one header": (OK + b"X-Fill: ", b"a" * 100),
        "chunk extension": (OK + b"Transfer-Encoding: chunked\r\n\r\n1;", b"a" * 100),
    }[where]
    exchange = Exchange(stream=True)
    exchange.receive(begin)
    sent = len(begin)
    read = (repeated * (size // len(repeated) + 1))[: size // len(repeated) * len(repeated) or len(repeated)]
    while exchange.seen is None and sent < 4 * MAX_HEAD_BYTES + size:
        exchange.receive(read)
        sent += len(read)
    assert exchange.seen is not None
    assert exchange.seen.outcome == "response_too_large"
    assert exchange.seen.message == "found more than 65,536 bytes of headers, expected fewer"
    assert not exchange.connection.usable
    assert sent <= MAX_HEAD_BYTES + 2 * size + len(begin)


def test_large_headers_within_the_limit_are_read() -> None:
    fill = b"".join(b"X-%d: %b\r\n" % (number, b"a" * 1000) for number in range(60))
    wire = with_length(STREAM, OK + fill)
    assert play("stream", wire) == whole("stream")
    assert play("stream", *(wire[at : at + 977] for at in range(0, len(wire), 977))) == whole("stream")


def test_an_answer_over_its_limit_fails_with_the_read_that_exceeds_it() -> None:
    exchange = Exchange(stream=True, max_bytes=100)
    seen = exchange.receive(OK + b"\r\n" + STREAM)
    assert seen is not None
    assert (seen.outcome, seen.message.endswith("(--max-answer)")) == ("response_too_large", True)
    assert not exchange.connection.usable


@pytest.mark.parametrize(("name", "bits"), [("GZIP", 31), ("x-gzip", 31), ("deflate", 15), ("deflate", -15)])
def test_a_compressed_body_is_read(name: str, bits: int) -> None:
    packer = zlib.compressobj(wbits=bits)
    head = f"Content-Encoding: {name}\r\n".encode()
    wire = with_length(packer.compress(STREAM) + packer.flush(), OK + head)
    assert play("stream", wire) == whole("stream")
    assert play("stream", *(wire[at : at + 1] for at in range(len(wire)))) == whole("stream")
    assert play("stream", with_length(STREAM, OK + b"Content-Encoding: identity\r\n")) == whole("stream")


@pytest.mark.parametrize(
    ("name", "body", "message"),
    [
        ("gzip", b"plain", "found a body that is not gzip, as its Content-Encoding says"),
        ("deflate", b"plain", "found a body that is not deflate, as its Content-Encoding says"),
        ("br", b"x", "found Content-Encoding br, expected identity, as asked for (gzip and deflate are read, too)"),
        ("zstd", b"x", "found Content-Encoding zstd, expected identity, as asked for (gzip and deflate are read, too)"),
    ],
)
def test_a_compressed_body_that_cannot_be_read_is_named(name: str, body: bytes, message: str) -> None:
    head = f"Content-Encoding: {name}\r\n".encode()
    assert play("stream", with_length(body, OK + head)) == Seen("bad_response", 200, message)


def test_a_small_compressed_body_cannot_fill_the_memory() -> None:
    """64 MiB in one small read: given up at the limit, of which not more than another MiB was unpacked."""
    packer = zlib.compressobj(wbits=31)
    packed = packer.compress(b": " + b"x" * (64 << 20)) + packer.flush()
    exchange = Exchange(stream=True, max_bytes=1 << 20)
    seen = exchange.receive(with_length(packed, OK + b"Content-Encoding: gzip\r\n"))
    assert seen is not None
    assert seen.outcome == "response_too_large"
    assert f"found a body of {2 << 20} bytes or more" in seen.message


def test_a_redirect_says_where_to() -> None:
    seen = play("stream", b"HTTP/1.1 308 Moved\r\nLocation: https://other/v1/\r\nContent-Length: 0\r\n\r\n")
    assert seen.message.startswith("HTTP 308: redirect to https://other/v1/ (")
    assert replace(seen, message="") == Seen("http_error", 308)
