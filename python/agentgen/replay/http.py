"""One HTTP/1.1 connection: sends requests as bytes, and stamps every read before it parses it."""

from __future__ import annotations

import asyncio
import time
from email.utils import parsedate_to_datetime
from time import monotonic_ns
from typing import TYPE_CHECKING, cast

import httptools

if TYPE_CHECKING:
    from agentgen.replay.protocols import ResponseHandler

OK = 200


def retry_after_s(value: bytes | None) -> float | None:
    """Seconds of a `Retry-After` header (a number or a date); None if it is missing or malformed."""
    if value is None:
        return None
    text = value.decode("latin-1").strip()
    try:
        seconds = float(text) if text.isdigit() else parsedate_to_datetime(text).timestamp() - time.time()
    except ValueError:
        return None
    return max(0.0, seconds)


class _Parsed:
    """Callbacks of the parser; two are methods of built-in containers, so that they run no Python code."""

    __slots__ = ("complete", "headers", "keep_alive", "on_body", "on_header", "parser", "parts")

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.headers: dict[bytes, bytes] = {}
        self.on_body = self.parts.append
        self.on_header = self.headers.__setitem__
        self.parser = httptools.HttpResponseParser(self)
        self.keep_alive = False
        self.complete = False

    def on_message_complete(self) -> None:
        self.complete = True
        self.keep_alive = self.parser.should_keep_alive()  # not known earlier

    def header(self, name: bytes) -> bytes | None:
        return next((value for found, value in self.headers.items() if found.lower() == name), None)


class Connection(asyncio.Protocol):
    """A connection with at most one request in flight.

    Attributes:
        idle_since_ns: When the connection was opened, or its last response was complete.
    """

    __slots__ = ("__weakref__", "_answered", "_handler", "_parsed", "_parser", "_transport", "_used", "idle_since_ns")

    def __init__(self) -> None:
        self._handler: ResponseHandler | None = None
        self._transport: asyncio.Transport | None = None
        self._parsed = _Parsed()
        self._parser = self._parsed.parser
        self._used = False  # a complete response has come over this connection
        self._answered = False  # bytes of the current response have come
        self.idle_since_ns = 0

    @property
    def usable(self) -> bool:
        """The connection is open, as far as the client knows."""
        return self._transport is not None

    def send(self, head: bytes, body: bytes, handler: ResponseHandler) -> None:
        """Hand a request to the operating system now; `head` ends with `Content-Length: `."""
        transport = self._transport
        if transport is None:
            handler.lost("connection_lost", 0, "the connection was closed", monotonic_ns())
            return
        self._handler = handler
        self._answered = False
        transport.writelines((b"%b%d\r\n\r\n" % (head, len(body)), body))
        handler.sent(monotonic_ns())

    def abort(self) -> None:
        """Close at once; the handler gets no further event."""
        self._handler = None
        self._discard()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Disable write buffering (asyncio and uvloop set TCP_NODELAY themselves)."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(0)
        self.idle_since_ns = monotonic_ns()

    def data_received(self, data: bytes) -> None:
        """Parse one network read."""
        stamp = monotonic_ns()
        handler, parsed = self._handler, self._parsed
        if handler is None:  # unsolicited data: the server is about to close the connection
            self._discard()
            return
        self._answered = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._lose("connection_lost", f"not HTTP: {error}", stamp)
            return
        parts = parsed.parts
        if parts:
            body = parts[0] if len(parts) == 1 else b"".join(parts)
            parts.clear()
            handler.data(body, stamp)
        if parsed.complete:
            parsed.complete = False
            self._finish(stamp)

    def _finish(self, stamp: int) -> None:
        handler, status = self._handler, self._parser.get_status_code()
        if status < OK:  # an interim response: the final one follows
            self._parsed.headers.clear()
            return
        retry_after = None if status == OK else retry_after_s(self._parsed.header(b"retry-after"))
        self._parsed.headers.clear()
        transport = self._transport
        if transport is None or not self._parsed.keep_alive or transport.get_write_buffer_size():
            self._discard()
        self._handler = None
        self._used = True
        self.idle_since_ns = stamp
        if handler is not None:
            handler.finished(status, retry_after, stamp)

    def eof_received(self) -> bool:
        """The server closed its side: no more bytes will come."""
        stamp = monotonic_ns()
        parsed = self._parsed
        if self._handler is not None and parsed.headers:
            framed = parsed.header(b"content-length") is not None or parsed.header(b"transfer-encoding") is not None
            if not framed:  # the end of the connection is the end of the body
                transport, self._transport = self._transport, None
                self._finish(stamp)
                if transport is not None:
                    transport.abort()
                return False
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
        status = self._parser.get_status_code() if handler is not None and self._parsed.headers else 0
        self._discard()
        if handler is not None:
            handler.lost(outcome, status, message, stamp)

    def _discard(self) -> None:
        if self._transport is not None:
            transport, self._transport = self._transport, None
            transport.abort()
