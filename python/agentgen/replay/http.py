"""One HTTP/1.1 connection: requests go out as bytes, what comes in is stamped before anything else happens to it."""

from __future__ import annotations

import asyncio
import time
from email.utils import parsedate_to_datetime
from time import monotonic_ns
from typing import TYPE_CHECKING, cast

import httptools

if TYPE_CHECKING:
    from agentgen.replay.ports import Sink

OK = 200


def retry_after_s(value: bytes | None) -> float | None:
    """Seconds of a `Retry-After` header, which has them or a date; None for none that can be read."""
    if value is None:
        return None
    text = value.decode("latin-1").strip()
    try:
        seconds = float(text) if text.isdigit() else parsedate_to_datetime(text).timestamp() - time.time()
    except ValueError:
        return None
    return max(0.0, seconds)


class _Parsed:
    """What the parser tells. Three of its callbacks are methods of built-in containers: no Python code runs in them."""

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
        self.keep_alive = self.parser.should_keep_alive()  # it knows only now

    def header(self, name: bytes) -> bytes | None:
        return next((value for found, value in self.headers.items() if found.lower() == name), None)


class Connection(asyncio.Protocol):
    """A connection with at most one request in flight.

    Attributes:
        idle_since_ns: When it last had something to do.
    """

    __slots__ = ("__weakref__", "_answered", "_parsed", "_parser", "_sink", "_transport", "_used", "idle_since_ns")

    def __init__(self) -> None:
        self._sink: Sink | None = None
        self._transport: asyncio.Transport | None = None
        self._parsed = _Parsed()
        self._parser = self._parsed.parser
        self._used = False  # an answer has come here
        self._answered = False  # and something of the one that is waited for
        self.idle_since_ns = 0

    @property
    def usable(self) -> bool:
        """It is open, as far as anybody knows."""
        return self._transport is not None

    def send(self, head: bytes, body: bytes, sink: Sink) -> None:
        """Hand a request to the operating system now: `head` without its last line, which is the body's length."""
        transport = self._transport
        if transport is None:
            sink.lost("connection_lost", 0, "the connection was closed", monotonic_ns())
            return
        self._sink = sink
        self._answered = False
        transport.writelines((b"%b%d\r\n\r\n" % (head, len(body)), body))
        sink.sent(monotonic_ns())

    def abort(self) -> None:
        """Close at once: the server sees it, and nothing more is told to the sink."""
        self._sink = None
        self._discard()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Nothing is to wait for more to be written (asyncio and uvloop have set TCP_NODELAY already)."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(0)
        self.idle_since_ns = monotonic_ns()

    def data_received(self, data: bytes) -> None:
        """One read of the network."""
        stamp = monotonic_ns()
        sink, parsed = self._sink, self._parsed
        if sink is None:  # a server that speaks unasked is about to hang up
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
            sink.data(body, stamp)
        if parsed.complete:
            parsed.complete = False
            self._finish(stamp)

    def _finish(self, stamp: int) -> None:
        sink, status = self._sink, self._parser.get_status_code()
        if status < OK:  # an interim response: the real one follows
            self._parsed.headers.clear()
            return
        retry_after = None if status == OK else retry_after_s(self._parsed.header(b"retry-after"))
        self._parsed.headers.clear()
        transport = self._transport
        if transport is None or not self._parsed.keep_alive or transport.get_write_buffer_size():
            self._discard()
        self._sink = None
        self._used = True
        self.idle_since_ns = stamp
        if sink is not None:
            sink.finished(status, retry_after, stamp)

    def eof_received(self) -> bool:
        """The server has closed its half: nothing more will be answered here."""
        stamp = monotonic_ns()
        parsed = self._parsed
        if self._sink is not None and parsed.headers:
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
        """The connection is gone, by whoever's will."""
        self._close(str(exc) if exc else "the connection was closed", monotonic_ns())

    def _close(self, message: str, stamp: int) -> None:
        # After an answer, and before another one has begun: the server need not have seen the request.
        outcome = "hung_up" if self._used and not self._answered else "connection_lost"
        self._lose(outcome, message, stamp)

    def _lose(self, outcome: str, message: str, stamp: int) -> None:
        sink, self._sink = self._sink, None
        status = self._parser.get_status_code() if sink is not None and self._parsed.headers else 0
        self._discard()
        if sink is not None:
            sink.lost(outcome, status, message, stamp)

    def _discard(self) -> None:
        if self._transport is not None:
            transport, self._transport = self._transport, None
            transport.abort()
