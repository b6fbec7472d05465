"""The monotonic clock on an event loop, and how late that loop is."""

from __future__ import annotations

import asyncio
import sys
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

if sys.platform == "win32":
    from asyncio import new_event_loop
else:
    from uvloop import new_event_loop

__all__ = ["LagProbe", "LoopClock", "new_event_loop"]

NS_PER_MS = 1_000_000
PROBE_NS = 20 * NS_PER_MS


class LoopClock:
    """`time.monotonic_ns()` and the running loop's timers; made within the loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.now = monotonic_ns

    def call_at(self, when_ns: int, callback: Callable[..., object], *args: Any) -> asyncio.TimerHandle:
        """Call at `when_ns`, to the next millisecond: uvloop knows no finer time, and rounds what is finer down."""
        return self._loop.call_at(-(-when_ns // NS_PER_MS) / 1000, callback, *args)


class LagProbe:
    """Asks to be called again and again, and tells how late that happens: what the loop adds to every time measured."""

    def __init__(self, clock: LoopClock, tell: Callable[[int], object]) -> None:
        self._clock = clock
        self._tell = tell
        self._due = clock.now() + PROBE_NS
        self._timer = clock.call_at(self._due, self._probe)

    def _probe(self) -> None:
        now = self._clock.now()
        self._tell(now - self._due)
        self._due = max(self._due, now) + PROBE_NS
        self._timer = self._clock.call_at(self._due, self._probe)

    def close(self) -> None:
        """Ask no more."""
        self._timer.cancel()
