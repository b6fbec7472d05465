"""One HTTP/1.1 connection: sends requests as bytes, and stamps every read before it parses it."""

from __future__ import annotations

import asyncio
from time import monotonic_ns
from typing import TYPE_CHECKING, cast

import httptools

from agentgen.replay.parsed_response import OK, ParsedResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentgen.replay.protocols import Response, ResponseHandler

MAX_HEAD_BYTES = 64 * 1024  # of a response's head with its interim responses, and of any other bytes without a body
TOO_LARGE = "response_too_large", f"found more than {MAX_HEAD_BYTES:,} bytes of headers, expected fewer"
DRAIN_S = 0.005  # how long the rest of a response, after the end of its answer, is waited for


class Connection(asyncio.Protocol):
    """A connection with at most one request in flight.

    A request ends with its answer, which can be complete before HTTP is. The rest of the response is then *drained*.

    Attributes:
        idle_since_ns: When the connection was opened, or its last answer was complete.
        draining: The answer is complete, the response is not.
    """

    __slots__ = (
        "__weakref__",
        "_answered",
        "_bodiless",
        "_drained",
        "_handler",
        "_parsed",
        "_parser",
        "_timer",
        "_transport",
        "_used",
        "draining",
        "idle_since_ns",
    )

    def __init__(self) -> None:
        self._handler: ResponseHandler | None = None
        self._transport: asyncio.Transport | None = None
        self._parsed = ParsedResponse()
        self._parser = self._parsed.parser
        self._used = False  # a complete answer has come over this connection
        self._answered = False  # bytes of the current response have come
        self._bodiless = 0  # bytes since the last byte of a body; when draining, since the end of the answer
        self._drained: Callable[[], None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.draining = False
        self.idle_since_ns = 0

    @property
    def usable(self) -> bool:
        """Whether a request can be sent, as far as the client can tell."""
        return self._transport is not None and not self.draining

    def send(self, head: bytes, body: bytes, handler: ResponseHandler) -> None:
        """Hand a request to the operating system now; `head` ends with `Content-Length: `."""
        transport = self._transport
        if transport is None:
            handler.lost("connection_lost", 0, "the connection was closed", monotonic_ns())
            return
        self._handler = handler
        self._answered = False
        self._bodiless = 0
        self._parsed.begin()
        transport.writelines((b"%b%d\r\n\r\n" % (head, len(body)), body))
        handler.sent(monotonic_ns())

    def abort(self) -> None:
        """Close at once; the handler gets no further event."""
        self._handler = None
        self._discard()

    def when_drained(self, then: Callable[[], None]) -> None:
        """Call this when the rest of the response has arrived, or after 5 ms, when the connection is closed."""
        self._drained = then
        self._timer = asyncio.get_running_loop().call_later(DRAIN_S, self._discard)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Disable write buffering (asyncio and uvloop set TCP_NODELAY themselves)."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(0)
        self.idle_since_ns = monotonic_ns()

    def data_received(self, data: bytes) -> None:
        """Parse one network read."""
        stamp = monotonic_ns()
        handler, parsed = self._handler, self._parsed
        if handler is None:
            self._unasked(data)
            return
        self._answered = True
        problem, is_complete = self._parse(data), False
        parts = parsed.parts
        if parsed.response is not None:
            del parts[parsed.kept :]
        if parts:
            body = parts[0] if len(parts) == 1 else b"".join(parts)
            parts.clear()
            if parsed.is_encoded:
                is_complete = self._decode(handler, body, stamp)
                if self._handler is None:
                    return
            else:
                is_complete = handler.data(body, stamp)
        if parsed.response is not None:
            self._finish(parsed.response, stamp, is_reusable=problem is None)
        elif problem is not None:
            self._lose(*problem, stamp)
        elif is_complete and parsed.status == OK:
            self._handler = None
            self._used = self.draining = True
            self._bodiless = 0
            self.idle_since_ns = stamp
            handler.finished(parsed.ended(is_framed=True), stamp)

    def _decode(self, handler: ResponseHandler, body: bytes, stamp: int) -> bool:
        """Hand over a compressed part of a body; whether the answer is complete (given up if there is no handler)."""
        is_complete = False
        try:
            for piece in self._parsed.decoded(body):
                is_complete = handler.data(piece, stamp) or is_complete
                if self._handler is None:
                    break
        except ValueError as error:
            self._lose("bad_response", str(error), stamp)
        return is_complete

    def _parse(self, data: bytes) -> tuple[str, str] | None:
        """Parse a read; return outcome and message if it cannot be parsed or is too large."""
        parsed, length = self._parsed, len(data)
        try:
            room = MAX_HEAD_BYTES - self._bodiless
            if parsed.in_head and length > room:  # a body may follow in the same read
                self._parser.feed_data(data[:room])
                if parsed.in_head:
                    return TOO_LARGE
                data = data[room:]
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            return "connection_lost", f"not HTTP: {error}"
        # Trailers, too, are headers.
        self._bodiless = 0 if parsed.parts else self._bodiless + length
        return TOO_LARGE if self._bodiless > MAX_HEAD_BYTES and parsed.response is None else None

    def _unasked(self, data: bytes) -> None:
        """Take the rest of a response. Anything else means that the server is about to close the connection."""
        parsed, transport = self._parsed, self._transport
        if not self.draining or transport is None:
            self._discard()
            return
        read = self._bodiless + len(data)
        problem = self._parse(data)
        parsed.parts.clear()
        self._bodiless = read
        if parsed.response is not None:
            self.draining = False
            self.idle_since_ns = monotonic_ns()
            is_reusable = problem is None and parsed.keep_alive and not parsed.has_more
            if is_reusable and not transport.get_write_buffer_size():
                self._call_drained()
            else:
                self._discard()
        elif problem is not None or read > MAX_HEAD_BYTES:
            self._discard()

    def _finish(self, response: Response, stamp: int, *, is_reusable: bool) -> None:
        handler, parsed, transport = self._handler, self._parsed, self._transport
        is_reusable = is_reusable and parsed.keep_alive and not parsed.has_more
        if transport is None or not is_reusable or transport.get_write_buffer_size():
            self._discard()
        self._handler = None
        self._used = True
        self.idle_since_ns = stamp
        if handler is not None:
            handler.finished(response, stamp)

    def eof_received(self) -> bool:
        """The server closed its side: no more bytes will come."""
        stamp = monotonic_ns()
        parsed = self._parsed
        if self._handler is not None and not parsed.in_head and not parsed.is_framed:
            # The end of the connection is the end of the body.
            self._finish(parsed.ended(is_framed=False), stamp, is_reusable=False)
        else:
            self._close("the server closed the connection", stamp)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection was closed by either side."""
        self._close(str(exc) if exc else "the connection was closed", monotonic_ns())

    def _close(self, message: str, stamp: int) -> None:
        # A reused connection, closed before the first byte of the response: the server may not have seen the request.
        outcome = "stale_connection" if self._used and not self._answered else "connection_lost"
        self._lose(outcome, message, stamp)

    def _lose(self, outcome: str, message: str, stamp: int) -> None:
        handler, self._handler = self._handler, None
        status = self._parsed.status if handler is not None else 0
        self._discard()
        if handler is not None:
            handler.lost(outcome, status, message, stamp)

    def _discard(self) -> None:
        self.draining = False
        if self._transport is not None:
            transport, self._transport = self._transport, None
            transport.abort()
        self._call_drained()

    def _call_drained(self) -> None:
        then, self._drained = self._drained, None
        if then is not None:
            if self._timer is not None:
                self._timer.cancel()
            then()
