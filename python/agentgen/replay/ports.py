"""What the scheduler needs of the world: time, connections, sessions, answers, records. The tests bring their own.

Times are nanoseconds of `time.monotonic_ns()`, which no change of the wall clock moves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Timer(Protocol):
    """Something that will be called, unless it is cancelled."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """Time and timers."""

    def now(self) -> int: ...

    def call_at(self, when_ns: int, callback: Callable[..., object], *args: Any) -> Timer:
        """Call at `when_ns` or later; never from within this call."""
        ...


class Sink(Protocol):
    """Takes what happens to one request. One of `finished` and `lost` comes last, and none after a cancellation."""

    def sent(self, stamp_ns: int) -> None:
        """The request has been handed to the operating system."""
        ...

    def data(self, data: bytes, stamp_ns: int) -> None:
        """What one read of the network holds of the response's body."""
        ...

    def finished(self, status: int, retry_after_s: float | None, stamp_ns: int) -> None:
        """HTTP says that the response is complete."""
        ...

    def lost(self, outcome: str, status: int, message: str, stamp_ns: int) -> None:
        """There is no complete response: no connection, or it broke (`status` is 0 before the response's head).

        The outcome `hung_up` is told of a connection that an answer had come on, and nothing of this one.
        """
        ...


class Route(Protocol):
    """The way of one session's requests: always the same endpoint, and the same connection while it lasts."""

    @property
    def url(self) -> int:
        """Number of the endpoint."""
        ...

    def send(self, body: bytes, sink: Sink, *, anew: bool = False) -> None:
        """Send a request; `anew` on a connection that was not there before."""
        ...

    def cancel(self) -> None:
        """Give up the request in flight and close its connection, so that the server stops, too."""
        ...

    def close(self) -> None:
        """The session is over: its connection may serve another."""
        ...


class Transport(Protocol):
    """Where requests go."""

    def open(self, key: str) -> Route:
        """The way of a new session."""
        ...


class Request(Protocol):
    """The next request of a session."""

    @property
    def body(self) -> bytes: ...
    @property
    def turn(self) -> int: ...
    @property
    def context_tokens(self) -> int: ...
    @property
    def input_tokens(self) -> int: ...
    @property
    def output_tokens(self) -> int: ...
    @property
    def stream(self) -> bool: ...


class Answer(Protocol):
    """What a server answers, read as it comes."""

    def feed(self, data: bytes, stamp_ns: int) -> None: ...
    def end(self, complete: bool, stamp_ns: int) -> None: ...  # noqa: FBT001  as the compiled class has it
    @property
    def failure(self) -> str | None: ...
    @property
    def message(self) -> str: ...
    @property
    def first_token_ns(self) -> int | None: ...


class Session(Protocol):
    """One session of the trace."""

    @property
    def key(self) -> str: ...
    @property
    def number(self) -> int: ...
    @property
    def turns(self) -> int: ...
    @property
    def start_ms(self) -> float: ...
    @property
    def parent(self) -> int | None: ...
    def at_ms(self) -> float | None: ...
    def delay_ms(self) -> float: ...
    def request(self) -> Request: ...
    def answered(self, answer: Any) -> None: ...
    def over(self) -> None: ...


class Source(Protocol):
    """The sessions of the trace, in the order in which they start."""

    def next(self) -> Session | None: ...


class Recorder(Protocol):
    """Keeps what happened."""

    def request(
        self,
        session: int,
        key: str,
        turn: int,
        phase: str,
        url: int,
        planned_ns: int,
        intended_ns: int,
        sent_ns: int | None,
        context_tokens: int,
        input_tokens: int,
        output_tokens: int,
        outcome: str,
        status: int,
        retries: int,
        answer: Any,
        message: str = "",
    ) -> None: ...

    def session(
        self,
        session: int,
        key: str,
        phase: str,
        planned: int,
        opened_ns: int,
        closed_ns: int,
        skipped: int,
        cancelled: int,
        never_issued: int,
    ) -> None: ...

    def loop_lag(self, late_ns: int) -> None: ...
