"""Connections: framing, keeping, pacing, breaking. Ids are those of the requirements."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from agentgen.replay import pool
from agentgen.replay.http import retry_after_s
from agentgen.replay.pool import Pool, Target
from agentgen.replay.timing import new_event_loop
from replay_server import HEAD, Received, chunked, event, plain, refuse, serving, tokens

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

BODY = b'{"max_completion_tokens": 2}'


class Sink:
    """Keeps what it is told."""

    def __init__(self) -> None:
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

    def data(self, data: bytes, stamp_ns: int) -> None:
        assert not self.over.is_set()
        self.reads.append(data)
        self.stamps.append(stamp_ns)

    def finished(self, status: int, retry_after_s: float | None, stamp_ns: int) -> None:
        assert not self.over.is_set()
        self.status, self.retry_after_s = status, retry_after_s
        self.over.set()

    def lost(self, outcome: str, status: int, message: str, stamp_ns: int) -> None:
        assert not self.over.is_set()
        self.status, self.outcome, self.message = status, outcome, message
        self.over.set()


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(asyncio.wait_for(coroutine, 20))


def target(*urls: str, **more: Any) -> Target:
    stated: dict[str, Any] = {"headers": {}, "session_headers": ("X-Session-ID",), "connect_timeout_s": 5.0, **more}
    return Target(urls=urls, path="/chat/completions", **stated)


async def ask(route: Any, body: bytes = BODY) -> Sink:
    sink = Sink()
    route.send(body, sink)
    await sink.over.wait()
    return sink


def test_requests_and_answers_are_whole_and_the_connection_is_kept() -> None:
    async def play() -> None:
        connections = Pool(target(server.url, headers={"X-Run": "7"}))
        route = connections.open("s1")
        for _ in range(5):
            sink = await ask(route)
            assert (sink.status, sink.outcome, sink.body) == (200, "", tokens(2))
            assert 0 < sink.sent_ns <= sink.stamps[0] <= time.monotonic_ns()
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
        route = connections.open("s")
        for _ in range(2):
            sink = await ask(route)
            assert (sink.status, sink.outcome, sink.body) == (200, "", body)
        await connections.close()

    with serving(answer) as server:
        run(play())
        assert server.connections == (2 if framing in {"close", "keep-alive off"} else 1)


@pytest.mark.parametrize("where", ["before", "after the head", "in a chunk", "between chunks"])
def test_n6_a_connection_that_breaks_is_told_and_where(where: str) -> None:
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
        sink = await ask(connections.open("s"))
        assert (sink.outcome, sink.status) == ("connection_lost", 0 if where == "before" else 200)
        assert sink.body == (event(content="a") if "chunk" in where else b"")
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
def test_a_server_that_hangs_up_after_an_answer_is_told_from_one_that_breaks_off(begun: bytes, status: int) -> None:
    async def answer(received: Received, writer: asyncio.StreamWriter) -> None:
        if sum(one.connection == received.connection for one in server.requests) == 1:
            await plain(received, writer)
            return
        writer.write(begun)
        await writer.drain()
        writer.close()

    async def play() -> None:
        connections = Pool(target(server.url))
        route = connections.open("s")
        told = [(sink.outcome, sink.status) for sink in [await ask(route) for _ in range(4)]]
        assert told == [("", 200), ("connection_lost" if begun else "hung_up", status)] * 2
        await connections.close()

    with serving(answer) as server:
        run(play())


def test_what_is_no_http_is_a_lost_connection() -> None:
    async def answer(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")

    async def play() -> None:
        connections = Pool(target(server.url))
        sink = await ask(connections.open("s"))
        assert sink.outcome == "connection_lost"
        assert "not HTTP" in sink.message
        await connections.close()

    with serving(answer) as server:
        run(play())


def test_n11_cancelling_closes_the_connection_and_tells_nothing_more() -> None:
    async def answer(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(10)

    async def play() -> None:
        connections = Pool(target(server.url))
        route = connections.open("s")
        sink = Sink()
        route.send(BODY, sink)
        while not server.requests:
            await asyncio.sleep(0.01)
        route.cancel()
        while not server.disconnects:  # the time limit is that of `run`
            await asyncio.sleep(0.01)
        assert not sink.over.is_set()
        route.close()
        await connections.close()

    with serving(answer) as server:
        run(play())


def test_a_connection_that_the_server_closed_while_idle_is_not_used() -> None:
    async def answer(received: Received, writer: asyncio.StreamWriter) -> None:
        await plain(received, writer)
        await writer.drain()
        writer.write_eof()  # half of it

    async def play() -> None:
        connections = Pool(target(server.url))
        route = connections.open("s")
        for _ in range(3):
            assert (await ask(route)).outcome == ""
            await asyncio.sleep(0.05)
        await connections.close()

    with serving(answer) as server:
        run(play())
        assert server.connections == 3


def test_a_connection_that_was_idle_for_long_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "IDLE_NS", 0)

    async def play() -> None:
        connections = Pool(target(server.url))
        route = connections.open("s")
        await ask(route)
        await ask(route)
        await connections.close()

    with serving() as server:
        run(play())
        assert server.connections == 2


def test_connections_are_handed_on_and_as_many_as_sessions_at_most() -> None:
    async def play() -> None:
        connections = Pool(target(server.url))

        async def session(number: int) -> None:
            route = connections.open(f"s{number}")
            for _ in range(3):
                await ask(route)
            route.close()

        for first in range(0, 40, 8):
            await asyncio.gather(*(session(number) for number in range(first, first + 8)))
        await connections.close()

    with serving() as server:
        run(play())
        assert len(server.requests) == 120
        assert server.connections <= 8
        by_session: dict[str, set[int]] = {}
        for received in server.requests:
            by_session.setdefault(received.session, set()).add(received.connection)
        assert all(len(used) == 1 for used in by_session.values())  # each keeps its own


def test_connecting_is_paced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "CONNECTS", 3)
    most = 0

    async def play() -> None:
        nonlocal most
        connections = Pool(target(server.url))
        (endpoint,) = connections._endpoints  # noqa: SLF001
        sinks = []
        for number in range(20):
            sink = Sink()
            connections.open(f"s{number}").send(BODY, sink)
            most = max(most, len(endpoint._connecting))  # noqa: SLF001
            sinks.append(sink)
        for sink in sinks:
            await sink.over.wait()
            assert sink.outcome == ""
        await connections.close()

    with serving() as server:
        run(play())
    assert most == 3


def test_nobody_listens_and_nobody_accepts() -> None:
    async def play() -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            port = closed.getsockname()[1]
            connections = Pool(target(f"http://127.0.0.1:{port}/v1"))
            sink = await ask(connections.open("s"))
            assert sink.outcome == "connect_error"
            assert str(port) in sink.message
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
            sink = await ask(connections.open("s"))
            assert sink.outcome == "timeout_connect"
            for one in held:
                one.close()
            await connections.close()

    run(play())


def test_e6_sessions_stay_at_their_endpoint_and_go_where_fewest_are() -> None:
    async def play() -> None:
        connections = Pool(target(first.url, second.url))
        routes = [connections.open(f"s{number}") for number in range(10)]
        for _ in range(6):
            await asyncio.gather(*(ask(route) for route in routes))
        for route in routes[::2]:
            route.close()
        assert [connections.open(f"t{number}").url for number in range(5)] == [0] * 5  # where those five were
        await connections.close()

    with serving() as first, serving() as second:
        run(play())
        seen = [{received.session for received in server.requests} for server in (first, second)]
        assert not seen[0] & seen[1]
        assert [len(sessions) for sessions in seen] == [5, 5]
        assert [len(server.requests) for server in (first, second)] == [30, 30]


def test_e6_sessions_one_after_the_other_take_turns_and_workers_begin_at_different_endpoints() -> None:
    async def play() -> None:
        for first in range(2):
            connections = Pool(target("http://a/v1", "http://b/v1"), first)
            urls = []
            for number in range(4):
                route = connections.open(f"s{number}")
                urls.append(route.url)
                route.close()
            assert urls == [first, 1 - first] * 2
            await connections.close()

    run(play())


def test_e6_a_dead_endpoint_does_not_draw_all_sessions() -> None:
    async def play() -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            dead = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
            connections = Pool(target(dead, server.url))
            route = connections.open("s0")
            assert (await ask(route)).outcome == "connect_error"
            route.close()
            for number in range(1, 6):
                assert connections.open(f"s{number}").url == 1
            await connections.close()

    with serving() as server:
        run(play())


def test_n14_a_prompt_of_40_mb() -> None:
    body = b'{"max_completion_tokens": 1, "prompt": "' + b"x" * 40_000_000 + b'"}'

    async def play() -> None:
        connections = Pool(target(server.url))
        assert (await ask(connections.open("s"), body)).status == 200
        await connections.close()

    with serving() as server:
        run(play())
        assert len(server.requests[0].body) == len(body)


def test_an_answer_before_the_request_is_read_ends_the_connection() -> None:
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
        route = connections.open("s")
        for _ in range(2):  # each on a connection of its own
            assert (await ask(route, b"x" * 30_000_000)).status == 413
            answered.wait()
        await connections.close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=early, args=(listening,))
        thread.start()
        run(play(listening.getsockname()[1]))
        thread.join()


def test_retry_after_has_seconds_or_a_date() -> None:
    assert retry_after_s(None) is None
    assert retry_after_s(b"7") == 7
    assert retry_after_s(b"soon") is None
    assert retry_after_s(b"Wed, 21 Oct 2015 07:28:00 GMT") == 0
    ahead = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 60)).encode()
    found = retry_after_s(ahead)
    assert found is not None
    assert 50 < found <= 60


def test_retry_after_is_told_with_the_refusal() -> None:
    async def answer(_: Received, writer: asyncio.StreamWriter) -> None:
        refuse(writer, "429 Too Many Requests", "Retry-After: 3")

    async def play() -> None:
        connections = Pool(target(server.url))
        sink = await ask(connections.open("s"))
        assert (sink.status, sink.retry_after_s) == (429, 3)
        assert b"not today" in sink.body
        await connections.close()

    with serving(answer) as server:
        run(play())


def test_tls_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ssl  # noqa: PLC0415

    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    try:
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
                *("-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
                *("-keyout", str(key), "-out", str(certificate)),
            ],
            check=True,
            capture_output=True,
        )
    except FileNotFoundError:
        pytest.skip("openssl is not installed: no certificate to test with")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def play(outcome: str) -> None:
        connections = Pool(target(server.url))
        sink = await ask(connections.open("s"))
        assert sink.outcome == outcome
        await connections.close()

    with serving(context=context) as server:
        run(play("connect_error"))
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        run(play(""))


def test_session_keys_that_are_no_header_are_quoted() -> None:
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
