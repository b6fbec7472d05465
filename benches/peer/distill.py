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


def rate(log: Path) -> tuple[int, float]:
    """Calls of sessions, and calls per second."""
    calls = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    times = [call["t"] for call in calls if call.get("kind") in {"digest", "sft", "judge"}]
    return len(times), len(times) / (max(times) - min(times))


def row(name: str, run: Run, log: Path, size: int, peer: float | None = None) -> tuple[str, float]:
    """A row of the table, and its calls per second."""
    calls, found = rate(log)
    ratio = f" ({found / peer:.1f} x)" if peer else ""
    over = run.peak_mb - size / 1e6
    return (
        f"| {name} | {calls:,} | {found:,.0f}{ratio} | {run.seconds:.1f} s | {run.peak_mb:,.0f} MB | {over:+,.0f} MB |",
        found,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--designer", required=True, help="bin directory of an environment with Data Designer")
    parser.add_argument("--scratch", type=Path, default=ROOT / "target", help="directory for logs")
    arguments = parser.parse_args()
    os.environ["NEMO_TELEMETRY_ENABLED"] = "false"
    ours = str(Path(sys.executable).with_name("agentgen"))
    python = str(Path(arguments.designer).absolute() / "python")
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as folder:
        scratch = Path(folder)
        print(f"{machine()}.\n")
        print("| | calls | calls/s | whole command | peak memory | above the input |\n|---|---|---|---|---|---|")
        for sessions, calls in ((400, 2), (1000, 20)):
            logs = scratch / f"logs-{sessions}"
            size = write(logs, sessions, calls)
            about = f"{sessions:,} sessions, {size / 1e6:,.0f} MB"
            log = scratch / f"designer-{sessions}.jsonl"
            with serving(log) as url:
                script = str(Path(__file__).with_name("distill_designer.py"))
                run = execute([python, script, str(logs), url, str(sessions)])
            text, peer = row(f"Data Designer, {about}", run, log, size)
            print(text)
            log = scratch / f"agentgen-{sessions}.jsonl"
            with serving(log) as url:
                target = str(scratch / f"out-{sessions}")
                run = execute([ours, "distill", str(logs), "--url", url, "-n", str(sessions), "-o", target])
            print(row(f"`agentgen distill`, {about}", run, log, size, peer)[0], flush=True)


if __name__ == "__main__":
    main()
