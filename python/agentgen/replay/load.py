"""When sessions start: a closed loop, recorded arrival times, or random arrivals."""

from __future__ import annotations

import random
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Ramp:
    """When the slots of a worker get their first sessions, from the start of the phase.

    Attributes:
        first_ns: The first slot.
        step_ns: From each slot to the next one.
    """

    first_ns: int
    step_ns: int


class ClosedLoop:
    """A fixed number of open sessions: one starts when another ends. A ramp-up opens the slots one after the other."""

    def __init__(self, slots: int, ramp: Ramp | None = None) -> None:
        self.slots: int | None = slots
        self._ramp = iter(range(ramp.first_ns, ramp.first_ns + slots * ramp.step_ns, ramp.step_ns)) if ramp else None

    def arrival_ns(self, session: Session) -> int | None:  # noqa: ARG002
        """The time of a slot's first session in a ramp-up; None for all other sessions."""
        return None if self._ramp is None else next(self._ramp, None)


class TraceArrivals:
    """Open loop: sessions arrive at the times of the trace, multiplied by `scale`."""

    slots: int | None = None

    def __init__(self, scale: float) -> None:
        self._scale = scale

    def arrival_ns(self, session: Session) -> int | None:
        """The start time in the trace."""
        return round(session.start_ms * self._scale * NS_PER_MS)


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
