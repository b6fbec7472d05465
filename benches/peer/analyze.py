"""Compare `agentgen analyze` with `aiperf analyze-trace`; print a Markdown table (`make bench-peer-analyze`).

AIPerf reads 20,000 sessions, because its memory grows with them; agentgen reads the same file and a larger one. With
the path of Mooncake's conversation trace in the environment variable MOONCAKE, the analysis of that file with its
exact capacity curve is timed too.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import agentgen
from process import Run, execute, machine

ROOT = Path(__file__).parents[2]
MOONCAKE = os.environ.get("MOONCAKE")


def generate(ours: Path, scratch: Path, sessions: int) -> tuple[Path, int]:
    """Generate a run of the `default` preset; returns its directory and number of requests."""
    options = ["--sessions", str(sessions), "--format", "jsonl,parquet", "--output", str(scratch)]
    execute([str(ours), "generate", *options, "--name", str(sessions), "--quiet"])
    run = scratch / str(sessions)
    with (run / "dataset.jsonl").open("rb") as lines:
        return run, sum(1 for _ in lines)


def row(name: str, run: Run, requests: int, peer: Run | None = None) -> str:
    """A row of the table; with `peer`, time and memory are compared with it."""
    ratio = f", {peer.seconds / run.seconds:.0f} x" if peer else ""
    smaller = f", {peer.peak_mb / run.peak_mb:.0f} x less" if peer else ""
    return (
        f"| {name} | {requests:,} | {run.seconds:.2f} s{ratio} | {run.peak_mb:,.0f} MB{smaller} "
        f"| {requests / run.seconds:,.0f} |"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", required=True, help="bin directory of an environment with AIPerf")
    parser.add_argument("--peer-sessions", type=int, default=20_000)
    parser.add_argument("--sessions", type=int, default=1_000_000)
    parser.add_argument("--scratch", type=Path, default=ROOT / "target", help="directory for data sets")
    arguments = parser.parse_args()
    ours = Path(sys.executable).with_name("agentgen")
    aiperf = Path(arguments.peer).absolute() / "aiperf"

    def analyze(path: Path) -> Run:
        return execute([str(ours), "analyze", str(path), "--json"])

    with tempfile.TemporaryDirectory(dir=arguments.scratch) as folder:
        scratch = Path(folder)
        small, small_requests = generate(ours, scratch, arguments.peer_sessions)
        large, large_requests = generate(ours, scratch, arguments.sessions)
        print(f"{machine()}. Whole commands on runs of the `default` preset.\n")
        print("| | requests | time | peak memory | requests/s |\n|---|---|---|---|---|")
        peer = execute([str(aiperf), "analyze-trace", str(small / "dataset.jsonl")])
        print(row(f"AIPerf `analyze-trace`, {arguments.peer_sessions:,} sessions", peer, small_requests))
        for run, sessions, requests in (
            (small, arguments.peer_sessions, small_requests),
            (large, arguments.sessions, large_requests),
        ):
            for name in ("dataset.jsonl", "dataset.parquet"):
                measured = analyze(run / name)
                beside = peer if run == small and name == "dataset.jsonl" else None  # AIPerf reads JSONL only
                print(row(f"`agentgen analyze`, {sessions:,} sessions, {name}", measured, requests, beside))
    if MOONCAKE:
        times = []
        for _ in range(10):
            start = time.perf_counter()
            agentgen.analyze(MOONCAKE)
            times.append(time.perf_counter() - start)
        print(f"\nMooncake conversation, in one process, reading included: {1e3 * min(times):.0f} ms (best of 10)")


if __name__ == "__main__":
    main()
