"""What a recorder adds to a request, and how many small requests it forwards. See docs/benchmarks.md.

    python benches/record.py --serve target/release/examples/serve --record target/release/examples/record

The embedded server takes no time for prompts; client, recorder and server share the machine. Requests go to the server
directly and through the recorder in turns, each on a connection of its own that stays open.
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import socket
import statistics
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PROMPT_TOKENS = 100_000
ANSWER_TOKENS = 64
DECODE_RATE = 2_000  # tokens/s
PAIRS = 300
CONNECTIONS = 32
SECONDS = 5.0
END = b"data: [DONE]\n\n\r\n0\r\n\r\n"
TICKS = os.sysconf("SC_CLK_TCK")


@contextmanager
def running(*command: str) -> Iterator[tuple[str, int]]:
    """URL and process id of a program that runs until its standard input ends."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if process.stdin is None or process.stdout is None:
        raise RuntimeError
    try:
        yield process.stdout.readline().strip(), process.pid
    finally:
        process.stdin.close()
        process.wait()


def cpu_s(pid: int) -> float:
    """CPU time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def connect(url: str) -> socket.socket:
    """An open connection."""
    host, port = url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def request(body: dict[str, object]) -> bytes:
    """A request for a chat completion."""
    text = json.dumps({"model": "agentgen", **body}).encode()
    return b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(text) + text


def streamed(connection: socket.socket, sent: bytes) -> tuple[float, float]:
    """Time to the first byte of the answer and to its end, ms."""
    begun = time.perf_counter()
    connection.sendall(sent)
    data = connection.recv(1 << 16)
    first = time.perf_counter()
    tail = data
    while not tail.endswith(END):
        tail = (tail + connection.recv(1 << 16))[-64:]
    return 1e3 * (first - begun), 1e3 * (time.perf_counter() - begun)


def small(url: str) -> float:
    """Small requests per second in a closed loop."""
    sent = request({"messages": [{"role": "user", "content": "hello"}], "max_tokens": 1})
    selector = selectors.DefaultSelector()
    for _ in range(CONNECTIONS):
        connection = connect(url)
        selector.register(connection, selectors.EVENT_READ)
        connection.sendall(sent)
    done, until = 0, time.perf_counter() + SECONDS
    while time.perf_counter() < until:
        for key, _ in selector.select():
            key.fileobj.recv(1 << 16)  # type: ignore[union-attr]  # a small answer comes in one piece
            key.fileobj.sendall(sent)  # type: ignore[union-attr]
            done += 1
    for key in list(selector.get_map().values()):
        key.fileobj.close()  # type: ignore[union-attr]
    return done / SECONDS


def percentile(values: list[float], share: float) -> float:
    """The value below which this share lies."""
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]


def main() -> None:
    """Measure and print Markdown rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--serve", required=True, help="example `serve` of agentgen-server")
    parser.add_argument("--record", required=True, help="example `record` of agentgen-record")
    options = parser.parse_args()
    prompt = " ".join(f"word{n % 9999}" for n in range(PROMPT_TOKENS))
    long = request({"messages": [{"role": "user", "content": prompt}], "max_tokens": ANSWER_TOKENS, "stream": True})
    rates = {"prefill_tokens_per_second": 0, "decode_tokens_per_second": 0}
    paced = json.dumps(rates | {"decode_tokens_per_second": DECODE_RATE})
    with (
        tempfile.TemporaryDirectory() as folder,
        running(options.serve, paced) as (server, _),
        running(options.record, server, f"{folder}/long.jsonl") as (recorder, _),
    ):
        times: dict[str, list[tuple[float, float]]] = {"direct": [], "recorded": []}
        connections = {"direct": connect(server), "recorded": connect(recorder)}
        for number in range(PAIRS + 10):
            for name, connection in connections.items():
                taken = streamed(connection, long)
                if number >= 10:
                    times[name].append(taken)
                time.sleep(0.01)  # the journal of the one before is written meanwhile
        for at, what in enumerate(("first byte", "end")):
            found = [[taken[at] for taken in times[name]] for name in connections]
            columns = [(statistics.median(values), percentile(values, 0.99)) for values in found]
            columns.append((columns[1][0] - columns[0][0], columns[1][1] - columns[0][1]))
            shown = " | ".join(f"{median:.2f} / {tail:.2f}" for median, tail in columns)
            print(f"| {PROMPT_TOKENS:,} tokens, to the {what}: median / p99, ms | {shown} |")
    with (
        tempfile.TemporaryDirectory() as folder,
        running(options.serve, json.dumps(rates)) as (server, _),
        running(options.record, server, f"{folder}/small.jsonl") as (recorder, pid),
    ):
        direct = small(server)
        before = cpu_s(pid)
        through = small(recorder)
        used = (cpu_s(pid) - before) / (through * SECONDS)
        print(f"| small requests/s | {direct:,.0f} | {through:,.0f} | {1e6 * used:.0f} us of CPU each |")


if __name__ == "__main__":
    main()
