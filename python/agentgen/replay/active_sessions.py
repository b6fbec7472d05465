"""State of an open session and of its request in flight."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentgen.replay.protocols import (
        Answer,
        OutcomeHandler,
        Request,
        Response,
        Session,
        SessionConnection,
        Timer,
    )


class ActiveSession:
    """An open session: it has a request in flight, waits for a timer, or waits for its parent session to end.

    Attributes:
        key: Name of the session in headers and records.
        scheduled_ns: Scheduled time of the request: the actual end of the response before, plus the delay.
        intended_ns: Intended time of the request: the end of the response before if no request of the session had been
            sent late, plus the delay.
        ended: Requests that succeeded, failed or were cancelled.
        failed: Whether one of them failed.
        retries: How often the request has been sent again.
        refusals: How many of the retries followed a refusal by the server.
    """

    __slots__ = (
        "connection",
        "ended",
        "failed",
        "in_flight",
        "intended_ns",
        "key",
        "number",
        "opened_ns",
        "refusals",
        "request",
        "retries",
        "scheduled_ns",
        "session",
        "timer",
        "turns",
    )

    def __init__(self, session: Session, key: str, connection: SessionConnection, opened_ns: int) -> None:
        self.session = session
        self.key = key
        self.number = session.number
        self.turns = session.turns
        self.connection = connection
        self.opened_ns = opened_ns
        self.scheduled_ns = opened_ns
        self.intended_ns = opened_ns
        self.ended = 0
        self.failed = False
        self.retries = 0
        self.refusals = 0
        self.request: Request | None = None
        self.in_flight: InFlight | None = None
        self.timer: Timer | None = None

    def cancel_timer(self) -> None:
        """Cancel the timer of the next request."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class InFlight:
    """A request in flight: receives the transport's events, and ignores those that come after its end.

    Attributes:
        active: The session; None once the request has ended.
        sent_ns: When the request was handed to the operating system; 0 before.
    """

    __slots__ = ("_handler", "active", "answer", "sent_ns")

    def __init__(self, handler: OutcomeHandler[InFlight], active: ActiveSession, answer: Answer) -> None:
        self._handler = handler
        self.active: ActiveSession | None = active
        self.answer = answer
        self.sent_ns = 0

    # The transport would take an exception from one of these methods for a broken connection.

    def sent(self, stamp_ns: int) -> None:
        """The request was handed to the operating system."""
        self.sent_ns = stamp_ns

    def data(self, data: bytes, stamp_ns: int) -> bool:
        """One network read brought these bytes of the response's body; whether the answer is complete."""
        try:
            if self.active is None or self.answer.feed(data, stamp_ns):
                return False
            if self.answer.failure != "response_too_large":
                return True
            self._handler.too_large(self, stamp_ns)
        except BaseException as error:  # noqa: BLE001
            self._handler.crash(error)
        return False

    def finished(self, response: Response, stamp_ns: int) -> None:
        """The response is over."""
        try:
            self._handler.finished(self, response, stamp_ns)
        except BaseException as error:  # noqa: BLE001
            self._handler.crash(error)

    def lost(self, outcome: str, status: int, message: str, stamp_ns: int) -> None:
        """The response is not complete."""
        try:
            self._handler.lost(self, outcome, status, message, stamp_ns)
        except BaseException as error:  # noqa: BLE001
            self._handler.crash(error)
