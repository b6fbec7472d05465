"""When sessions start: a closed loop, recorded arrival times, or random arrivals."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Protocol

from agentgen.replay.units import NS_PER_MS, NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentgen.replay.protocols import Session


class Load(Protocol):
    """Decides when the next session starts.

    Attributes:
        slots: Largest number of open sessions; None for no limit.
    """

    slots: int | None

    def arrival_ns(self, session: Session) -> int | None:
        """When this session arrives, from the start of the phase; None for as soon as a slot is free."""
        ...


class ClosedLoop:
    """A fixed number of open sessions: one starts when another ends."""

    def __init__(self, slots: int) -> None:
        self.slots: int | None = slots

    def arrival_ns(self, session: Session) -> int | None:  # noqa: ARG002
        """None: sessions have no arrival times."""
        return None


class TraceArrivals:
    """Open loop: sessions arrive at the times of the trace."""

    slots: int | None = None

    def arrival_ns(self, session: Session) -> int | None:
        """The start time in the trace."""
        return round(session.start_ms * NS_PER_MS)


class PoissonArrivals:
    """Open loop: a Poisson process of `rate` sessions per second; the same seed gives the same times."""

    slots: int | None = None

    def __init__(self, rate: float, seed: str) -> None:
        self._times = _poisson(rate, seed)

    def arrival_ns(self, session: Session) -> int | None:  # noqa: ARG002
        """The next random time."""
        return next(self._times)


def _poisson(rate: float, seed: str) -> Iterator[int]:
    draw, time_s = random.Random(seed), 0.0  # noqa: S311  load, not secrets
    while True:
        time_s += draw.expovariate(rate)
        yield round(time_s * NS_PER_S)
