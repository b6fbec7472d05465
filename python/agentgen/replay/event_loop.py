"""The event loop of a worker: its clock and timers, and how late it runs them."""

from __future__ import annotations

import asyncio
import sys
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from agentgen.replay.units import MS_PER_S, NS_PER_MS

if TYPE_CHECKING:
    from collections.abc import Callable

if sys.platform == "win32":
    from asyncio import new_event_loop
else:
    from uvloop import new_event_loop

__all__ = ["LagProbe", "LoopClock", "new_event_loop"]

PROBE_NS = 20 * NS_PER_MS


class LoopClock:
    """`time.monotonic_ns()` and the timers of the running event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.now = monotonic_ns

    def call_at(self, when_ns: int, callback: Callable[..., object], *args: Any) -> asyncio.TimerHandle:
        """Schedule a call at `when_ns`, rounded up to a millisecond: uvloop's timers are that coarse and round down."""
        return self._loop.call_at(-(-when_ns // NS_PER_MS) / MS_PER_S, callback, *args)


class LagProbe:
    """Sets a timer every 20 ms and reports how late it ran: the event loop delays every measured time by as much."""

    def __init__(self, clock: LoopClock, report_lag: Callable[[int], object]) -> None:
        self._clock = clock
        self._report_lag = report_lag
        self._due = clock.now() + PROBE_NS
        self._timer = clock.call_at(self._due, self._probe)

    def _probe(self) -> None:
        now = self._clock.now()
        self._report_lag(now - self._due)
        self._due = max(self._due, now) + PROBE_NS
        self._timer = self._clock.call_at(self._due, self._probe)

    def close(self) -> None:
        """Stop probing."""
        self._timer.cancel()
