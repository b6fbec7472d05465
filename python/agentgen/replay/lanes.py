"""What is known of an open session, and of its request in flight."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentgen.replay.ports import Answer, Request, Route, Session, Timer
    from agentgen.replay.schedule import Scheduler


class Lane:
    """An open session. It has a request in flight, or a timer, or waits for the session that it continues.

    Attributes:
        planned_ns: When the request is to be sent: the end of the response before and the delay.
        intended_ns: Likewise, had every request of the session been sent when it was intended to.
        ended: Requests that have succeeded or failed.
        retries: How often the request has been sent again.
        refusals: How many of these times because the server had refused it.
    """

    __slots__ = (
        "ended",
        "exchange",
        "intended_ns",
        "key",
        "number",
        "opened_ns",
        "planned_ns",
        "refusals",
        "request",
        "retries",
        "route",
        "session",
        "timer",
        "turns",
    )

    def __init__(self, session: Session, route: Route, opened_ns: int) -> None:
        self.session = session
        self.key = session.key
        self.number = session.number
        self.turns = session.turns
        self.route = route
        self.opened_ns = opened_ns
        self.planned_ns = opened_ns
        self.intended_ns = opened_ns
        self.ended = 0
        self.retries = 0
        self.refusals = 0
        self.request: Request | None = None
        self.exchange: Exchange | None = None
        self.timer: Timer | None = None

    def disarm(self) -> None:
        """No timer will go off."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class Exchange:
    """A request in flight: takes what the transport tells about it. Once it is over, it takes nothing more.

    Attributes:
        lane: The session; None when it is over.
        sent_ns: When it was handed to the operating system; 0 before.
        status: Of the response, as far as known.
    """

    __slots__ = ("_scheduler", "answer", "lane", "sent_ns")

    def __init__(self, scheduler: Scheduler, lane: Lane, answer: Answer) -> None:
        self._scheduler = scheduler
        self.lane: Lane | None = lane
        self.answer = answer
        self.sent_ns = 0

    # An exception that got out of one of these would be the transport's, which takes it for a broken connection.

    def sent(self, stamp_ns: int) -> None:
        """The request has been handed to the operating system."""
        self.sent_ns = stamp_ns

    def data(self, data: bytes, stamp_ns: int) -> None:
        """Part of the response's body."""
        try:
            if self.lane is not None:
                self.answer.feed(data, stamp_ns)
        except BaseException as error:  # noqa: BLE001
            self._scheduler.crash(error)

    def finished(self, status: int, retry_after_s: float | None, stamp_ns: int) -> None:
        """The response is complete."""
        try:
            self._scheduler.finished(self, status, retry_after_s, stamp_ns)
        except BaseException as error:  # noqa: BLE001
            self._scheduler.crash(error)

    def lost(self, outcome: str, status: int, message: str, stamp_ns: int) -> None:
        """There is no complete response."""
        try:
            self._scheduler.lost(self, outcome, status, message, stamp_ns)
        except BaseException as error:  # noqa: BLE001
            self._scheduler.crash(error)
