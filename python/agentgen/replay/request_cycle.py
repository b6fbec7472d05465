"""The requests of open sessions: scheduled, issued, sent, retried, and ended by a response or a deadline.

A session's next request is sent within the call that delivers the end of the response before it.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Protocol, cast

from agentgen.errors import EmptyAnswerError, HistoryError
from agentgen.replay.active_sessions import InFlight
from agentgen.replay.request_deadlines import RequestDeadlines
from agentgen.replay.units import NS_PER_MS, NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentgen.replay.active_sessions import ActiveSession
    from agentgen.replay.protocols import Answer, Clock, Request, Response
    from agentgen.replay.request_log import RequestLog
    from agentgen.replay.rules import Rules

OK = range(200, 300)
BUSY = {429, *range(500, 600)}
UNREACHABLE = {"connect_error", "timeout_connect"}
# The first and the longest wait before a retry without `Retry-After`, seconds; up to a half of each is left out.
BACK_OFF_S = 0.5
MAX_BACK_OFF_S = 30.0


def _refusal(response: Response, said: str) -> str:
    """What a response with an error status says, and where a redirect points to."""
    if response.location:
        said = f"redirect to {response.location} (redirects are not followed; give that URL instead)"
    return f"HTTP {response.status}: {said or 'no message'}"


class CloseSession(Protocol):
    """Callback that ends a session."""

    def __call__(
        self, active: ActiveSession, now: int, *, skipped: int = 0, cancelled: int = 0, never_issued: int = 0
    ) -> None:
        """End the session; the counts are requests without a record or with a cancelled one."""
        ...


class RequestCycle:
    """Sends requests of sessions and handles their responses.

    Attributes:
        deadlines: The time limits of requests in flight.
        start_ns: Start of the phase, from which recorded times count.
        stopping: The run is ending: no request is issued or retried.
    """

    def __init__(
        self,
        clock: Clock,
        log: RequestLog,
        rules: Rules,
        make_answer: Callable[[Request], Answer],
        *,
        close: CloseSession,
        crash: Callable[[BaseException], None],
        answered: Callable[[ActiveSession, int], bool] | None = None,
    ) -> None:
        self._clock = clock
        self._log = log
        self._rules = rules
        self._make_answer = make_answer
        self._close_session = close
        # Begins what the response sets going, and says whether the session may go on; None if nothing ever waits.
        self._answered = answered
        self.crash = crash
        self.deadlines = RequestDeadlines(clock, rules, self._expired)
        self.start_ns = 0
        self.stopping = False

    # --- requests -------------------------------------------------------------------------------------------------

    def schedule(self, active: ActiveSession, end_ns: int, intended_end_ns: int) -> None:
        """Issue the session's next request when its delay after the end of the response before has passed."""
        delay_ms = active.session.delay_ms() * self._rules.time_scale
        if self._rules.max_delay_ms is not None and delay_ms > self._rules.max_delay_ms:
            delay_ms = self._rules.max_delay_ms
        delay_ns = round(delay_ms * NS_PER_MS)
        active.scheduled_ns = end_ns + delay_ns
        active.intended_ns = intended_end_ns + delay_ns
        active.retries = active.refusals = 0
        at_ms = active.session.at_ms() if self._rules.recorded_times else None
        if at_ms is not None:
            at_ns = self.start_ns + round(at_ms * self._rules.time_scale * NS_PER_MS)
            active.scheduled_ns, active.intended_ns = max(at_ns, end_ns), max(at_ns, intended_end_ns)
        if active.scheduled_ns > end_ns:
            active.timer = self._clock.call_at(active.scheduled_ns, self._due, active, active.scheduled_ns, self._issue)
        else:
            self._issue(active)

    def cancel(self, active: ActiveSession, now: int) -> bool:
        """Cancel the request in flight or waiting for a retry; False if the session has neither."""
        in_flight = active.in_flight
        if in_flight is not None:
            active.connection.cancel()
            in_flight.answer.end("lost", now)
            self._release(in_flight, active)
        elif not active.retries or active.timer is None:
            return False
        self._log.cancelled(active, in_flight)
        return True

    def _due(self, active: ActiveSession, when_ns: int, action: Callable[[ActiveSession], None]) -> None:
        try:
            active.timer = None
            if self._clock.now() < when_ns:  # timers are coarse; a request is never sent early
                active.timer = self._clock.call_at(when_ns, self._due, active, when_ns, action)
            else:
                action(active)
        except BaseException as error:  # noqa: BLE001  the scheduler keeps it
            self.crash(error)

    def _issue(self, active: ActiveSession) -> None:
        active.request = None
        try:
            active.request = active.session.request()
        except HistoryError as error:
            self._fail_unsent(active, str(error))
        else:
            self._log.issued()
            self._send(active)

    def _send(self, active: ActiveSession) -> None:
        request = cast("Request", active.request)
        in_flight = active.in_flight = InFlight(self, active, self._make_answer(request))
        self._log.in_flight()
        self.deadlines.start(in_flight)
        active.connection.send(request.body, in_flight)

    # --- responses ------------------------------------------------------------------------------------------------

    def finished(self, in_flight: InFlight, response: Response, stamp_ns: int) -> None:
        """The response is over."""
        active, answer, status = in_flight.active, in_flight.answer, response.status
        if active is None:
            self._log.late()
        elif status not in OK:
            answer.end("refused", stamp_ns)
            if status not in BUSY or not self._retried(in_flight, active, response.retry_after_s, stamp_ns):
                self._fail(in_flight, active, "http_error", status, _refusal(response, answer.message), stamp_ns)
        else:
            answer.end("complete" if response.is_framed else "closed", stamp_ns)
            if answer.failure is None:
                self._succeed(in_flight, active, status, stamp_ns)
            else:
                self._fail(in_flight, active, answer.failure, status, answer.message, stamp_ns)

    def too_large(self, in_flight: InFlight, stamp_ns: int) -> None:
        """Give up a response that is larger than the limits allow."""
        active, answer = in_flight.active, in_flight.answer
        if active is not None:
            active.connection.cancel()
            answer.end("lost", stamp_ns)
            self._fail(in_flight, active, answer.failure or "response_too_large", 0, answer.message, stamp_ns)

    def lost(self, in_flight: InFlight, outcome: str, status: int, message: str, stamp_ns: int) -> None:
        """The response is not complete."""
        active, answer = in_flight.active, in_flight.answer
        if active is None:
            self._log.late()
            return
        if outcome == "stale_connection":
            if not self.stopping and active.retries == active.refusals:
                self._resend(in_flight, active, stamp_ns)
                return
            outcome = "connection_lost"
        answer.end("lost", stamp_ns)
        if outcome in UNREACHABLE and self._retried(in_flight, active, None, stamp_ns):
            return
        if outcome == "connection_lost" and status:  # it broke within the body
            outcome = (answer.failure or outcome) if status in OK else "http_error"
        self._fail(in_flight, active, outcome, status, message, stamp_ns)

    def _succeed(self, in_flight: InFlight, active: ActiveSession, status: int, now: int) -> None:
        problem = None
        try:
            # The last answer is kept too: a continuation of this session sends it again.
            active.session.answered(in_flight.answer)
        except EmptyAnswerError as error:
            self._fail(in_flight, active, "empty_answer", status, str(error), now)
            return
        except HistoryError as error:
            problem = str(error)
        self._release(in_flight, active)
        self._log.succeeded(in_flight, active, status)
        is_last = active.ended == active.turns
        if problem is not None and not is_last:
            active.request = None
            self._fail_unsent(active, problem)
            return
        if self._answered is not None and not self._answered(active, now):
            return
        if is_last:
            self._close_session(active, now)
        elif self.stopping:
            self._close_session(active, now, never_issued=active.turns - active.ended)
        else:
            self.schedule(active, now, active.intended_ns + now - in_flight.sent_ns)

    def _fail(
        self, in_flight: InFlight, active: ActiveSession, outcome: str, status: int, message: str, now: int
    ) -> None:
        """Record a failed request, and end its session."""
        active.failed = True
        self._release(in_flight, active)
        self._log.failed(active, outcome, status, message, in_flight)
        self._close_session(active, now, skipped=active.turns - active.ended)

    def _fail_unsent(self, active: ActiveSession, message: str) -> None:
        """Record a request that could not be built as failed, and end its session."""
        active.failed = True
        self._log.failed(active, "history", 0, message, None)
        self._close_session(active, self._clock.now(), skipped=active.turns - active.ended)

    def _retried(self, in_flight: InFlight, active: ActiveSession, after_s: float | None, now: int) -> bool:
        """Schedule a refused request to be sent again; False if the rules do not allow it."""
        if active.refusals >= self._rules.retries or self.stopping:
            return False
        if after_s is None:
            after_s = min(BACK_OFF_S * 2**active.refusals, MAX_BACK_OFF_S) * random.uniform(0.5, 1)  # noqa: S311
        if self._rules.total_s is not None and after_s > self._rules.total_s:
            return False
        self._release(in_flight, active)
        active.retries += 1
        active.refusals += 1
        self._log.retried()
        when = now + round(after_s * NS_PER_S)
        # The server caused the wait, so it does not count as the client's lag.
        active.intended_ns += when - (in_flight.sent_ns or active.scheduled_ns)
        active.timer = self._clock.call_at(when, self._due, active, when, self._send)
        return True

    def _resend(self, in_flight: InFlight, active: ActiveSession, now: int) -> None:
        """Send a request again at once after a stale connection; its deadlines count from the first sending."""
        active.retries += 1
        self._log.retried()
        active.intended_ns += now - in_flight.sent_ns
        active.connection.send(cast("Request", active.request).body, in_flight, new_connection=True)

    def _expired(self, in_flight: InFlight, outcome: str, message: str) -> None:
        try:
            active = in_flight.active
            if active is not None:
                now = self._clock.now()
                active.connection.cancel()
                in_flight.answer.end("lost", now)
                self._fail(in_flight, active, outcome, 0, message, now)
        except BaseException as error:  # noqa: BLE001  the scheduler keeps it
            self.crash(error)

    def _release(self, in_flight: InFlight, active: ActiveSession) -> None:
        in_flight.active = active.in_flight = None
        self._log.landed()
        self.deadlines.end(in_flight)
