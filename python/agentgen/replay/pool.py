"""Connections to several endpoints: a session stays at one of them, and on its connection as long as that lasts."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from dataclasses import dataclass
from time import monotonic_ns
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit
from weakref import WeakSet

from agentgen.replay.http import Connection

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentgen.replay.ports import Sink

IDLE_NS = 4_000_000_000  # servers hang up on idle clients, many after 5 s: sooner is safe
DOWN_NS = 1_000_000_000
CONNECTS = 128  # attempts at a time and endpoint; more overrun the queue of a listening socket


@dataclass(frozen=True)
class Target:
    """Where and how requests are sent.

    Attributes:
        urls: Base addresses, such as `http://127.0.0.1:8000/v1`.
        path: Of the requests, below each address: `/chat/completions`.
        headers: Of every request.
        session_headers: Names of headers that hold the session's key.
        connect_timeout_s: Of one attempt to connect, seconds; None for as long as the system tries.
    """

    urls: tuple[str, ...]
    path: str
    headers: Mapping[str, str]
    session_headers: Sequence[str]
    connect_timeout_s: float | None


class Endpoint:
    """The connections to one address.

    Attributes:
        sessions: Sessions that are open here.
        opened: Sessions that ever were.
        failed_ns: When connecting failed last; new sessions then go elsewhere for a while, if there is an elsewhere.
        head: The head of every request, but for the session's headers and the body's length.
    """

    def __init__(self, number: int, url: str, target: Target) -> None:
        parts = urlsplit(url)
        host = parts.hostname or ""
        secure = parts.scheme == "https"
        self.number = number
        self.sessions = 0
        self.opened = 0
        self.failed_ns = 0
        self._address = (host, parts.port or (443 if secure else 80))
        self._ssl = ssl.create_default_context() if secure else None
        self._timeout_s = target.connect_timeout_s
        self._all: WeakSet[Connection] = WeakSet()
        self._idle: deque[Connection] = deque()
        self._waiting: deque[SessionRoute] = deque()
        self._connecting: dict[asyncio.Task[None], SessionRoute] = {}
        lines = [f"POST {parts.path}{target.path} HTTP/1.1", f"Host: {parts.netloc}"]
        lines += [f"{name}: {value}" for name, value in target.headers.items()]
        self.head = "\r\n".join([*lines, "Content-Type: application/json", ""]).encode("latin-1")

    def take(self) -> Connection | None:
        """The idle connection that was used last, if it is likely to be open still."""
        oldest = monotonic_ns() - IDLE_NS
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and connection.idle_since_ns > oldest:
                return connection
            connection.abort()
        return None

    def give(self, connection: Connection) -> None:
        """Take back a connection that no session holds; it serves whoever waits for one."""
        if not connection.usable:
            return
        while self._waiting:
            if self._waiting.popleft().connected(connection):
                return
        self._idle.append(connection)
        while self._idle and self._idle[0].idle_since_ns < connection.idle_since_ns - IDLE_NS:
            self._idle.popleft().abort()

    def connect(self, route: SessionRoute) -> None:
        """Open a connection for a route, now or when fewer are being opened."""
        if len(self._connecting) >= CONNECTS:
            self._waiting.append(route)
            return
        task = asyncio.get_running_loop().create_task(self._connect(route))
        self._connecting[task] = route
        task.add_done_callback(self._connected)

    async def _connect(self, route: SessionRoute) -> None:
        host, port = self._address
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout_s):
                _, connection = await loop.create_connection(Connection, host, port, ssl=self._ssl)
        except TimeoutError:
            self.failed_ns = monotonic_ns()
            limit = "time" if self._timeout_s is None else f"{self._timeout_s:g} s"
            route.unreachable("timeout_connect", f"{host}:{port}: no connection within {limit}")
        except (OSError, UnicodeError) as error:  # the latter: a name that is none
            self.failed_ns = monotonic_ns()
            route.unreachable("connect_error", f"{host}:{port}: {error}")
        else:
            self._all.add(connection)
            if not route.connected(connection):
                self.give(connection)

    def _connected(self, task: asyncio.Task[None]) -> None:
        del self._connecting[task]
        if not task.cancelled() and (error := task.exception()):
            asyncio.get_running_loop().call_exception_handler({"message": "connecting", "exception": error})
        while self._waiting and len(self._connecting) < CONNECTS:
            route = self._waiting.popleft()
            if route.wants:
                self.connect(route)

    def forget(self, route: SessionRoute) -> None:
        """The route needs no connection any more."""
        for task in [task for task, owner in self._connecting.items() if owner is route]:
            task.cancel()

    async def close(self) -> None:
        """Close everything."""
        tasks = list(self._connecting)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in self._all:
            connection.abort()


class SessionRoute:
    """The way of one session's requests.

    Attributes:
        url: Number of the endpoint.
        wants: A request waits for a connection.
    """

    __slots__ = ("_body", "_connection", "_endpoint", "_head", "_sink", "url", "wants")

    def __init__(self, endpoint: Endpoint, headers: bytes) -> None:
        self.url = endpoint.number
        self.wants = False
        self._endpoint = endpoint
        self._head = endpoint.head + headers + b"Content-Length: "
        self._connection: Connection | None = None
        self._body = b""
        self._sink: Sink | None = None
        endpoint.sessions += 1
        endpoint.opened += 1

    def send(self, body: bytes, sink: Sink, *, anew: bool = False) -> None:
        """Send now, if there is a connection to be trusted, or as soon as there is one: `anew` trusts none."""
        connection = self._connection
        if connection is None or not connection.usable or connection.idle_since_ns < monotonic_ns() - IDLE_NS:
            if connection is not None:
                connection.abort()
            connection = self._connection = None if anew else self._endpoint.take()
        if connection is not None:
            connection.send(self._head, body, sink)
            return
        self._body, self._sink, self.wants = body, sink, True
        self._endpoint.connect(self)

    def connected(self, connection: Connection) -> bool:
        """Use a connection, if it is still wanted."""
        sink = self._sink
        if sink is None:
            return False
        body = self._body
        self._body, self._sink, self.wants = b"", None, False
        self._connection = connection
        connection.send(self._head, body, sink)
        return True

    def unreachable(self, outcome: str, message: str) -> None:
        """There is no connection to be had."""
        sink = self._sink
        self._body, self._sink, self.wants = b"", None, False
        if sink is not None:
            sink.lost(outcome, 0, message, monotonic_ns())

    def cancel(self) -> None:
        """Give up the request in flight and close its connection, so that the server stops, too."""
        if self.wants:
            self._body, self._sink, self.wants = b"", None, False
            self._endpoint.forget(self)
        if self._connection is not None:
            self._connection.abort()
            self._connection = None

    def close(self) -> None:
        """The session is over: its connection may serve another."""
        self._endpoint.sessions -= 1
        connection, self._connection = self._connection, None
        if connection is not None:
            self._endpoint.give(connection)


class Pool:
    """All endpoints; made within the running loop. A new session goes where the fewest are open, or have been.

    Where that is the same, the endpoint number `first` is the first one: workers differ in it.
    """

    def __init__(self, target: Target, first: int = 0) -> None:
        first %= len(target.urls)
        self._endpoints = [Endpoint(number, url, target) for number, url in enumerate(target.urls)]
        self._by_preference = [*self._endpoints[first:], *self._endpoints[:first]]
        self._names = tuple(target.session_headers)

    def open(self, key: str) -> SessionRoute:
        """The way of a new session."""
        since = monotonic_ns() - DOWN_NS
        endpoint = min(self._by_preference, key=lambda one: (one.failed_ns > since, one.sessions, one.opened))
        value = key if key.isascii() and key.isprintable() else quote(key)
        return SessionRoute(endpoint, "".join(f"{name}: {value}\r\n" for name in self._names).encode("latin-1"))

    async def close(self) -> None:
        """Close all connections."""
        for endpoint in self._endpoints:
            await endpoint.close()
        await asyncio.sleep(0)  # the loop closes the sockets in its next turn
