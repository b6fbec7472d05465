"""Compare `agentgen distill` with Data Designer's engine; print a Markdown table (`make bench-peer-distill`).

Both distil the same sessions of Claude Code, made here, in three calls each, at most 32 at a time, against the same
stand-in model server on this machine (`distill/fake.py` of the shared data), which answers at once. Calls per second
are counted by the server, from its first to its last call of a session.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import import_logs
from process import Run, execute, machine

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
SERVER = Path(os.environ.get("AGENTGEN_SHARED_DATA", ROOT / "../shared/data")) / "distill" / "fake.py"


def write(folder: Path, sessions: int, calls: int) -> int:
    """Write sessions of so many calls; returns the bytes."""
    import_logs.CALLS = calls
    folder.mkdir()
    texts = import_logs.Texts()
    for session in range(sessions):
        rows = import_logs.claude(session, texts)
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"rollout-{session:05}.jsonl").write_text(lines, encoding="utf-8")
    return sum(path.stat().st_size for path in folder.iterdir())


@contextmanager
def serving(log: Path) -> Iterator[str]:
    """The stand-in server, until it is no longer needed; yields its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, str(SERVER), str(port), "hash", "0", str(log)])
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


@dataclass
class Measured:
    """A run, and the calls that its server counted."""

    run: Run
    calls: int
    calls_per_second: float


def measure(command: list[str], log: Path, url_at: int) -> Measured:
    """Run a command against a server of its own, whose URL is put at a place of the command."""
    with serving(log) as url:
        run = execute([*command[:url_at], url, *command[url_at:]])
    calls = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    times = [call["t"] for call in calls if call.get("kind") in {"digest", "sft", "judge"}]
    return Measured(run, len(times), len(times) / (max(times) - min(times)))


def row(name: str, found: Measured, size: int, peer: Measured | None = None) -> str:
    """A row of the table."""
    ratio = f" ({found.calls_per_second / peer.calls_per_second:.1f} x)" if peer else ""
    run = found.run
    peak, cpu_ms = run.peak_mb, 1000 * run.cpu_seconds / found.calls
    return (
        f"| {name} | {found.calls:,} | {found.calls_per_second:,.0f}{ratio} | {cpu_ms:.1f} ms | {run.seconds:.1f} s "
        f"| {peak:,.0f} MB | {peak - size / 1e6:+,.0f} MB |"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--designer", required=True, help="bin directory of an environment with Data Designer")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, in turns; the fastest counts")
    parser.add_argument("--sessions", type=int, nargs="*", default=[400, 1000], help="small and large ones")
    parser.add_argument("--scratch", type=Path, default=ROOT / "target", help="directory for logs")
    arguments = parser.parse_args()
    os.environ["NEMO_TELEMETRY_ENABLED"] = "false"
    ours = str(Path(sys.executable).with_name("agentgen"))
    python = str(Path(arguments.designer).absolute() / "python")
    script = str(Path(__file__).with_name("distill_designer.py"))
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as folder:
        scratch = Path(folder)
        print(f"{machine()}. The fastest of {arguments.rounds} runs each, in turns.\n")
        print("| | calls | calls/s | processor a call | whole command | peak memory | above the input |")
        print("|---|---|---|---|---|---|---|")
        for sessions, calls in zip(arguments.sessions, (2, 20), strict=False):
            logs = scratch / f"logs-{sessions}"
            size = write(logs, sessions, calls)
            target = str(scratch / "out")
            commands = {
                "Data Designer": ([python, script, str(logs), str(sessions)], 3),
                "`agentgen distill`": (
                    [ours, "distill", str(logs), "-n", str(sessions), "-o", target, "--force", "--url"],
                    9,
                ),
            }
            best: dict[str, Measured] = {}
            for number in range(arguments.rounds):
                for name, (command, url_at) in commands.items():
                    found = measure(command, scratch / f"{number}-{sessions}-{len(name)}.jsonl", url_at)
                    if name not in best or found.calls_per_second > best[name].calls_per_second:
                        best[name] = found
            peer, own = best.values()
            about = f"{sessions:,} sessions, {size / 1e6:,.0f} MB"
            print(row(f"Data Designer, {about}", peer, size))
            print(row(f"`agentgen distill`, {about}", own, size, peer), flush=True)


if __name__ == "__main__":
    main()
