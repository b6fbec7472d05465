"""HTTP connections: framing, reuse, pacing of new ones, failures."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from agentgen.replay import server_connections
from agentgen.replay.event_loop import new_event_loop
from agentgen.replay.job import Target
from agentgen.replay.parsed_response import retry_after_s
from agentgen.replay.pool import Pool
from agentgen.replay.route import Access
from replay_server import HEAD, Received, chunked, event, plain, refuse, serving, tokens

if TYPE_CHECKING:
    import ssl
    from collections.abc import Coroutine
    from pathlib import Path

    from agentgen.replay.protocols import Response

BODY = b'{"max_completion_tokens": 2}'


class Handler:
    """Records the events of one request."""

    def __init__(self, *, answers_end: bool = False) -> None:
        self.answers_end = answers_end
        self.over = asyncio.Event()
        self.reads: list[bytes] = []
        self.sent_ns = 0
        self.stamps: list[int] = []
        self.status = 0
        self.retry_after_s: float | None = None
        self.outcome = ""
        self.message = ""

    @property
    def body(self) -> bytes:
        return b"".join(self.reads)

    def sent(self, stamp_ns: int) -> None:
        self.sent_ns = stamp_ns

    def data(self, data: bytes, stamp_ns: int) -> bool:
        assert not self.over.is_set()
        self.reads.append(data)
        self.stamps.append(stamp_ns)
        return self.answers_end and data.endswith(b"[DONE]\n\n")

    def finished(self, response: Response, stamp_ns: int) -> None:
        assert not self.over.is_set()
        self.status, self.retry_after_s = response.status, response.retry_after_s
        self.over.set()

    def lost(self, outcome: str, status: int, message: str, stamp_ns: int) -> None:
        assert not self.over.is_set()
        self.status, self.outcome, self.message = status, outcome, message
        self.over.set()


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(asyncio.wait_for(coroutine, 20))


def target(*urls: str, **more: Any) -> Target:
    stated: dict[str, Any] = {
        "headers": {},
        "session_headers": ("X-Session-ID",),
        "connect_timeout_s": 5.0,
        "access": Access(),
        **more,
    }
    return Target(urls=urls, path="/chat/completions", **stated)


async def ask(session: Any, body: bytes = BODY) -> Handler:
    handler = Handler()
    session.send(body, handler)
    await handler.over.wait()
    return handler


def test_requests_and_responses_are_complete_and_share_a_connection() -> None:
    async def play() -> None:
        connections = Pool(target(server.url, headers={"X-Run": "7"}))
        session = connections.open("s1")
        for _ in range(5):
            handler = await ask(session)
            assert (handler.status, handler.outcome, handler.body) == (200, "", tokens(2))
            assert 0 < handler.sent_ns <= handler.stamps[0] <= time.monotonic_ns()
        await connections.close()

    with serving() as server:
        run(play())
        assert server.connections == 1
        (first, *_) = server.requests
        assert first.path == "/v1/chat/completions"
        assert first.body == BODY
        assert first.headers["x-run"] == "7"
        assert first.headers["host"] == server.url.split("/")[2]
        assert {received.session for received in server.requests} == {"s1"}


@pytest.mark.parametrize("framing", ["length", "chunked", "chunks", "close", "interim", "keep-alive off"])
def test_every_framing_of_a_body(framing: str) -> None:
    body = tokens(3)

    async def answer(_: Received, writer: asyncio.StreamWriter) -> None:
        match framing:
            case "length":
                writer.write(HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
            case "chunked":
                writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(body[:50], body[50:51], body[51:]))
            case "chunks":
                whole = (
                    HEAD
                    + b"Transfer-Encoding: chunked\r\n\r\n"
                    + chunked(*(body[i : i + 40] for i in range(0, len(body), 40)))
                )
                for index in range(0, len(whole), 97):
                    writer.write(whole[index : index + 97])
                    await asyncio.sleep(0.001)
            case "close":
                writer.write(HEAD + b"\r\n" + body)
                writer.close()
            case "interim":
                writer.write(
                    b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
                )
            case _:
                writer.write(HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    async def play() -> None:
        connections = Pool(target(server.url))
        session = connections.open("s")
        for _ in range(2):
            handler = await ask(session)
            assert (handler.status, handler.outcome, handler.body) == (200, "", body)
        await connections.close()

    with serving(answer) as server:
        run(play())
        assert server.connections == (2 if framing in {"close", "keep-alive off"} else 1)


@pytest.mark.parametrize("where", ["before", "after the head", "in a chunk", "between chunks"])
def test_a_broken_connection_is_reported_with_the_status_received(where: str) -> None:
    async def answer(_: Received, writer: asyncio.StreamWriter) -> None:
        if where != "before":
            writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        if where == "in a chunk":
            writer.write(b"ff\r\n" + event(content="a"))
        if where == "between chunks":
            writer.write(b"%x\r\n%b\r\n" % (len(event(content="a")), event(content="a")))
        await writer.drain()
        writer.close()

    async def play() -> None:
        connections = Pool(target(server.url))
        handler = await ask(connections.open("s"))
        assert (handler.outcome, handler.status) == ("connection_lost", 0 if where == "before" else 200)
        assert handler.body == (event(content="a") if "chunk" in where else b"")
        await connections.close()

    with serving(answer) as server:
        run(play())


@pytest.mark.parametrize(
    ("begun", "status"),
    [
        (b"", 0),
        (b"HTTP/1.1 200 OK\r\nContent-Type: te", 0),
        (b"HTTP/1.1 102 Processing\r\n\r\n", 0),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", 200),
    ],
)
def test_a_stale_connection_is_distinguished_from_a_broken_response(begun: bytes, status: int) -> None:
    async def answer(received: Received, writer: asyncio.StreamWriter) -> None:
        if sum(one.connection == received.connection for one in server.requests) == 1:
            await plain(received, writer)
            return
        writer.write(begun)
        await writer.drain()
        writer.close()

    async def play() -> None:
        connections = Pool(target(server.url))
        session = connections.open("s")
        outcomes = [(handler.outcome, handler.status) for handler in [await ask(session) for _ in range(4)]]
        assert outcomes == [("", 200), ("connection_lost" if begun else "stale_connection", status)] * 2
        await connections.close()

    with serving(answer) as server:
        run(play())


def test_a_response_that_is_not_http_is_a_lost_connection() -> None:
    async def answer(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")

    async def play() -> None:
        connections = Pool(target(server.url))
        handler = await ask(connections.open("s"))
        assert handler.outcome == "connection_lost"
        assert "not HTTP" in handler.message
        await connections.close()

    with serving(answer) as server:
        run(play())


def test_cancelling_closes_the_connection_and_delivers_no_more_events() -> None:
    async def answer(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(10)

    async def play() -> None:
        connections = Pool(target(server.url))
        session = connections.open("s")
        handler = Handler()
        session.send(BODY, handler)
        while not server.requests:
            await asyncio.sleep(0.01)
        session.cancel()
        while not server.disconnects:  # the time limit is that of `run`
            await asyncio.sleep(0.01)
        assert not handler.over.is_set()
        session.close()
        await connections.close()

    with serving(answer) as server:
        run(play())


def test_a_connection_that_the_server_closed_while_idle_is_not_reused() -> None:
    async def answer(received: Received, writer: asyncio.StreamWriter) -> None:
        await plain(received, writer)
        await writer.drain()
        writer.write_eof()  # half of it

    async def play() -> None:
        connections = Pool(target(server.url))
        session = connections.open("s")
        for _ in range(3):
            assert (await ask(session)).outcome == ""
            await asyncio.sleep(0.05)
        await connections.close()

    with serving(answer) as server:
        run(play())
        assert server.connections == 3


def test_a_connection_that_was_idle_too_long_is_not_reused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_connections, "IDLE_NS", 0)

    async def play() -> None:
        connections = Pool(target(server.url))
        session = connections.open("s")
        await ask(session)
        await ask(session)
        await connections.close()

    with serving() as server:
        run(play())
        assert server.connections == 2


def test_sessions_reuse_the_connections_of_ended_sessions() -> None:
    async def play() -> None:
        connections = Pool(target(server.url))

        async def play_session(number: int) -> None:
            session = connections.open(f"s{number}")
            for _ in range(3):
                await ask(session)
            session.close()

        for first in range(0, 40, 8):
            await asyncio.gather(*(play_session(number) for number in range(first, first + 8)))
        await connections.close()

    with serving() as server:
        run(play())
        assert len(server.requests) == 120
        assert server.connections <= 8
        by_session: dict[str, set[int]] = {}
        for received in server.requests:
            by_session.setdefault(received.session, set()).add(received.connection)
        assert all(len(used) == 1 for used in by_session.values())  # each keeps its own


def test_the_number_of_connection_attempts_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_connections, "MAX_CONNECTING", 3)
    most = 0

    async def play() -> None:
        nonlocal most
        connections = Pool(target(server.url))
        (connections_of_server,) = connections._servers  # noqa: SLF001
        handlers = []
        for number in range(20):
            handler = Handler()
            connections.open(f"s{number}").send(BODY, handler)
            most = max(most, len(connections_of_server._connecting))  # noqa: SLF001
            handlers.append(handler)
        for handler in handlers:
            await handler.over.wait()
            assert handler.outcome == ""
        await connections.close()

    with serving() as server:
        run(play())
    assert most == 3


def test_connection_refused_and_connection_timeout() -> None:
    async def play() -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            port = closed.getsockname()[1]
            connections = Pool(target(f"http://127.0.0.1:{port}/v1"))
            handler = await ask(connections.open("s"))
            assert handler.outcome == "connect_error"
            assert str(port) in handler.message
            await connections.close()
        with socket.socket() as full:  # a queue of one that is never taken from
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            address = full.getsockname()
            held = [socket.socket() for _ in range(4)]
            for one in held:
                one.setblocking(False)
                one.connect_ex(address)
            connections = Pool(target(f"http://127.0.0.1:{address[1]}/v1", connect_timeout_s=0.2))
            handler = await ask(connections.open("s"))
            assert handler.outcome == "timeout_connect"
            for one in held:
                one.close()
            await connections.close()

    run(play())


def test_sessions_stay_at_their_server_and_go_to_the_least_loaded() -> None:
    async def play() -> None:
        connections = Pool(target(first.url, second.url))
        sessions = [connections.open(f"s{number}") for number in range(10)]
        for _ in range(6):
            await asyncio.gather(*(ask(session) for session in sessions))
        for session in sessions[::2]:
            session.close()
        assert [connections.open(f"t{number}").url for number in range(5)] == [0] * 5  # where those five were
        await connections.close()

    with serving() as first, serving() as second:
        run(play())
        seen = [{received.session for received in server.requests} for server in (first, second)]
        assert not seen[0] & seen[1]
        assert [len(sessions) for sessions in seen] == [5, 5]
        assert [len(server.requests) for server in (first, second)] == [30, 30]


def test_sequential_sessions_alternate_between_servers_and_workers_start_at_different_ones() -> None:
    async def play() -> None:
        for first in range(2):
            connections = Pool(target("http://a/v1", "http://b/v1"), first)
            urls = []
            for number in range(4):
                session = connections.open(f"s{number}")
                urls.append(session.url)
                session.close()
            assert urls == [first, 1 - first] * 2
            await connections.close()

    run(play())


def test_an_unreachable_server_does_not_attract_all_sessions() -> None:
    async def play() -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            dead = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
            connections = Pool(target(dead, server.url))
            session = connections.open("s0")
            assert (await ask(session)).outcome == "connect_error"
            session.close()
            for number in range(1, 6):
                assert connections.open(f"s{number}").url == 1
            await connections.close()

    with serving() as server:
        run(play())


def test_a_prompt_of_40_mb() -> None:
    body = b'{"max_completion_tokens": 1, "prompt": "' + b"x" * 40_000_000 + b'"}'

    async def play() -> None:
        connections = Pool(target(server.url))
        assert (await ask(connections.open("s"), body)).status == 200
        await connections.close()

    with serving() as server:
        run(play())
        assert len(server.requests[0].body) == len(body)


def test_a_response_before_the_request_is_read_ends_the_connection() -> None:
    answered = threading.Barrier(2)

    def early(listening: socket.socket) -> None:
        for _ in range(2):
            accepted, _ = listening.accept()
            with accepted:
                accepted.recv(1024)
                accepted.sendall(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
                answered.wait()

    async def play(port: int) -> None:
        connections = Pool(target(f"http://127.0.0.1:{port}/v1"))
        session = connections.open("s")
        for _ in range(2):  # each on a connection of its own
            assert (await ask(session, b"x" * 30_000_000)).status == 413
            answered.wait()
        await connections.close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=early, args=(listening,))
        thread.start()
        run(play(listening.getsockname()[1]))
        thread.join()


def test_retry_after_is_seconds_or_a_date() -> None:
    assert retry_after_s(b"") is None
    assert retry_after_s(b"7") == 7
    assert retry_after_s(b"soon") is None
    assert retry_after_s(b"Wed, 21 Oct 2015 07:28:00 GMT") == 0
    for malformed in (
        b"",
        b"9" * 400,
        b"Mon, 01 Jan 2020 00:00:00 +99999999999999999999",
        b"Mon, 01 Jan 99999 00:00:00",
    ):
        assert retry_after_s(malformed) is None
    ahead = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 60)).encode()
    found = retry_after_s(ahead)
    assert found is not None
    assert 50 < found <= 60


def test_retry_after_is_delivered_with_the_refusal() -> None:
    async def answer(_: Received, writer: asyncio.StreamWriter) -> None:
        refuse(writer, "429 Too Many Requests", "Retry-After: 3")

    async def play() -> None:
        connections = Pool(target(server.url))
        handler = await ask(connections.open("s"))
        assert (handler.status, handler.retry_after_s) == (429, 3)
        assert b"not today" in handler.body
        await connections.close()

    with serving(answer) as server:
        run(play())


def test_tls_is_verified(certificate: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch) -> None:
    file, context = certificate

    async def play(outcome: str) -> None:
        connections = Pool(target(server.url))
        handler = await ask(connections.open("s"))
        assert handler.outcome == outcome
        await connections.close()

    with serving(context=context) as server:
        run(play("connect_error"))
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        run(play(""))


def test_session_keys_that_are_invalid_in_a_header_are_quoted() -> None:
    async def play() -> None:
        connections = Pool(target(server.url, session_headers=("X-Session-ID", "X-Route")))
        await ask(connections.open("naïve\r\nX-Evil: 1"))
        await ask(connections.open("a b%c"))
        await connections.close()

    with serving() as server:
        run(play())
        assert [received.session for received in server.requests] == ["na%C3%AFve%0D%0AX-Evil%3A%201", "a b%c"]
        assert server.requests[0].headers["x-route"] == server.requests[0].session
        assert "x-evil" not in server.requests[0].headers
