"""A session's connection: requests of one session stay at one server, and on one connection while it is open."""

from __future__ import annotations

from time import monotonic_ns
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentgen.replay.http import Connection
    from agentgen.replay.protocols import ResponseHandler
    from agentgen.replay.server_connections import ServerConnections


class StickyConnection:
    """The connection of one session.

    Attributes:
        url: Index of the server in `--url`.
        waiting: A request waits for a connection.
    """

    __slots__ = ("_body", "_connection", "_handler", "_head", "_server", "url", "waiting")

    def __init__(self, server: ServerConnections, headers: bytes) -> None:
        self.url = server.number
        self.waiting = False
        self._server = server
        self._head = server.head + headers + b"Content-Length: "
        self._connection: Connection | None = None
        self._body = b""
        self._handler: ResponseHandler | None = None
        server.sessions += 1
        server.opened += 1

    def send(self, body: bytes, handler: ResponseHandler, *, new_connection: bool = False) -> None:
        """Send over the open connection or an idle one, else when a connection is open.

        With `new_connection`, an idle connection is not taken.
        """
        connection = self._connection
        if connection is None or not self._server.is_reusable(connection):
            if connection is not None:
                connection.abort()
            connection = self._connection = None if new_connection else self._server.take_idle()
        if connection is not None:
            connection.send(self._head, body, handler)
            return
        self._body, self._handler, self.waiting = body, handler, True
        self._server.connect(self)

    def connected(self, connection: Connection) -> bool:
        """Send the waiting request over this connection; False if no request waits."""
        handler = self._handler
        if handler is None:
            return False
        body = self._body
        self._body, self._handler, self.waiting = b"", None, False
        self._connection = connection
        connection.send(self._head, body, handler)
        return True

    def unreachable(self, outcome: str, message: str) -> None:
        """Fail the waiting request: the connection could not be opened."""
        handler = self._handler
        self._body, self._handler, self.waiting = b"", None, False
        if handler is not None:
            handler.lost(outcome, 0, message, monotonic_ns())

    def cancel(self) -> None:
        """Abandon the request in flight and close its connection, so that the server stops computing."""
        if self.waiting:
            self._body, self._handler, self.waiting = b"", None, False
            self._server.forget(self)
        if self._connection is not None:
            self._connection.abort()
            self._connection = None

    def close(self) -> None:
        """End the session: other sessions may reuse its connection."""
        self._server.sessions -= 1
        connection, self._connection = self._connection, None
        if connection is not None:
            self._server.give_back(connection)
