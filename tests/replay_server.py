"""A small test server on raw asyncio, so that it can violate HTTP and the API on purpose."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Iterator

    Handler = Callable[["Received", asyncio.StreamWriter], Awaitable[None]]

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"


@dataclass
class Received:
    """A request as received."""

    path: str
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def session(self) -> str:
        return self.headers["x-session-id"]


@dataclass
class TestServer:
    """State of a running server: what it has received, and what it answers to GET."""

    __test__ = False

    url: str = ""
    requests: list[Received] = field(default_factory=list)
    probes: list[Received] = field(default_factory=list)
    connections: int = 0
    disconnects: list[str] = field(default_factory=list)
    running: Counter[str] = field(default_factory=Counter)
    most_running: int = 0
    models: list[dict[str, Any]] = field(default_factory=lambda: [{"id": "m"}])
    metrics: str = ""
    pages: dict[str, bytes] = field(default_factory=dict)


def event(**delta: Any) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}).encode() + b"\n\n"


def tokens(count: int, prompt: int = 0) -> bytes:
    """A complete event stream."""
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}
    usage = {"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": count}}
    ends = b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in (last, usage))
    return event(content="tok ") * count + ends + b"data: [DONE]\n\n"


def chunked(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


async def plain(received: Received, writer: asyncio.StreamWriter) -> None:
    """Write a complete response."""
    body = tokens(received.json.get("max_completion_tokens", 4))
    writer.write(HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))


def refuse(writer: asyncio.StreamWriter, status: str, *headers: str) -> None:
    body = b'{"error": {"message": "not today"}}'
    lines = "".join(f"{line}\r\n" for line in headers)
    writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{lines}\r\n".encode() + body)


@contextmanager
def serving(  # noqa: C901, PLR0915  one server in one place
    handler: Handler = plain, context: ssl.SSLContext | None = None, *, probe: Handler = plain
) -> Iterator[TestServer]:
    """Run a server in another thread."""
    seen = TestServer()
    loop = asyncio.new_event_loop()
    started = threading.Event()
    stopped: asyncio.Event

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.connections += 1
        number = seen.connections
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                first, *lines = head.decode().strip().split("\r\n")
                headers = {key.lower(): value for key, _, value in (line.partition(": ") for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                received = Received(first.split()[1], headers, body, number)
                if first.startswith("GET"):
                    answer(received.path, writer)
                    continue
                if "x-session-id" not in headers:  # the request before the replay
                    seen.probes.append(received)
                    await probe(received, writer)
                    continue
                seen.requests.append(received)
                seen.running[received.session] += 1
                seen.most_running = max(seen.most_running, seen.running.total())
                answering = asyncio.ensure_future(handler(received, writer))
                watching = asyncio.ensure_future(closed(reader, received.session))
                try:
                    await asyncio.wait((answering, watching), return_when=asyncio.FIRST_COMPLETED)
                    if watching.done():
                        return  # the client closed the connection
                    answering.result()
                    await writer.drain()
                finally:
                    answering.cancel()
                    watching.cancel()
                    seen.running[received.session] -= 1
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()

    async def closed(reader: asyncio.StreamReader, session: str) -> None:
        while not reader.at_eof():
            await asyncio.sleep(0.005)
            if reader.exception():
                break
        seen.disconnects.append(session)

    def answer(path: str, writer: asyncio.StreamWriter) -> None:
        page = next((page for name, page in seen.pages.items() if path.endswith(name)), None)
        if page is not None:
            body = page
        elif path.endswith("/models"):
            body = json.dumps({"object": "list", "data": seen.models}).encode()
        elif path.endswith("/metrics") and seen.metrics:
            body = seen.metrics.encode()
        else:
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    async def run() -> None:
        nonlocal stopped
        stopped = asyncio.Event()
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context, limit=1 << 26)
        port = server.sockets[0].getsockname()[1]
        seen.url = f"{'https' if context else 'http'}://127.0.0.1:{port}/v1"
        started.set()
        await stopped.wait()
        server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def main() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(run())

    thread = threading.Thread(target=main)
    thread.start()
    started.wait()
    try:
        yield seen
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join()


@contextmanager
def flooding(serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> Iterator[str]:
    """Run a server that need not speak HTTP in another thread; yields its URL."""
    loop = asyncio.new_event_loop()
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.CancelledError):
            await serve(reader, writer)
        writer.transport.abort()

    async def run() -> None:
        async with await asyncio.start_server(connected, sock=listening):
            await asyncio.Event().wait()

    task = loop.create_task(run())

    def main() -> None:
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(task)
        tasks = asyncio.all_tasks(loop)
        for one in tasks:
            one.cancel()
        if tasks:
            loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.run_until_complete(asyncio.sleep(0))  # closes the sockets
        loop.close()

    thread = threading.Thread(target=main)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
