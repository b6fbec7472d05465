"""Which request goes when. No sockets, no clock of its own: `ports` says what it needs of them.

A next turn is sent in the very call that tells the end of the response before. Every call from outside is total: the
first internal error ends the run and is kept in `error`; none is swallowed, and none leaves anybody waiting.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from agentgen.errors import HistoryError
from agentgen.replay.admission import NS_PER_MS, NS_PER_S, Admission
from agentgen.replay.deadlines import Deadlines
from agentgen.replay.lanes import Exchange, Lane
from agentgen.replay.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentgen.replay.admission import Load
    from agentgen.replay.books import Books
    from agentgen.replay.ports import Answer, Clock, Recorder, Request, Session, Source, Timer, Transport

OK = range(200, 300)
BUSY = (429, 503)


@dataclass(frozen=True)
class Rules:
    """How sessions are played.

    Attributes:
        delay_scale: Factor of the trace's delays; 0 for none.
        max_delay_ms: No delay is longer, after scaling.
        first_token_s: A request without a token by then has failed, seconds from its issue; None for never.
        total_s: Likewise, without its last byte.
        retries: How often a request is sent again that was refused with 429 or 503 and a `Retry-After`.
        max_sessions: Sessions to play; None for all.
        recorded: Requests that have times of their own in the trace keep them.
    """

    delay_scale: float = 1.0
    max_delay_ms: float | None = None
    first_token_s: float | None = None
    total_s: float | None = None
    retries: int = 0
    max_sessions: int | None = None
    recorded: bool = False


class Scheduler:
    """Plays the sessions of a source, one request in flight in each.

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
        books: Books,
        make_answer: Callable[[Request], Answer],
        load: Load,
        rules: Rules,
        phase: str,
        done: Callable[[], None],
    ) -> None:
        self._admission = Admission(source, load, clock, rules.max_sessions, self.crash)
        self._transport = transport
        self._clock = clock
        self._ledger = Ledger(recorder, books, phase)
        self._make_answer = make_answer
        self._rules = rules
        self._done = done
        self._lanes: dict[int, Lane] = {}
        self._heirs: dict[int, list[Lane]] = {}
        self._first_token = self._deadlines(rules.first_token_s, self._late_first_token)
        self._total = self._deadlines(rules.total_s, self._late_end)
        self._start_ns = 0
        self._grace: Timer | None = None
        self._stopping = False
        self._finished = False
        self.error: BaseException | None = None

    def _deadlines(self, after_s: float | None, expired: Callable[[Exchange], None]) -> Deadlines[Exchange] | None:
        return None if after_s is None else Deadlines(self._clock, round(after_s * NS_PER_S), expired)

    # --- from outside ---------------------------------------------------------------------------------------------

    def start(self, start_ns: int) -> None:
        """Begin: arrivals count from `start_ns`."""
        try:
            self._start_ns = start_ns
            self._admission.start(start_ns, self._admit)
            self._admit(start_ns)
        except BaseException as error:  # noqa: BLE001  `error` keeps it
            self.crash(error)

    def stop(self, grace_s: float) -> None:
        """Issue nothing more; give up what has no answer `grace_s` from now."""
        try:
            if not (self._stopping or self._finished):
                self._stopping = True
                self._admission.close()
                self._grace = self._clock.call_at(self._clock.now() + round(grace_s * NS_PER_S), self.abort)
                now = self._clock.now()
                for lane in list(self._lanes.values()):
                    if lane.exchange is None:
                        self._give_up(lane, now)
                self._check_done()
        except BaseException as error:  # noqa: BLE001  `error` keeps it
            self.crash(error)

    def abort(self) -> None:
        """Give up everything now."""
        try:
            self._stopping = True
            self._admission.close()
            now = self._clock.now()
            for lane in list(self._lanes.values()):
                self._give_up(lane, now)
            self._check_done()
        except BaseException as error:  # noqa: BLE001  `error` keeps it
            self.crash(error)

    def crash(self, error: BaseException) -> None:
        """An internal error: the run ends here, with its books closed as far as they can be."""
        if self.error is not None:
            return
        self.error = error
        self.abort()
        for lane in self._lanes.values():  # those that abort failed at
            lane.disarm()
            with suppress(Exception):
                lane.route.cancel()
        self._lanes.clear()
        self._check_done()

    @property
    def messages(self) -> dict[str, str]:
        """The first message of each kind of failure."""
        return self._ledger.messages

    @property
    def state(self) -> int:
        """Everything that is held for sessions and requests, timers included: 0 in the end."""
        queues = (self._first_token, self._total)
        return (
            len(self._lanes)
            + sum(map(len, self._heirs.values()))
            + sum(len(queue) for queue in queues if queue is not None)
            + self._admission.armed
            + (self._grace is not None)
        )

    # --- sessions -------------------------------------------------------------------------------------------------

    def _admit(self, now: int) -> None:
        self._admission.fill(now, self._lanes, self._open)
        self._check_done()

    def _open(self, session: Session, since_ns: int) -> None:
        lane = Lane(session, self._transport.open(session.key), since_ns)
        self._lanes[lane.number] = lane
        self._ledger.opened(lane)
        if session.parent is not None and session.parent in self._lanes:
            self._heirs.setdefault(session.parent, []).append(lane)
        else:
            self._plan(lane, since_ns, since_ns)

    def _close(self, lane: Lane, now: int, *, skipped: int = 0, cancelled: int = 0, never_issued: int = 0) -> None:
        del self._lanes[lane.number]
        lane.disarm()
        try:
            lane.session.over()
        except HistoryError as error:  # those that continue this session will fail, and say so
            self._ledger.messages.setdefault("history", str(error))
        self._ledger.closed(lane, now, skipped=skipped, cancelled=cancelled, never_issued=never_issued)
        lane.route.close()
        for heir in self._heirs.pop(lane.number, ()):
            if heir.number in self._lanes and not self._stopping:
                since = max(now, heir.opened_ns)
                self._plan(heir, since, since)
        self._admit(now)

    def _give_up(self, lane: Lane, now: int) -> None:
        """End a session because the run ends."""
        if lane.number not in self._lanes:
            return
        exchange = lane.exchange
        refused = exchange is None and lane.retries > 0 and lane.timer is not None  # and was to be sent again
        if exchange is not None:
            lane.route.cancel()
            exchange.answer.end(False, now)
            self._release(exchange, lane)
        if exchange is not None or refused:
            self._ledger.cancelled(lane, exchange)
        cancelled = int(exchange is not None or refused)
        self._close(lane, now, cancelled=cancelled, never_issued=lane.turns - lane.ended)

    def _check_done(self) -> None:
        if self._lanes or self._finished or self._admission.upcoming is not None:
            return
        self._finished = True
        self._heirs.clear()
        for queue in (self._first_token, self._total):
            if queue is not None:
                queue.close()
        if self._grace is not None:
            self._grace.cancel()
            self._grace = None
        self._done()

    # --- requests -------------------------------------------------------------------------------------------------

    def _plan(self, lane: Lane, end_ns: int, intended_end_ns: int) -> None:
        """Send the next request when its delay after the end of the one before is over."""
        delay_ms = lane.session.delay_ms() * self._rules.delay_scale
        if self._rules.max_delay_ms is not None and delay_ms > self._rules.max_delay_ms:
            delay_ms = self._rules.max_delay_ms
        delay_ns = round(delay_ms * NS_PER_MS)
        lane.planned_ns = end_ns + delay_ns
        lane.intended_ns = intended_end_ns + delay_ns
        lane.retries = lane.refusals = 0
        at_ms = lane.session.at_ms() if self._rules.recorded else None
        if at_ms is not None:
            at_ns = self._start_ns + round(at_ms * NS_PER_MS)
            lane.planned_ns, lane.intended_ns = max(at_ns, end_ns), max(at_ns, intended_end_ns)
        if lane.planned_ns > end_ns:
            lane.timer = self._clock.call_at(lane.planned_ns, self._due, lane, lane.planned_ns, self._issue)
        else:
            self._issue(lane)

    def _due(self, lane: Lane, when_ns: int, action: Callable[[Lane], None]) -> None:
        try:
            lane.timer = None
            if self._clock.now() < when_ns:  # a coarse timer: never early
                lane.timer = self._clock.call_at(when_ns, self._due, lane, when_ns, action)
            else:
                action(lane)
        except BaseException as error:  # noqa: BLE001  `error` keeps it
            self.crash(error)

    def _issue(self, lane: Lane) -> None:
        lane.request = None
        try:
            lane.request = lane.session.request()
        except HistoryError as error:
            self._fail_unsent(lane, str(error))
        else:
            self._ledger.issued()
            self._send(lane)

    def _send(self, lane: Lane) -> None:
        request = cast("Request", lane.request)
        exchange = lane.exchange = Exchange(self, lane, self._make_answer(request))
        self._ledger.sending()
        if self._first_token is not None:
            self._first_token.add(exchange)
        if self._total is not None:
            self._total.add(exchange)
        lane.route.send(request.body, exchange)

    # --- responses ------------------------------------------------------------------------------------------------

    def finished(self, exchange: Exchange, status: int, retry_after_s: float | None, stamp_ns: int) -> None:
        """A response is complete."""
        lane, answer = exchange.lane, exchange.answer
        if lane is None:
            self._ledger.late()
            return
        answer.end(True, stamp_ns)
        failure = answer.failure
        if status not in OK:
            if retry_after_s is not None and self._retried(exchange, lane, status, retry_after_s, stamp_ns):
                return
            self._fail(exchange, lane, "http_error", status, f"HTTP {status}: {answer.message}", stamp_ns)
        elif failure is not None:
            self._fail(exchange, lane, failure, status, answer.message, stamp_ns)
        else:
            self._succeed(exchange, lane, status, stamp_ns)

    def lost(self, exchange: Exchange, outcome: str, status: int, message: str, stamp_ns: int) -> None:
        """There is no complete response."""
        lane, answer = exchange.lane, exchange.answer
        if lane is None:
            self._ledger.late()
            return
        if outcome == "hung_up":
            if not self._stopping and lane.retries == lane.refusals:
                self._resend(exchange, lane, stamp_ns)
                return
            outcome = "connection_lost"
        if status in OK:  # it broke within the body
            answer.end(False, stamp_ns)
            outcome = answer.failure or outcome
        elif status:
            outcome = "http_error"
        self._fail(exchange, lane, outcome, status, message, stamp_ns)

    def _succeed(self, exchange: Exchange, lane: Lane, status: int, now: int) -> None:
        self._release(exchange, lane)
        self._ledger.succeeded(exchange, lane, status)
        is_over = lane.ended == lane.turns
        try:
            # The last answer too: a session that continues this one resends it.
            lane.session.answered(exchange.answer)
        except HistoryError as error:
            if not is_over:
                lane.request = None
                self._fail_unsent(lane, str(error))
                return
        if is_over:
            self._close(lane, now)
            return
        if self._stopping:
            self._close(lane, now, never_issued=lane.turns - lane.ended)
        else:
            self._plan(lane, now, lane.intended_ns + now - exchange.sent_ns)

    def _fail(self, exchange: Exchange, lane: Lane, outcome: str, status: int, message: str, now: int) -> None:
        """A failed turn ends its session."""
        self._release(exchange, lane)
        self._ledger.failed(lane, outcome, status, message, exchange)
        self._close(lane, now, skipped=lane.turns - lane.ended)

    def _fail_unsent(self, lane: Lane, message: str) -> None:
        """A request that cannot be made fails as one that the server refuses."""
        self._ledger.failed(lane, "history", 0, message, None)
        self._close(lane, self._clock.now(), skipped=lane.turns - lane.ended)

    def _retried(self, exchange: Exchange, lane: Lane, status: int, after_s: float, now: int) -> bool:
        """Whether a refused request will be sent again."""
        longest = self._rules.total_s
        if status not in BUSY or lane.refusals >= self._rules.retries or self._stopping:
            return False
        if longest is not None and after_s > longest:
            return False
        self._release(exchange, lane)
        lane.retries += 1
        lane.refusals += 1
        self._ledger.retried()
        when = now + round(after_s * NS_PER_S)
        # The wait is the server's wish, not the client's lag.
        lane.intended_ns += when - exchange.sent_ns
        lane.timer = self._clock.call_at(when, self._due, lane, when, self._send)
        return True

    def _resend(self, exchange: Exchange, lane: Lane, now: int) -> None:
        """Send a request that met a closed connection once more; its time has been running since the first sending."""
        lane.retries += 1
        self._ledger.retried()
        lane.intended_ns += now - exchange.sent_ns
        lane.route.send(cast("Request", lane.request).body, exchange, anew=True)

    def _late_first_token(self, exchange: Exchange) -> None:
        if exchange.answer.first_token_ns is None:
            self._late(exchange, "timeout_first_token", f"no token within {self._rules.first_token_s:g} s")

    def _late_end(self, exchange: Exchange) -> None:
        self._late(exchange, "timeout_total", f"no end within {self._rules.total_s:g} s")

    def _late(self, exchange: Exchange, outcome: str, message: str) -> None:
        try:
            lane = exchange.lane
            if lane is not None:
                now = self._clock.now()
                lane.route.cancel()
                exchange.answer.end(False, now)
                self._fail(exchange, lane, outcome, 0, message, now)
        except BaseException as error:  # noqa: BLE001  `error` keeps it
            self.crash(error)

    def _release(self, exchange: Exchange, lane: Lane) -> None:
        exchange.lane = lane.exchange = None
        self._ledger.landed()
        if self._first_token is not None:
            self._first_token.discard(exchange)
        if self._total is not None:
            self._total.discard(exchange)
