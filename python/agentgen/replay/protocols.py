"""Interfaces between the scheduler and the rest: clock, connections, sessions, responses, record files.

The scheduler imports nothing else, so its tests replace all of them by fakes. Times are nanoseconds of
`time.monotonic_ns()`, which changes of the wall clock do not affect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentgen.replay.records import RequestRecord, SessionRecord

InFlightT_contra = TypeVar("InFlightT_contra", contravariant=True)


class Timer(Protocol):
    """A callback that will run unless it is cancelled."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """Monotonic time and timers."""

    def now(self) -> int: ...

    def call_at(self, when_ns: int, callback: Callable[..., object], *args: Any) -> Timer:
        """Schedule a call at `when_ns` or later; never run it within this call."""
        ...


class Response(NamedTuple):
    """The head of a complete response.

    Attributes:
        status: HTTP status, 200 or above.
        is_framed: HTTP says where the body ends; otherwise it ends with the connection, and may be incomplete.
        retry_after_s: Seconds of `Retry-After`.
        location: Where a redirect points to, in the server's words.
    """

    status: int
    is_framed: bool = True
    retry_after_s: float | None = None
    location: str = ""


class ResponseHandler(Protocol):
    """Receives the transport's events for one request.

    The last event is `finished` or `lost`; a cancelled request gets no further event.
    """

    def sent(self, stamp_ns: int) -> None:
        """The request was handed to the operating system."""
        ...

    def data(self, data: bytes, stamp_ns: int) -> bool:
        """One network read brought these bytes of the response's body; whether the answer is complete.

        If it is, the response is over for the handler, even if HTTP is not: `finished` follows.
        """
        ...

    def finished(self, response: Response, stamp_ns: int) -> None:
        """The response is over."""
        ...

    def lost(self, outcome: str, status: int, message: str, stamp_ns: int) -> None:
        """The response is not complete: no connection, or the connection broke.

        `status` is 0 before the response's head. The outcome `stale_connection` means that the server closed a reused
        connection before it sent any byte of this response.
        """
        ...


class OutcomeHandler(Protocol[InFlightT_contra]):
    """Receives the end of each request in flight."""

    def too_large(self, in_flight: InFlightT_contra, stamp_ns: int) -> None:
        """The response is larger than the limits allow; the answer says which."""
        ...

    def finished(self, in_flight: InFlightT_contra, response: Response, stamp_ns: int) -> None:
        """The response is over."""
        ...

    def lost(self, in_flight: InFlightT_contra, outcome: str, status: int, message: str, stamp_ns: int) -> None:
        """The response is not complete."""
        ...

    def crash(self, error: BaseException) -> None:
        """Handling an event raised an exception: the run ends."""
        ...


class SessionConnection(Protocol):
    """Sends one session's requests, always to the same server, over one connection while that stays open."""

    @property
    def url(self) -> int:
        """Index of the server in `--url`."""
        ...

    def send(self, body: bytes, handler: ResponseHandler, *, new_connection: bool = False) -> None:
        """Send a request; with `new_connection`, never over one that was open before."""
        ...

    def cancel(self) -> None:
        """Abandon the request in flight and close its connection, so that the server stops computing."""
        ...

    def close(self) -> None:
        """End the session: other sessions may reuse its connection."""
        ...


class Transport(Protocol):
    """Opens the connections of sessions."""

    def open(self, key: str) -> SessionConnection:
        """Open the connection of a new session."""
        ...


class ConnectionWaiter(Protocol):
    """A session that waits for a connection to its server."""

    @property
    def waiting(self) -> bool:
        """A request of the session still waits for a connection."""
        ...

    def connected(self, connection: Any) -> bool:
        """Take this connection; False if the session no longer needs one."""
        ...

    def unreachable(self, outcome: str, message: str) -> None:
        """The connection could not be opened."""
        ...


class Request(Protocol):
    """The next request of a session; lengths are tokens of the trace."""

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
    """A server's response, parsed while it arrives."""

    def feed(self, data: bytes, stamp_ns: int) -> bool:
        """Take a network read; False if no more is needed: the answer is complete, or too large."""
        ...

    def end(self, end: str, stamp_ns: int) -> None: ...
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
    """The sessions of the trace in the order of their start times.

    Attributes:
        has_bundles: Whether sessions may begin in the bundles of others; else only `next` is called.
    """

    @property
    def has_bundles(self) -> bool: ...
    def next(self) -> Session | None: ...
    def responded(self, number: int, turn: int) -> Sequence[Session]: ...
    def may_send(self, number: int, turn: int) -> bool: ...
    def over(self, number: int, turns: int, has_failed: bool) -> tuple[Sequence[Session], Sequence[int], bool]: ...  # noqa: FBT001  positional in Rust


class Recorder(Protocol):
    """Writes a worker's record file."""

    def request(self, record: RequestRecord, answer: Any) -> None: ...
    def session(self, record: SessionRecord) -> None: ...
    def loop_lag(self, late_ns: int) -> None: ...
