"""Requests before and after a replay: over the same connections as its own, limited in size and time."""

from __future__ import annotations

import asyncio
import ssl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentgen.replay.event_loop import new_event_loop
from agentgen.replay.http import Connection
from agentgen.replay.route import Route, why_not

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentgen.replay.protocols import Response
    from agentgen.replay.route import Access

MAX_PAGE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Page:
    """What a server answered.

    Attributes:
        status: HTTP status; 0 without a complete response.
        body: The whole body.
        location: Where a redirect points to.
        problem: Why there is no complete response.
        is_untrusted: The server's certificate is not trusted.
    """

    status: int = 0
    body: bytes = b""
    location: str = ""
    problem: str = ""
    is_untrusted: bool = False


def fetch(
    urls: Sequence[str], headers: Mapping[str, str], timeout_s: float, access: Access, body: bytes | None = None
) -> list[Page]:
    """Get all pages at once, or post a JSON body to all, within one time limit.

    Redirects are not followed: they would get the API key.
    """
    pages = _fetch(urls, headers, timeout_s, access, body)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            return runner.run(pages)
    with ThreadPoolExecutor(1) as executor:  # a notebook runs a loop in this thread
        return executor.submit(asyncio.run, pages).result()


async def _fetch(
    urls: Sequence[str], headers: Mapping[str, str], timeout_s: float, access: Access, body: bytes | None
) -> list[Page]:
    tasks = [asyncio.ensure_future(_page(url, headers, access, body)) for url in urls]
    _, late = await asyncio.wait(tasks, timeout=timeout_s)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    timed_out = Page(problem=f"no complete answer within {timeout_s:.3g} s")
    return [timed_out if task in late else task.result() for task in tasks]


async def _page(url: str, headers: Mapping[str, str], access: Access, body: bytes | None) -> Page:
    route = Route(url, access)
    reader = _Reader()
    try:
        connection = await route.connect(Connection)
    except (OSError, UnicodeError) as error:  # UnicodeError: not a valid host name
        return Page(problem=why_not(error), is_untrusted=isinstance(error, ssl.SSLCertVerificationError))
    lines = [f"{'GET' if body is None else 'POST'} {route.target} HTTP/1.1", f"Host: {route.netloc}"]
    lines += [f"{name}: {value}" for name, value in {**headers, **route.headers}.items()]
    lines += ["Connection: close", *([] if body is None else ["Content-Type: application/json"])]
    try:
        connection.send("\r\n".join([*lines, "Content-Length: "]).encode("latin-1"), body or b"", reader)
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

    def data(self, data: bytes, _stamp_ns: int) -> bool:
        self._body += data
        if len(self._body) > MAX_PAGE_BYTES:
            self._body.clear()
            self._end(Page(problem=f"a body of more than {MAX_PAGE_BYTES:,} bytes"))
        return False

    def finished(self, response: Response, _stamp_ns: int) -> None:
        self._end(Page(response.status, bytes(self._body), response.location))

    def lost(self, _outcome: str, _status: int, message: str, _stamp_ns: int) -> None:
        self._end(Page(problem=message))

    def _end(self, page: Page) -> None:
        if not self.page.done():
            self.page.set_result(page)
