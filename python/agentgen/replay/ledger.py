"""What has happened: every request and session is written down and counted here, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentgen.replay import books as book

if TYPE_CHECKING:
    from agentgen.replay.books import Books
    from agentgen.replay.lanes import Exchange, Lane
    from agentgen.replay.ports import Recorder


class Ledger:
    """Counters and records of one phase.

    Attributes:
        messages: The first message of each kind of failure.
    """

    def __init__(self, recorder: Recorder, books: Books, phase: str) -> None:
        self._recorder = recorder
        self._counts = books.counts
        self._recent_us = books.recent_us
        self._phase = phase
        self.messages: dict[str, str] = {}

    def opened(self, lane: Lane) -> None:
        """A session has begun."""
        self._counts[book.OPENED] += 1
        self._counts[book.PLANNED] += lane.turns

    def issued(self) -> None:
        """A request is made, to be sent once or more often."""
        self._counts[book.ISSUED] += 1

    def sending(self) -> None:
        """A request is on its way."""
        self._counts[book.IN_FLIGHT] += 1

    def landed(self) -> None:
        """A request is on its way no more."""
        self._counts[book.IN_FLIGHT] -= 1

    def retried(self) -> None:
        """A request will be sent again."""
        self._counts[book.RETRIES] += 1

    def late(self) -> None:
        """An answer came that nobody waits for any more."""
        self._counts[book.LATE] += 1

    def succeeded(self, exchange: Exchange, lane: Lane, status: int) -> None:
        """A request has its answer."""
        answer = exchange.answer
        self._record(lane, "ok", status, exchange, "")
        counts = self._counts
        counts[book.SUCCEEDED] += 1
        first_ns = answer.first_token_ns
        if first_ns is not None:
            self._recent_us[counts[book.SUCCEEDED] % book.RECENT] = (first_ns - exchange.sent_ns) // 1000

    def failed(self, lane: Lane, outcome: str, status: int, message: str, exchange: Exchange | None) -> None:
        """A request has failed; without an exchange, before it could be made."""
        self._record(lane, outcome, status, exchange, message)
        self._counts[book.FAILED] += 1
        self.messages.setdefault(f"{outcome} {status}" if outcome == "http_error" else outcome, message)

    def cancelled(self, lane: Lane, exchange: Exchange | None) -> None:
        """A request has been given up."""
        self._record(lane, "cancelled", 0, exchange, "")
        self._counts[book.CANCELLED] += 1

    def closed(self, lane: Lane, now: int, *, skipped: int, cancelled: int, never_issued: int) -> None:
        """A session is over."""
        counts = self._counts
        counts[book.OVER] += 1
        counts[book.SKIPPED] += skipped
        counts[book.NEVER_ISSUED] += never_issued
        self._recorder.session(
            lane.number, lane.key, self._phase, lane.turns, lane.opened_ns, now, skipped, cancelled, never_issued
        )

    def _record(self, lane: Lane, outcome: str, status: int, exchange: Exchange | None, message: str) -> None:
        lane.ended += 1
        request = lane.request
        self._recorder.request(
            lane.number,
            lane.key,
            lane.ended - 1,
            self._phase,
            lane.route.url,
            lane.planned_ns,
            lane.intended_ns,
            exchange.sent_ns if exchange else None,
            request.context_tokens if request else 0,
            request.input_tokens if request else 0,
            request.output_tokens if request else 0,
            outcome,
            status,
            lane.retries,
            exchange.answer if exchange else None,
            message,
        )
