"""When sessions start: as slots become free, or at times of their own."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sized

    from agentgen.replay.ports import Clock, Session, Source, Timer

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000


class Load(Protocol):
    """Says when the next session starts.

    Attributes:
        slots: Sessions that may be open at once; None for as many as come.
    """

    slots: int | None

    def arrival_ns(self, session: Session) -> int | None:
        """When this session arrives, from the start of the phase; None for as soon as there is a slot."""
        ...


class ClosedLoop:
    """`slots` sessions are open: one starts when another is over."""

    def __init__(self, slots: int) -> None:
        self.slots: int | None = slots

    def arrival_ns(self, session: Session) -> int | None:  # noqa: ARG002
        """No session has a time of its own."""
        return None


class TraceArrivals:
    """Sessions start when the trace says."""

    slots: int | None = None

    def arrival_ns(self, session: Session) -> int | None:
        """The trace's time."""
        return round(session.start_ms * NS_PER_MS)


class PoissonArrivals:
    """Sessions start at random, `rate` of them a second on average; the same seed gives the same times."""

    slots: int | None = None

    def __init__(self, rate: float, seed: str) -> None:
        self._times = _poisson(rate, seed)

    def arrival_ns(self, session: Session) -> int | None:  # noqa: ARG002
        """The next of the random times."""
        return next(self._times)


def _poisson(rate: float, seed: str) -> Iterator[int]:
    draw, time_s = random.Random(seed), 0.0  # noqa: S311  load, not secrets
    while True:
        time_s += draw.expovariate(rate)
        yield round(time_s * NS_PER_S)


class Admission:
    """Opens sessions in the order of the source, knowing the next one before there is room for it.

    Attributes:
        upcoming: The next session; None when there is none left.
    """

    def __init__(
        self,
        source: Source,
        load: Load,
        clock: Clock,
        limit: int | None,
        crash: Callable[[BaseException], None],
    ) -> None:
        self._source = source
        self._load = load
        self._clock = clock
        self._limit = limit
        self._crash = crash
        self._start_ns = 0
        self._arrival_ns: int | None = None
        self._timer: Timer | None = None
        self._running = False
        self._again: Callable[[int], None] = lambda _: None
        self.upcoming: Session | None = None

    @property
    def armed(self) -> bool:
        """A session will arrive."""
        return self._timer is not None

    def start(self, start_ns: int, admit: Callable[[int], None]) -> None:
        """Take the first session; `admit` is called with the time when one arrives."""
        self._start_ns = start_ns
        self._again = admit
        self._take()

    def close(self) -> None:
        """No session starts any more."""
        self.upcoming = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def fill(self, now: int, lanes: Sized, open_session: Callable[[Session, int], None]) -> None:
        """Open what has arrived, or fits; `now` is when there was room."""
        if self._running:  # a session that is over at once has made room: the loop below sees it
            return
        self._running = True
        slots = self._load.slots
        while self.upcoming is not None and (slots is None or len(lanes) < slots):
            if self._arrival_ns is not None:
                now = self._arrival_ns
                if now > self._clock.now():
                    if self._timer is None:
                        self._timer = self._clock.call_at(now, self._arrived)
                    break
            session = self.upcoming
            open_session(session, now)
            if self.upcoming is session:  # and nobody has closed this
                self._take()
        self._running = False

    def _take(self) -> None:
        if self._limit == 0:
            self.upcoming = None
            return
        if self._limit is not None:
            self._limit -= 1
        self.upcoming = self._source.next()
        arrival = self._load.arrival_ns(self.upcoming) if self.upcoming is not None else None
        self._arrival_ns = None if arrival is None else self._start_ns + arrival

    def _arrived(self) -> None:
        try:
            self._timer = None
            self._again(self._clock.now())
        except BaseException as error:  # noqa: BLE001  the run ends with it
            self._crash(error)
