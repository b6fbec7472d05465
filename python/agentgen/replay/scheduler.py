"""Plays sessions: opens them as the load allows, orders continuations after their parents, ends the run.

It uses neither sockets nor a clock of its own (`protocols`). Every method called from outside catches all exceptions:
the first internal error ends the run and is kept in `error`.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from agentgen.errors import HistoryError
from agentgen.replay.active_sessions import ActiveSession
from agentgen.replay.admission import Admission
from agentgen.replay.request_cycle import RequestCycle
from agentgen.replay.request_log import RequestLog
from agentgen.replay.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentgen.replay.counters import Counters
    from agentgen.replay.load import Load
    from agentgen.replay.protocols import Answer, Clock, Recorder, Request, Session, Source, Timer, Transport
    from agentgen.replay.rules import Rules


class Scheduler:
    """Plays the sessions of a source, with at most one request in flight per session.

    A session and those that begin in its bundle have one slot.

    Attributes:
        error: The first internal error.
    """

    def __init__(
        self,
        *,
        source: Source,
        transport: Transport,
        clock: Clock,
        recorder: Recorder,
        counters: Counters,
        make_answer: Callable[[Request], Answer],
        shown: Callable[[str], str],
        load: Load,
        rules: Rules,
        phase: str,
        done: Callable[[], None],
        key_prefix: str = "",
    ) -> None:
        self._source = source
        self._has_bundles = source.has_bundles
        self._used_slots = 0
        self._admission = Admission(source, load, clock, rules.max_sessions, self.crash)
        self._transport = transport
        self._clock = clock
        self._log = RequestLog(recorder, counters, phase, shown)
        self._requests = RequestCycle(
            clock,
            self._log,
            rules,
            make_answer,
            close=self._close,
            crash=self.crash,
            answered=self._answered if self._has_bundles else None,
        )
        self._done = done
        self._key_prefix = key_prefix
        self._sessions: dict[int, ActiveSession] = {}
        self._children: dict[int, list[ActiveSession]] = {}  # open sessions that wait for their parent to end
        self._grace: Timer | None = None
        self._finished = False
        self.error: BaseException | None = None

    # --- called from outside --------------------------------------------------------------------------------------

    def start(self, start_ns: int) -> None:
        """Begin: arrival times count from `start_ns`."""
        try:
            self._requests.start_ns = start_ns
            self._admission.start(start_ns, self._admit)
            self._admit(start_ns)
        except BaseException as error:  # noqa: BLE001  `error` keeps it
            self.crash(error)

    def stop(self, grace_s: float) -> None:
        """Issue no more requests; cancel those that have not ended in `grace_s`."""
        try:
            if not (self._requests.stopping or self._finished):
                self._requests.stopping = True
                self._admission.close()
                self._grace = self._clock.call_at(self._clock.now() + round(grace_s * NS_PER_S), self.abort)
                now = self._clock.now()
                for active in list(self._sessions.values()):
                    if active.in_flight is None:
                        self._cancel(active, now)
                self._check_done()
        except BaseException as error:  # noqa: BLE001  `error` keeps it
            self.crash(error)

    def abort(self) -> None:
        """Cancel everything now."""
        try:
            self._requests.stopping = True
            self._admission.close()
            now = self._clock.now()
            for active in list(self._sessions.values()):
                self._cancel(active, now)
            self._check_done()
        except BaseException as error:  # noqa: BLE001  `error` keeps it
            self.crash(error)

    def crash(self, error: BaseException) -> None:
        """End the run because of an internal error, with the counters as balanced as possible."""
        if self.error is not None:
            return
        self.error = error
        self.abort()
        for active in self._sessions.values():  # `abort` failed at these
            active.cancel_timer()
            with suppress(Exception):
                active.connection.cancel()
        self._sessions.clear()
        self._check_done()

    @property
    def failure_messages(self) -> dict[str, str]:
        """The first message of each kind of failure."""
        return self._log.failure_messages

    @property
    def held(self) -> int:
        """Number of objects held for sessions and requests, timers included; 0 after the run."""
        return (
            len(self._sessions)
            + sum(map(len, self._children.values()))
            + len(self._requests.deadlines)
            + self._admission.has_timer
            + (self._grace is not None)
        )

    # --- sessions -------------------------------------------------------------------------------------------------

    def _admit(self, now: int) -> None:
        self._admission.fill(now, lambda: self._used_slots, self._open)
        self._check_done()

    def _open(self, session: Session, since_ns: int) -> None:
        self._used_slots += 1
        self._begin(session, since_ns)

    def _begin(self, session: Session, since_ns: int) -> None:
        """Begin a session, which has a slot or shares that of its bundle."""
        key = self._key_prefix + session.key
        active = ActiveSession(session, key, self._transport.open(key), since_ns)
        self._sessions[active.number] = active
        self._log.session_opened(active)
        if session.parent is not None and session.parent in self._sessions:
            self._children.setdefault(session.parent, []).append(active)
        elif not self._has_bundles or self._source.may_send(active.number, 0):
            self._requests.schedule(active, since_ns, since_ns)

    def _answered(self, active: ActiveSession, now: int) -> bool:
        """Begin the sub-agents that a response starts; False if the session's next turn waits for some."""
        if self._requests.stopping:
            return True
        for session in self._source.responded(active.number, active.ended - 1):
            self._begin(session, now)
        return active.ended == active.turns or self._source.may_send(active.number, active.ended)

    def _end_in_bundle(self, active: ActiveSession, now: int) -> None:
        has_failed = active.failed or active.ended < active.turns
        begins, released, frees_slot = self._source.over(active.number, active.ended, has_failed)
        self._used_slots -= frees_slot
        if self._requests.stopping:
            return
        for session in begins:
            self._begin(session, now)
        for number in released:
            if (waiting := self._sessions.get(number)) is not None:
                self._requests.schedule(waiting, now, now)

    def _close(
        self, active: ActiveSession, now: int, *, skipped: int = 0, cancelled: int = 0, never_issued: int = 0
    ) -> None:
        del self._sessions[active.number]
        active.cancel_timer()
        try:
            active.session.over()
        except HistoryError as error:  # continuations of this session will fail with this message
            self._log.unrecorded_failure("history", str(error))
        self._log.session_closed(active, now, skipped=skipped, cancelled=cancelled, never_issued=never_issued)
        active.connection.close()
        for child in self._children.pop(active.number, ()):
            if child.number in self._sessions and not self._requests.stopping:
                since = max(now, child.opened_ns)
                self._requests.schedule(child, since, since)
        if self._has_bundles:
            self._end_in_bundle(active, now)
        else:
            self._used_slots -= 1
        self._admit(now)

    def _cancel(self, active: ActiveSession, now: int) -> None:
        """End a session because the run ends."""
        if active.number not in self._sessions:
            return
        cancelled = int(self._requests.cancel(active, now))
        self._close(active, now, cancelled=cancelled, never_issued=active.turns - active.ended)

    def _check_done(self) -> None:
        if self._sessions or self._finished or self._admission.upcoming is not None:
            return
        self._finished = True
        self._children.clear()
        self._requests.deadlines.close()
        if self._grace is not None:
            self._grace.cancel()
            self._grace = None
        self._done()
