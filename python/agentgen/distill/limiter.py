"""How many calls are in flight: as many as the server takes."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

FIRST = 4  # calls in flight at the beginning


class Limiter:
    """A limit that grows while calls succeed and is halved when the server refuses one.

    It doubles with each round of calls until the first refusal, and grows by one a round after it, as TCP's congestion
    window does. A refusal counts once: those of calls sent before the limit was halved change nothing.

    Attributes:
        limit: Calls in flight that are allowed now.
        in_flight: Calls in flight.
        refusals: Refusals that halved the limit.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.limit = float(min(FIRST, most))
        self.refusals = 0
        self.in_flight = 0
        self._halved_s = 0.0
        self._paused_until_s = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[float]:
        """Wait for a place; the value is when the call began, for `refused`."""
        while self.in_flight >= int(self.limit):
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                self._wake()  # the place may have been given to this call
                raise
        self.in_flight += 1
        try:
            while (wait_s := self._paused_until_s - monotonic()) > 0:  # noqa: ASYNC110  the pause may be extended
                await asyncio.sleep(wait_s)
            yield monotonic()
        finally:
            self.in_flight -= 1
            self._wake()

    def succeeded(self) -> None:
        """A call was answered."""
        growth = 1 / self.limit if self.refusals else 1.0
        self.limit = min(float(self._most), self.limit + growth)
        self._wake()

    def refused(self, began_s: float, wait_s: float) -> None:
        """The server was too busy for a call that began at `began_s`; nothing is sent for `wait_s`."""
        now = monotonic()
        self._paused_until_s = max(self._paused_until_s, now + wait_s)
        if began_s >= self._halved_s:
            self._halved_s = now
            self.refusals += 1
            self.limit = max(1.0, self.limit / 2)

    def _wake(self) -> None:
        free = int(self.limit) - self.in_flight
        while free > 0 and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                free -= 1
