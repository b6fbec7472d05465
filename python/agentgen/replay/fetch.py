"""GET requests before and after a replay: over the same connections as its requests, limited in size and time."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentgen.replay.event_loop import new_event_loop
from agentgen.replay.http import Connection, Origin

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentgen.replay.protocols import Response

MAX_PAGE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Page:
    """What a server answered.

    Attributes:
        status: HTTP status; 0 without a complete response.
        body: The whole body.
        location: Where a redirect points to.
        problem: Why there is no complete response.
    """

    status: int = 0
    body: bytes = b""
    location: str = ""
    problem: str = ""


def fetch(urls: Sequence[str], headers: Mapping[str, str], timeout_s: float) -> list[Page]:
    """Get all pages at once, within one time limit. Redirects are not followed: they would get the API key."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            return runner.run(_fetch(urls, headers, timeout_s))
    with ThreadPoolExecutor(1) as executor:  # a notebook runs a loop in this thread
        return executor.submit(asyncio.run, _fetch(urls, headers, timeout_s)).result()


async def _fetch(urls: Sequence[str], headers: Mapping[str, str], timeout_s: float) -> list[Page]:
    tasks = [asyncio.ensure_future(_get(url, headers)) for url in urls]
    _, late = await asyncio.wait(tasks, timeout=timeout_s)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    timed_out = Page(problem=f"no complete answer within {timeout_s:.3g} s")
    return [timed_out if task in late else task.result() for task in tasks]


async def _get(url: str, headers: Mapping[str, str]) -> Page:
    origin = Origin(url)
    reader = _Reader()
    try:
        _, connection = await asyncio.get_running_loop().create_connection(
            Connection, origin.host, origin.port, ssl=origin.tls()
        )
    except (OSError, UnicodeError) as error:  # UnicodeError: not a valid host name
        return Page(problem=str(error))
    lines = [f"GET {origin.path} HTTP/1.1", f"Host: {origin.netloc}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    try:
        connection.send("\r\n".join([*lines, "Content-Length: "]).encode("latin-1"), b"", reader)
        return await reader.page
    finally:
        connection.abort()


class _Reader:
    """Collects the body of a response."""

    def __init__(self) -> None:
        self.page: asyncio.Future[Page] = asyncio.get_running_loop().create_future()
        self._body = bytearray()

    def sent(self, stamp_ns: int) -> None:
        """Ignore the stamp."""

    def data(self, data: bytes, _stamp_ns: int) -> None:
        self._body += data
        if len(self._body) > MAX_PAGE_BYTES:
            self._body.clear()
            self._end(Page(problem=f"a body of more than {MAX_PAGE_BYTES:,} bytes"))

    def finished(self, response: Response, _stamp_ns: int) -> None:
        self._end(Page(response.status, bytes(self._body), response.location))

    def lost(self, _outcome: str, _status: int, message: str, _stamp_ns: int) -> None:
        self._end(Page(problem=message))

    def _end(self, page: Page) -> None:
        if not self.page.done():
            self.page.set_result(page)
