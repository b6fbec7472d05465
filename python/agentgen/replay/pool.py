"""Distributes sessions over servers: each session goes to the server with the fewest open sessions."""

from __future__ import annotations

import asyncio
from time import monotonic_ns
from typing import TYPE_CHECKING
from urllib.parse import quote

from agentgen.replay.server_connections import ServerConnections
from agentgen.replay.sticky_connection import StickyConnection
from agentgen.replay.units import NS_PER_S

if TYPE_CHECKING:
    from agentgen.replay.job import Target

AVOIDED_NS = NS_PER_S  # how long new sessions avoid a server after a failed connection attempt


class Pool:
    """The connections to all servers; create it within the running event loop.

    Among servers with equally many open sessions the one with the fewest sessions so far is taken, then the next one
    from index `first`, which differs between workers.
    """

    def __init__(self, target: Target, first: int = 0) -> None:
        first %= len(target.urls)
        self._servers = [ServerConnections(number, url, target) for number, url in enumerate(target.urls)]
        self._by_preference = [*self._servers[first:], *self._servers[:first]]
        self._header_names = tuple(target.session_headers)

    def open(self, key: str) -> StickyConnection:
        """Open the connection of a new session."""
        since = monotonic_ns() - AVOIDED_NS
        server = min(self._by_preference, key=lambda one: (one.failed_ns > since, one.sessions, one.opened))
        value = key if key.isascii() and key.isprintable() else quote(key)
        headers = "".join(f"{name}: {value}\r\n" for name in self._header_names)
        return StickyConnection(server, headers.encode("latin-1"))

    async def close(self) -> None:
        """Close all connections."""
        for server in self._servers:
            await server.close()
        await asyncio.sleep(0)  # the event loop closes the sockets in its next iteration
