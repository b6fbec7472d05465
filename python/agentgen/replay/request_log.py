"""Counts and records every request and session; nothing else changes the counters or writes records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentgen.replay import counters as at

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentgen.replay.active_sessions import ActiveSession, InFlight
    from agentgen.replay.counters import Counters
    from agentgen.replay.protocols import Recorder


class RequestLog:
    """Counters and records of one phase.

    Attributes:
        failure_messages: The first message of each kind of failure.
    """

    def __init__(self, recorder: Recorder, counters: Counters, phase: str, shown: Callable[[str], str]) -> None:
        self._recorder = recorder
        self._counts = counters.counts
        self._recent_us = counters.recent_us
        self._phase = phase
        self._shown = shown  # removes secrets that a server has sent back
        self.failure_messages: dict[str, str] = {}

    def session_opened(self, active: ActiveSession) -> None:
        """A session took its slot."""
        self._counts[at.OPENED] += 1
        self._counts[at.PLANNED] += active.turns

    def session_closed(
        self, active: ActiveSession, now: int, *, skipped: int, cancelled: int, never_issued: int
    ) -> None:
        """A session released its slot."""
        counts = self._counts
        counts[at.CLOSED] += 1
        counts[at.SKIPPED] += skipped
        counts[at.NEVER_ISSUED] += never_issued
        self._recorder.session(
            {
                "session": active.number,
                "key": active.key,
                "phase": self._phase,
                "planned": active.turns,
                "opened_ns": active.opened_ns,
                "closed_ns": now,
                "skipped": skipped,
                "cancelled": cancelled,
                "never_issued": never_issued,
            }
        )

    def issued(self) -> None:
        """A request was built; it may be sent several times."""
        self._counts[at.ISSUED] += 1

    def in_flight(self) -> None:
        """A request goes to the transport."""
        self._counts[at.IN_FLIGHT] += 1

    def landed(self) -> None:
        """A request is no longer in flight."""
        self._counts[at.IN_FLIGHT] -= 1

    def retried(self) -> None:
        """A request will be sent again."""
        self._counts[at.RETRIES] += 1

    def late(self) -> None:
        """A response arrived after its request had ended."""
        self._counts[at.LATE] += 1

    def succeeded(self, in_flight: InFlight, active: ActiveSession, status: int) -> None:
        """A request got its complete answer."""
        self._record(active, "ok", status, in_flight, "")
        counts = self._counts
        counts[at.SUCCEEDED] += 1
        first_ns = in_flight.answer.first_token_ns
        if first_ns is not None:
            self._recent_us[counts[at.SUCCEEDED] % at.RECENT] = (first_ns - in_flight.sent_ns) // 1000

    def failed(
        self, active: ActiveSession, outcome: str, status: int, message: str, in_flight: InFlight | None
    ) -> None:
        """A request failed; `in_flight` is None if it could not be built."""
        message = self._shown(message)
        self._record(active, outcome, status, in_flight, message)
        self._counts[at.FAILED] += 1
        self.failure_messages.setdefault(f"{outcome} {status}" if outcome == "http_error" else outcome, message)

    def unrecorded_failure(self, kind: str, message: str) -> None:
        """Something failed that is no request."""
        self.failure_messages.setdefault(kind, self._shown(message))

    def cancelled(self, active: ActiveSession, in_flight: InFlight | None) -> None:
        """A request was abandoned because the run stopped."""
        self._record(active, "cancelled", 0, in_flight, "")
        self._counts[at.CANCELLED] += 1

    def _record(
        self, active: ActiveSession, outcome: str, status: int, in_flight: InFlight | None, message: str
    ) -> None:
        turn = active.ended
        active.ended = turn + 1
        request = active.request
        self._recorder.request(
            {
                "session": active.number,
                "key": active.key,
                "turn": turn,
                "phase": self._phase,
                "url": active.connection.url,
                "scheduled_ns": active.scheduled_ns,
                "intended_ns": active.intended_ns,
                "sent_ns": (in_flight.sent_ns or None) if in_flight else None,
                "context_tokens": request.context_tokens if request else 0,
                "input_tokens": request.input_tokens if request else 0,
                "output_tokens": request.output_tokens if request else 0,
                "outcome": outcome,
                "status": status,
                "retries": active.retries,
                "message": message,
            },
            in_flight.answer if in_flight else None,
        )
