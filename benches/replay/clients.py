"""Cost of a client: our connections against aiohttp, same bodies, event loop and server. See docs/benchmarks.md.

    python benches/replay/clients.py http://127.0.0.1:8000/v1

Every response is read to its end and counted in bytes; neither client parses events. Prints the best of three rounds
each, in wall time and in CPU time of the client, which depends less on the load of the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from typing import TYPE_CHECKING

import aiohttp
import uvloop
from agentgen.replay.job import Target
from agentgen.replay.pool import Pool
from agentgen.replay.route import Access

if TYPE_CHECKING:
    from agentgen.replay.protocols import Response

ROUNDS = 3
HEADERS = {"Accept": "text/event-stream"}


class Sender:
    """Sends the next request when the one before has ended."""

    def __init__(self, pool: Pool, number: int, bodies: list[bytes], done: asyncio.Event) -> None:
        self.connection = pool.open(f"s{number}")
        self.bodies = bodies
        self.done = done
        self.bytes = 0

    def next(self) -> None:
        """Send the next request, or finish."""
        if self.bodies:
            self.connection.send(self.bodies.pop(), self)
        else:
            self.done.set()

    def sent(self, stamp_ns: int) -> None:
        """Ignore the stamp."""

    def data(self, data: bytes, stamp_ns: int) -> bool:
        """Count the bytes."""
        self.bytes += len(data)
        return False

    def finished(self, response: Response, stamp_ns: int) -> None:
        """Send the next request."""
        self.next()

    def lost(self, outcome: str, status: int, message: str, stamp_ns: int) -> None:
        """Exit: the figures would be wrong."""
        raise SystemExit(message)


async def ours(url: str, body: bytes, requests: int, slots: int) -> int:
    """Send all requests over our connections; return the bytes of all responses."""
    pool = Pool(Target((url,), "/chat/completions", HEADERS, ("X-Session-ID",), 10, Access()))
    senders = [Sender(pool, number, [body] * (requests // slots), asyncio.Event()) for number in range(slots)]
    for sender in senders:
        sender.next()
    for sender in senders:
        await sender.done.wait()
        sender.connection.close()
    await pool.close()
    return sum(sender.bytes for sender in senders)


async def theirs(url: str, body: bytes, requests: int, slots: int) -> int:
    """Send all requests with aiohttp; return the bytes of all responses."""
    headers = {**HEADERS, "Content-Type": "application/json"}
    connector = aiohttp.TCPConnector(limit=slots)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False, read_bufsize=1 << 20) as session:

        async def play(number: int) -> int:
            size = 0
            for _ in range(requests // slots):
                own = {**headers, "X-Session-ID": f"s{number}"}
                async with session.post(url + "/chat/completions", data=body, headers=own) as response:
                    async for chunk in response.content.iter_any():
                        size += len(chunk)
            return size

        return sum(await asyncio.gather(*(play(number) for number in range(slots))))


def main() -> None:
    """Measure both clients in turns."""
    options = argparse.ArgumentParser()
    options.add_argument("url")
    options.add_argument("--requests", type=int, default=20_000)
    options.add_argument("--slots", type=int, default=32)
    options.add_argument("--words", type=int, default=1_500)
    options.add_argument("--output", type=int, default=16)
    given = options.parse_args()
    message = {"role": "user", "content": " ".join(f"word{number}" for number in range(given.words))}
    body = json.dumps({"model": "m", "stream": True, "max_completion_tokens": given.output, "messages": [message]})
    walls: dict[str, float] = {}
    cpus: dict[str, float] = {}
    read: set[int] = set()
    for _ in range(ROUNDS):
        for name, client in (("ours", ours), ("aiohttp", theirs)):
            wall, cpu = time.perf_counter(), time.process_time()
            read.add(uvloop.run(client(given.url, body.encode(), given.requests, given.slots)))
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            walls[name] = min(walls.get(name, wall), wall)
            cpus[name] = min(cpus.get(name, cpu), cpu)
    if len(read) != 1:
        raise SystemExit(f"the clients read different numbers of bytes: {read}")
    for name, wall in walls.items():
        print(f"{name:8} {given.requests / wall:8,.0f} requests/s {1e6 * cpus[name] / given.requests:8.1f} us CPU")
    print(f"ratio    {walls['aiohttp'] / walls['ours']:8.2f}            {cpus['aiohttp'] / cpus['ours']:8.2f}")


if __name__ == "__main__":
    main()
