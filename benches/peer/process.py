"""Run one process and measure its time and peak memory."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Run:
    """A process that ended: wall time, maximum resident set, both output streams, time of processors."""

    seconds: float
    peak_mb: float
    output: str
    cpu_seconds: float = float("nan")


def execute(command: list[str], cwd: Path | None = None) -> Run:
    """Run a command to its end; exits with its output when it fails."""
    with tempfile.TemporaryFile("w+") as output:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read()
    if process.returncode:
        sys.exit(f"{' '.join(command)} -> {process.returncode}\n{text}")
    # The unit is kilobytes, but bytes on macOS.
    peak_mb = usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
    return Run(seconds, peak_mb, text, usage.ru_utime + usage.ru_stime)


def machine() -> str:
    """Cores and memory of this machine."""
    memory_gib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return f"{os.cpu_count()} cores, {memory_gib:.0f} GiB"
