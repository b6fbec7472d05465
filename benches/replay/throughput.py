"""Throughput, lag and memory of `agentgen replay`, as a Markdown table. See docs/benchmarks.md.

    python benches/replay/throughput.py [--server PROGRAM] [--only NAME]

`--server` is a program that takes a port and answers at once with coalesced events; without it only the embedded
server is measured. Sessions have 5 turns of 512 new and 16 output tokens; responses are streamed.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentgen import _native

if TYPE_CHECKING:
    from collections.abc import Iterator

TURNS = 5
NEW = 512
OUTPUT = 16
SLOTS = 32
# Minimum requests/s by how the server writes events; times to first token are measured at half of it.
SEPARATE, COALESCED = 6_000, 10_000


def write_trace(path: Path, sessions: int, *, turns: int = TURNS, first: int = NEW, new: int = NEW) -> Path:
    """Write sessions that share no blocks."""
    block, fresh = NEW, 0
    with path.open("w", encoding="utf-8") as file:
        for session in range(sessions):
            for turn in range(turns):
                length = first if turn == 0 else new
                count = -(-length // block)
                row: dict[str, Any] = {"session_id": f"s{session}", "input_length": length, "output_length": OUTPUT}
                row |= {"delay": 0} if turn else {"timestamp": 0}
                file.write(json.dumps(row | {"hash_ids": list(range(fresh, fresh + count))}) + "\n")
                fresh += count
    return path


@contextmanager
def fast(program: str) -> Iterator[str]:
    """Run a server program; its URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen([program, str(port)], stderr=subprocess.DEVNULL) as process:
        time.sleep(0.3)
        try:
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.kill()


@contextmanager
def embedded(events: str) -> Iterator[str]:
    """Run an embedded server that answers at once; its URL."""
    options = {"prefill_tokens_per_second": 0, "decode_tokens_per_second": 0, "events": events, "model": "m"}
    server = _native.Server(json.dumps(options))
    try:
        yield f"{server.url}/v1"
    finally:
        server.stop()


def replay(trace: Path, url: str, *options: object) -> tuple[dict[str, Any], list[int]]:
    """The summary of a run, and the resident bytes of its largest worker, sampled ten times per second."""
    with tempfile.TemporaryDirectory() as directory:
        where = ("--url", url, "--output", directory, "--name", "out")
        arguments = [trace, *where, "--trace-block-size", NEW, "--quiet", *options]
        command = [sys.executable, "-m", "agentgen", "replay", *map(str, arguments)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            memory: list[int] = []
            watching = threading.Thread(target=watch, args=(process, memory))
            watching.start()
            code = process.wait()
            watching.join()
        if code:
            raise SystemExit(f"replay exited with {code}")
        return json.loads((Path(directory) / "out" / "summary.json").read_text(encoding="utf-8")), memory


def watch(process: subprocess.Popen[bytes], memory: list[int]) -> None:
    """Sample the resident bytes of the largest child."""
    while process.poll() is None:
        try:
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split()
            pages = (int(Path(f"/proc/{child}/statm").read_text(encoding="ascii").split()[1]) for child in children)
            memory.append(max(pages, default=0) * os.sysconf("SC_PAGE_SIZE"))
        except (OSError, IndexError):  # the child has just ended
            continue
        time.sleep(0.1)


def rate(summary: dict[str, Any]) -> float:
    """Requests per second over the whole run."""
    return float(summary["run"]["full"]["requests_per_second"])


def figures(summary: dict[str, Any], name: str) -> str:
    """Median and 99th percentile of a latency."""
    of = summary["run"]["latency"][name]
    return f"{of['p50']:.2f} / {of['p99']:.2f} ms"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--server")
    parser.add_argument("--only", default="")
    parser.add_argument("--sessions", type=int, default=10_000)
    parser.add_argument("--requests", type=int, default=1_000_000, help="of the memory measurement")
    given = parser.parse_args()
    servers = {
        "embedded, separate events": (lambda: embedded("token"), SEPARATE),
        "embedded, coalesced": (lambda: embedded("coalesced"), COALESCED),
    }
    if given.server:
        servers["stub, coalesced"] = (lambda: fast(given.server), COALESCED)
    print("| | server | figure |\n|---|---|---|")

    def row(what: str, server: str, figure: str) -> None:
        print(f"| {what} | {server} | {figure} |", flush=True)

    with tempfile.TemporaryDirectory() as directory:
        trace = write_trace(Path(directory) / "trace.jsonl", given.sessions)
        for name, (server, aim) in servers.items():
            if given.only not in name:
                continue
            rates = {}
            for workers in (1, 2):
                with server() as url:
                    rates[workers] = rate(replay(trace, url, "--concurrency", SLOTS, "--workers", workers)[0])
                what = f"closed loop, {SLOTS} open sessions, workers: {workers}"
                row(what, name, f"{rates[workers]:,.0f} requests/s")
            for half in (aim / 2, max(rates.values()) / 2):
                with server() as url:
                    summary, _ = replay(trace, url, "--session-rate", half / TURNS, "--duration", "10s")
                row(f"open loop, {half:,.0f} requests/s: time to first token", name, figures(summary, "ttft_ms"))
            with server() as url:
                summary, _ = replay(trace, url, "--session-rate", 1000 / TURNS, "--duration", "10s")
            row("open loop, 1,000 requests/s: lag of sending", name, figures(summary, "lag_ms"))
        if given.only in "long":
            long = write_trace(Path(directory) / "long.jsonl", 100, first=150_000)
            with embedded("token") as url:
                summary, memory = replay(long, url, "--concurrency", 50)
            figure = (
                f"{rate(summary):,.0f} requests/s, lag {figures(summary, 'lag_ms')}, {max(memory) / 2**20:,.0f} MiB"
            )
            row("prompts of 150,000 tokens, 50 open sessions", "embedded, separate events", figure)
        if given.only in "memory":
            many = write_trace(Path(directory) / "many.jsonl", given.requests // TURNS)
            with embedded("coalesced") as url:
                summary, memory = replay(many, url, "--concurrency", SLOTS)
            tenth = [memory[len(memory) * part // 10] / 2**20 for part in range(1, 10)]
            mib = " ".join(f"{mib:.0f}" for mib in tenth)
            row(f"worker's memory over {given.requests:,} requests, in tenths", "embedded, coalesced", f"{mib} MiB")


if __name__ == "__main__":
    main()
