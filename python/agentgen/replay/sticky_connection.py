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
        connection, server = self._connection, self._server
        if connection is not None and connection.draining and not server.ends_late:
            self._body, self._handler = body, handler
            connection.when_drained(self._send_drained)
            return
        if connection is None or not server.is_reusable(connection):
            if connection is not None:
                connection.abort()
            connection = self._connection = None if new_connection else server.take_idle()
        if connection is not None:
            connection.send(self._head, body, handler)
            return
        self._body, self._handler, self.waiting = body, handler, True
        server.connect(self)

    def _send_drained(self) -> None:
        """Send the request that waited for the end of the response before, or for its time limit."""
        body, handler, connection = self._body, self._handler, self._connection
        self._body, self._handler = b"", None
        if handler is not None and connection is not None:
            self._server.ends_late |= not connection.usable
            self.send(body, handler)

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
        self._body, self._handler = b"", None
        if self.waiting:
            self.waiting = False
            self._server.forget(self)
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()

    def close(self) -> None:
        """End the session: other sessions may reuse its connection."""
        self._server.sessions -= 1
        connection, self._connection = self._connection, None
        if connection is not None:
            self._server.give_back(connection)
