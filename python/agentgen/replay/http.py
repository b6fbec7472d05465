"""One HTTP/1.1 connection: sends requests as bytes, and stamps every read before it parses it."""

from __future__ import annotations

import asyncio
import ssl
import time
from email.utils import parsedate_to_datetime
from time import monotonic_ns
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import httptools

from agentgen.replay.protocols import Response

if TYPE_CHECKING:
    from agentgen.replay.protocols import ResponseHandler

OK = 200
MAX_HEAD_BYTES = 64 * 1024  # of a response's head with its interim responses, and of any other bytes without a body
TOO_LARGE = "response_too_large", f"found more than {MAX_HEAD_BYTES:,} bytes of headers, expected fewer"
MAX_RETRY_AFTER_S = 365 * 24 * 3600.0
DECODED = {b"", b"identity"}


def retry_after_s(value: bytes | None) -> float | None:
    """Seconds of a `Retry-After` header (a number or a date); None if it is missing, malformed or over a year."""
    if value is None:
        return None
    text = value.decode("latin-1").strip()
    try:
        seconds = float(text) if text.isdigit() else parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, OverflowError, TypeError):
        return None
    return max(0.0, seconds) if seconds <= MAX_RETRY_AFTER_S else None


class Origin:
    """Where a URL points to.

    Attributes:
        host: Host name or address.
        port: Port.
        netloc: Value of the header `Host`.
        path: Path.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._is_secure = parts.scheme == "https"
        self.host = parts.hostname or ""
        self.port = parts.port or (443 if self._is_secure else 80)
        self.netloc = parts.netloc
        self.path = parts.path

    def tls(self) -> ssl.SSLContext | None:
        """A new TLS context that verifies certificates; None for plain HTTP."""
        return ssl.create_default_context() if self._is_secure else None


class _Parsed:
    """Callbacks of the parser; two are methods of built-in containers, so that they run no Python code.

    Attributes:
        parts: Parts of the body of the current response.
        in_head: The head of the final response is not complete.
        response: The current response once it is complete.
        kept: The number of its parts; what follows is not part of it.
        has_more: The server has begun another response.
        encoding: How the body is compressed; empty if it is not.
    """

    __slots__ = (
        "encoding",
        "has_more",
        "headers",
        "in_head",
        "is_framed",
        "keep_alive",
        "kept",
        "on_body",
        "on_header",
        "parser",
        "parts",
        "response",
    )

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.headers: dict[bytes, bytes] = {}
        self.on_body = self.parts.append
        self.on_header = self.headers.__setitem__
        self.parser = httptools.HttpResponseParser(self)
        self.begin()

    def begin(self) -> None:
        """Prepare for the response to a request."""
        self.headers.clear()
        self.in_head = True
        self.is_framed = True
        self.keep_alive = False
        self.response: Response | None = None
        self.kept = 0
        self.has_more = False
        self.encoding = b""

    @property
    def status(self) -> int:
        """The status of the final response; 0 before its head is complete."""
        return 0 if self.in_head else self.parser.get_status_code()

    def on_message_begin(self) -> None:
        if self.response is not None:
            self.has_more = True
        self.headers.clear()

    def on_headers_complete(self) -> None:
        if self.response is None and self.parser.get_status_code() >= OK:
            self.in_head = False
            chunked = self.header(b"transfer-encoding").lower().endswith(b"chunked")
            self.is_framed = chunked or bool(self.header(b"content-length"))
            self.encoding = self.header(b"content-encoding").strip().lower()

    def on_message_complete(self) -> None:
        if self.response is None and not self.in_head:
            self.finish()
            self.keep_alive = self.parser.should_keep_alive()  # not known earlier

    def finish(self) -> None:
        """Complete the response."""
        status = self.parser.get_status_code()
        refused = status != OK
        self.response = Response(
            status,
            self.is_framed,
            retry_after_s(self.header(b"retry-after") or None) if refused else None,
            self.header(b"location").decode("latin-1") if refused else "",
        )
        self.kept = len(self.parts)

    def header(self, name: bytes) -> bytes:
        return next((value for found, value in self.headers.items() if found.lower() == name), b"")


class Connection(asyncio.Protocol):
    """A connection with at most one request in flight.

    Attributes:
        idle_since_ns: When the connection was opened, or its last response was complete.
    """

    __slots__ = (
        "__weakref__",
        "_answered",
        "_bodiless",
        "_handler",
        "_parsed",
        "_parser",
        "_transport",
        "_used",
        "idle_since_ns",
    )

    def __init__(self) -> None:
        self._handler: ResponseHandler | None = None
        self._transport: asyncio.Transport | None = None
        self._parsed = _Parsed()
        self._parser = self._parsed.parser
        self._used = False  # a complete response has come over this connection
        self._answered = False  # bytes of the current response have come
        self._bodiless = 0  # bytes since the last byte of a body
        self.idle_since_ns = 0

    @property
    def usable(self) -> bool:
        """Whether the connection is open, as far as the client can tell."""
        return self._transport is not None

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
        problem = self._parse(data)
        parts = parsed.parts
        if parsed.response is not None:
            del parts[parsed.kept :]
        if parts:
            if parsed.encoding not in DECODED:
                found = parsed.encoding.decode("latin-1")
                self._lose("bad_response", f"found Content-Encoding {found}, expected identity, as asked for", stamp)
                return
            body = parts[0] if len(parts) == 1 else b"".join(parts)
            parts.clear()
            handler.data(body, stamp)
        if parsed.response is not None:
            self._finish(parsed.response, stamp, is_reusable=problem is None)
        elif problem is not None:
            self._lose(*problem, stamp)

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
            parsed.finish()  # the end of the connection is the end of the body
            self._finish(cast("Response", parsed.response), stamp, is_reusable=False)
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
        if self._transport is not None:
            transport, self._transport = self._transport, None
            transport.abort()
