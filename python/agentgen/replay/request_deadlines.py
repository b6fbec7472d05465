"""The time limits of requests in flight: to the first token, and to the last byte."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentgen.replay.deadlines import Deadlines
from agentgen.replay.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentgen.replay.active_sessions import InFlight
    from agentgen.replay.protocols import Clock
    from agentgen.replay.rules import Rules


class RequestDeadlines:
    """Calls `expired` with each request that exceeds a limit, the outcome and a message."""

    def __init__(self, clock: Clock, rules: Rules, expired: Callable[[InFlight, str, str], None]) -> None:
        self._clock = clock
        self._rules = rules
        self._expired = expired
        self._first_token = self._queue(rules.first_token_s, self._first_token_expired)
        self._total = self._queue(rules.total_s, self._total_expired)

    def _queue(self, after_s: float | None, expired: Callable[[InFlight], None]) -> Deadlines[InFlight] | None:
        return None if after_s is None else Deadlines(self._clock, round(after_s * NS_PER_S), expired)

    def __len__(self) -> int:
        return sum(len(queue) for queue in (self._first_token, self._total) if queue is not None)

    def start(self, in_flight: InFlight) -> None:
        """Start the time of a request."""
        if self._first_token is not None:
            self._first_token.add(in_flight)
        if self._total is not None:
            self._total.add(in_flight)

    def end(self, in_flight: InFlight) -> None:
        """Remove a request that has ended."""
        if self._first_token is not None:
            self._first_token.discard(in_flight)
        if self._total is not None:
            self._total.discard(in_flight)

    def close(self) -> None:
        """Remove all requests and cancel the timers."""
        for queue in (self._first_token, self._total):
            if queue is not None:
                queue.close()

    def _first_token_expired(self, in_flight: InFlight) -> None:
        if in_flight.answer.first_token_ns is None:
            message = f"no first token within {self._rules.first_token_s:g} s"
            self._expired(in_flight, "timeout_first_token", message)

    def _total_expired(self, in_flight: InFlight) -> None:
        self._expired(in_flight, "timeout_total", f"not complete within {self._rules.total_s:g} s")
