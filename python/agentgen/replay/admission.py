"""Opens the sessions of a source in order, as slots become free or at their arrival times."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentgen.replay.load import Load
    from agentgen.replay.protocols import Clock, Session, Source, Timer


class Admission:
    """Admits sessions, and reads one session ahead of the open ones.

    Attributes:
        upcoming: The next session; None after the last one.
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
        self._admit: Callable[[int], None] = lambda _: None
        self.upcoming: Session | None = None

    @property
    def has_timer(self) -> bool:
        """A timer waits for the next arrival."""
        return self._timer is not None

    def start(self, start_ns: int, admit: Callable[[int], None]) -> None:
        """Read the first session; call `admit` with the time whenever a session arrives."""
        self._start_ns = start_ns
        self._admit = admit
        self._read_next()

    def close(self) -> None:
        """Admit no more sessions."""
        self.upcoming = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def fill(self, now: int, used_slots: Callable[[], int], open_session: Callable[[Session, int], None]) -> None:
        """Open the sessions that have arrived and have a slot; `now` is when the slot became free."""
        if self._running:  # a session that ended at once freed its slot: the loop below goes on with it
            return
        self._running = True
        slots = self._load.slots
        while self.upcoming is not None and (slots is None or used_slots() < slots):
            if self._arrival_ns is not None:
                now = self._arrival_ns
                if now > self._clock.now():
                    if self._timer is None:
                        self._timer = self._clock.call_at(now, self._arrived)
                    break
            session = self.upcoming
            open_session(session, now)
            if self.upcoming is session:  # not closed meanwhile
                self._read_next()
        self._running = False

    def _read_next(self) -> None:
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
            self._admit(self._clock.now())
        except BaseException as error:  # noqa: BLE001  the scheduler keeps it
            self._crash(error)
