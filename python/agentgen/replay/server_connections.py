"""The connections to one server: idle ones, those being opened, and the sessions that wait for one."""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from time import monotonic_ns
from typing import TYPE_CHECKING
from weakref import WeakSet

from agentgen.replay import urls
from agentgen.replay.http import Connection
from agentgen.replay.route import Route, why_not
from agentgen.replay.units import NS_PER_S

if TYPE_CHECKING:
    from agentgen.replay.job import Target
    from agentgen.replay.protocols import ConnectionWaiter

IDLE_NS = 4 * NS_PER_S  # servers close idle connections, many after 5 s
MAX_CONNECTING = 128  # per server at a time; more could overflow the listen queue


class ServerConnections:
    """The connections to one server.

    Attributes:
        number: Index of the server in `--url`.
        sessions: Number of open sessions.
        opened: Number of sessions opened so far.
        failed_ns: When connecting last failed.
        ends_late: A response did not end soon after its answer.
        head: The head of every request without the session's headers and the body's length.
    """

    def __init__(self, number: int, url: str, target: Target) -> None:
        route = Route(urls.page(url, target.path), target.access)
        self.number = number
        self.sessions = 0
        self.opened = 0
        self.failed_ns = 0
        self.ends_late = False
        self._route = route
        self._timeout_s = target.connect_timeout_s
        self._all: WeakSet[Connection] = WeakSet()
        self._idle: deque[Connection] = deque()
        self._waiters: deque[ConnectionWaiter] = deque()
        self._connecting: dict[asyncio.Task[None], ConnectionWaiter] = {}
        lines = [f"POST {route.target} HTTP/1.1", f"Host: {route.netloc}"]
        lines += [f"{name}: {value}" for name, value in {**target.headers, **route.headers}.items()]
        self.head = "\r\n".join([*lines, "Content-Type: application/json", ""]).encode("latin-1")

    @staticmethod
    def is_reusable(connection: Connection) -> bool:
        """The connection is open, and the server is not likely to close it as idle."""
        return connection.usable and connection.idle_since_ns > monotonic_ns() - IDLE_NS

    def take_idle(self) -> Connection | None:
        """The most recently used idle connection that is reusable; None if there is none."""
        while self._idle:
            connection = self._idle.pop()
            if self.is_reusable(connection):
                return connection
            connection.abort()
        return None

    def give_back(self, connection: Connection) -> None:
        """Give a connection to the session that has waited longest, or keep it as idle."""
        if connection.draining and not self.ends_late:
            connection.when_drained(partial(self.give_back, connection))
            return
        if not connection.usable:
            connection.abort()
            return
        while self._waiters:
            if self._waiters.popleft().connected(connection):
                return
        self._idle.append(connection)
        while self._idle and self._idle[0].idle_since_ns < connection.idle_since_ns - IDLE_NS:
            self._idle.popleft().abort()

    def connect(self, waiter: ConnectionWaiter) -> None:
        """Open a connection for a session now, or when fewer are being opened."""
        if len(self._connecting) >= MAX_CONNECTING:
            self._waiters.append(waiter)
            return
        task = asyncio.get_running_loop().create_task(self._connect(waiter))
        self._connecting[task] = waiter
        task.add_done_callback(self._connected)

    async def _connect(self, waiter: ConnectionWaiter) -> None:
        host, port = self._route.host, self._route.port
        try:
            async with asyncio.timeout(self._timeout_s):
                connection = await self._route.connect(Connection)
        except TimeoutError:
            self.failed_ns = monotonic_ns()
            limit = "the system's time limit" if self._timeout_s is None else f"{self._timeout_s:g} s"
            waiter.unreachable("timeout_connect", f"{host}:{port}: no connection within {limit}")
        except (OSError, UnicodeError) as error:  # UnicodeError: not a valid host name
            self.failed_ns = monotonic_ns()
            waiter.unreachable("connect_error", f"{host}:{port}: {why_not(error)}")
        else:
            self._all.add(connection)
            if not waiter.connected(connection):
                self.give_back(connection)

    def _connected(self, task: asyncio.Task[None]) -> None:
        del self._connecting[task]
        if not task.cancelled() and (error := task.exception()):
            asyncio.get_running_loop().call_exception_handler({"message": "connecting", "exception": error})
        while self._waiters and len(self._connecting) < MAX_CONNECTING:
            waiter = self._waiters.popleft()
            if waiter.waiting:
                self.connect(waiter)

    def forget(self, waiter: ConnectionWaiter) -> None:
        """Stop opening a connection that the session no longer needs."""
        for task in [task for task, owner in self._connecting.items() if owner is waiter]:
            task.cancel()

    async def close(self) -> None:
        """Close all connections."""
        tasks = list(self._connecting)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in self._all:
            connection.abort()
