"""Parser of one connection's responses: heads, framing and parts of bodies."""

from __future__ import annotations

import time
import zlib
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import httptools

from agentgen.replay.protocols import Response

if TYPE_CHECKING:
    from collections.abc import Iterator

OK = 200
MAX_RETRY_AFTER_S = 365 * 24 * 3600.0
DECODED = {b"", b"identity"}
WINDOW_BITS = {
    **dict.fromkeys((b"gzip", b"x-gzip"), zlib.MAX_WBITS + 16),
    b"deflate": zlib.MAX_WBITS,
}
MAX_PIECE_BYTES = 1 << 20  # of a decompressed body at once: a small read can hold a large one
COMPLETE = Response(OK)


def retry_after_s(value: bytes) -> float | None:
    """Seconds of a `Retry-After` header (a number or a date); None if it is empty, malformed or over a year."""
    text = value.decode("latin-1").strip()
    try:
        seconds = float(text) if text.isdigit() else parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, OverflowError, TypeError):
        return None
    return max(0.0, seconds) if seconds <= MAX_RETRY_AFTER_S else None


class ParsedResponse:
    """Callbacks of the parser; two are methods of built-in containers, so that they run no Python code.

    Attributes:
        parts: Parts of the body of the current response.
        in_head: The head of the final response is not complete.
        response: The current response once it is complete.
        kept: The number of its parts; what follows is not part of it.
        has_more: The server has begun another response.
        is_encoded: The body is compressed, though none was asked for.
    """

    __slots__ = (
        "_decoder",
        "_names",
        "_spelt",
        "has_more",
        "headers",
        "in_head",
        "is_encoded",
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
        # A server spells the names of headers alike in all responses, so they are put in lower case once.
        self._spelt: frozenset[bytes] = frozenset()
        self._names: dict[bytes, bytes] = {}  # as spelt, by names in lower case
        self.on_body = self.parts.append
        self.on_header = self.headers.__setitem__
        self.parser = httptools.HttpResponseParser(self)
        self.begin()

    def begin(self) -> None:
        """Prepare for the response to a request."""
        self.in_head = True
        self.keep_alive = False
        self.response: Response | None = None
        self.has_more = False
        self.is_encoded = False
        self._decoder: zlib._Decompress | None = None

    @property
    def status(self) -> int:
        """The status of the final response; 0 before its head is complete."""
        return 0 if self.in_head else self.parser.get_status_code()

    @property
    def is_framed(self) -> bool:
        """HTTP says where the body ends; otherwise it ends with the connection."""
        return bool(self.header(b"content-length")) or self.header(b"transfer-encoding").lower().endswith(b"chunked")

    def header(self, name: bytes) -> bytes:
        """The value of a header of the final response; empty without it."""
        return self.headers.get(self._names.get(name, name), b"")

    def on_message_begin(self) -> None:
        """The first byte of a response."""
        if self.response is not None:
            self.has_more = True
        self.headers.clear()

    def on_headers_complete(self) -> None:
        """The end of a head."""
        if self.response is None and self.parser.get_status_code() >= OK:
            self.in_head = False
            if self._spelt != self.headers.keys():
                self._spelt = frozenset(self.headers)
                self._names = {name.lower(): name for name in self.headers}
            self.is_encoded = b"content-encoding" in self._names and self.encoding not in DECODED

    @property
    def encoding(self) -> bytes:
        """How the body is compressed."""
        return self.header(b"content-encoding").strip().lower()

    def decoded(self, data: bytes) -> Iterator[bytes]:
        """Decompress a part of the body, into pieces of at most 1 MiB.

        Raises:
            ValueError: It cannot be decompressed; the message says why.
        """
        name = self.encoding
        if name not in WINDOW_BITS:
            found = f"found Content-Encoding {name.decode('latin-1')}"
            raise ValueError(f"{found}, expected identity, as asked for (gzip and deflate are read, too)")
        if self._decoder is None:
            # Some servers send `deflate` without zlib's header, whose first byte says 8 in its lower half.
            is_raw = name == b"deflate" and data[0] & 15 != zlib.DEFLATED
            self._decoder = zlib.decompressobj(-zlib.MAX_WBITS if is_raw else WINDOW_BITS[name])
        try:
            while data and not self._decoder.eof:
                piece = self._decoder.decompress(data, MAX_PIECE_BYTES)
                data = self._decoder.unconsumed_tail
                if piece:
                    yield piece
        except zlib.error:
            raise ValueError(
                f"found a body that is not {name.decode('latin-1')}, as its Content-Encoding says"
            ) from None

    def on_message_complete(self) -> None:
        """The end of a response, as HTTP frames it."""
        if self.response is None and not self.in_head:
            self.response = self.ended(is_framed=True)
            self.kept = len(self.parts)
            self.keep_alive = self.parser.should_keep_alive()  # not known earlier

    def ended(self, *, is_framed: bool) -> Response:
        """The response, which is over."""
        status = self.parser.get_status_code()
        if status == OK and is_framed:
            return COMPLETE
        location = self.header(b"location").decode("latin-1")
        return Response(status, is_framed, retry_after_s(self.header(b"retry-after")), location)
