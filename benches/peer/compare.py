"""Compare agentgen with AIPerf on this machine; print a Markdown table (`make bench-peer`).

Every figure is the median of several runs that take turns, because the speed of a shared machine changes within
minutes: compare ratios within one table, not figures of two tables. Each run is a process of its own; its peak memory
is the maximum resident set that the system reports. AIPerf gets the same distributions, with the parameters that
agentgen solved. Ratios compare rows with the same outputs; the command of AIPerf cannot omit its pages, so its
generation and JSONL writer without pages are measured in process.

With the path of a compiled floor program in the environment variable FLOOR (`FLOOR SESSIONS default|real [null]`, which
prints `... S sess/s ...`), the table also compares agentgen with that lower bound of the work.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import statistics
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentgen import _native
from process import execute, machine

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PRESETS = ("aiperf-0.13-default", "aiperf-1k-200k", "default")
FLOOR = os.environ.get("FLOOR")
# The floor program knows two of the presets.
FLOOR_NAMES = {"aiperf-0.13-default": "default", "aiperf-1k-200k": "real"}


@dataclass
class Figure:
    """Result of one run: a rate in the unit of its row, and peak memory."""

    rate: float
    peak_mb: float


def aiperf_config(preset: str) -> dict[str, Any]:
    """A preset as a configuration of AIPerf, without the fields that AIPerf does not have."""
    config = json.loads(_native.preset(preset))
    resolved = json.loads(_native.resolve(json.dumps(config), sessions=1, seed=0))["effective"]

    def distribution(path: str, stated: dict[str, Any]) -> dict[str, Any]:
        mu, sigma = (resolved[path]["solved"][name] for name in ("mu", "sigma"))
        bounds = {name: stated[name] for name in ("min", "max") if name in stated}
        return {"mu": mu, "sigma": sigma, "median": math.exp(mu), "mean": math.exp(mu + sigma**2 / 2), **bounds}

    delay = config["inter_turn_delay"]
    delay.pop("context_speedup")
    for name in ("agentic_delay", "human_delay"):
        delay[name] = distribution(f"inter_turn_delay.{name}", delay[name])
    config["cache"]["layer2"] = distribution("cache.layer2", config["cache"]["layer2"])
    for name in ("new_tokens_per_turn", "generation_length"):
        config[name] = distribution(name, config[name])
    for name in ("arrival", "calibrate", "turns"):
        config.pop(name)
    return config


class Bench:
    """All measurements: `measure[row](preset)` runs one of them once."""

    def __init__(self, arguments: argparse.Namespace, scratch: Path) -> None:
        self.scratch = scratch
        self.peer = Path(arguments.peer).absolute()
        self.sessions: int = arguments.sessions
        self.peer_sessions: int = arguments.peer_sessions
        self.ours = Path(sys.executable).with_name("agentgen")
        self.configs = {preset: scratch / f"{preset}.json" for preset in PRESETS}
        for preset, path in self.configs.items():
            path.write_text(json.dumps(aiperf_config(preset)))
        self.measure: dict[str, Callable[[str], Figure | None]] = {
            "AIPerf, in process, nothing written": self.aiperf_generate,
            "agentgen, in process, Arrow batches": self.batches,
            "agentgen, Arrow batches, without Python": lambda preset: self.hot_loop("batches", preset),
            "floor, generate only": self.floor,
            "agentgen, JSONL bytes discarded": lambda preset: self.hot_loop("jsonl", preset),
            "floor, JSONL bytes discarded": lambda preset: self.floor(preset, "null"),
            "AIPerf, in process, JSONL": lambda preset: self.aiperf_generate(preset, self.scratch / "peer.jsonl"),
            "agentgen, whole command, JSONL": lambda preset: self.command(preset, "jsonl"),
            "AIPerf, whole command, JSONL and pages": self.aiperf_command,
            "agentgen, whole command, JSONL and pages": lambda preset: self.command(preset, "jsonl", pages=True),
            "agentgen, whole command, Parquet": lambda preset: self.command(preset, "parquet"),
            "agentgen, whole command, both": lambda preset: self.command(preset, "jsonl,parquet"),
            "disk, `dd conv=fsync` of that JSONL (MB/s)": self.disk,
            "agentgen, that JSONL (MB/s)": self.written,
            "agentgen, `validate` of that JSONL (MB/s)": self.validate,
        }

    def aiperf_generate(self, preset: str, jsonl: Path | None = None) -> Figure:
        """The session synthesizer of AIPerf and, given a path, its JSONL writer; without the time of its imports."""
        command = [str(self.peer / "python"), str(HERE / "generate_aiperf.py"), str(self.configs[preset])]
        return self.timed(command, self.peer_sessions, *([str(jsonl)] if jsonl else []))

    def batches(self, preset: str) -> Figure:
        """The Python API of agentgen, all columns."""
        command = [sys.executable, str(HERE / "generate_agentgen.py"), preset]
        return self.timed(command, self.sessions)

    def timed(self, command: list[str], sessions: int, *arguments: str) -> Figure:
        """Run a program that prints its own time."""
        run = execute([*command, str(sessions), *arguments])
        return Figure(sessions / json.loads(run.output.splitlines()[-1])["seconds"], run.peak_mb)

    def hot_loop(self, loop: str, preset: str) -> Figure:
        """Generate without Python and without writing."""
        program = [str(ROOT / "target/release/hot-loops"), loop, preset, str(self.sessions), str(os.cpu_count())]
        run = execute(program)
        return Figure(self.sessions / json.loads(run.output)["seconds"], run.peak_mb)

    def floor(self, preset: str, *mode: str) -> Figure | None:
        """The floor program, where one is given and knows the preset."""
        if not FLOOR or preset not in FLOOR_NAMES:
            return None
        run = execute([FLOOR, str(self.sessions), FLOOR_NAMES[preset], *mode], self.scratch)
        found = re.search(r"([\d.]+) sess/s", run.output)
        if found is None:
            sys.exit(f"{FLOOR} printed no rate: {run.output}")
        return Figure(float(found[1]), run.peak_mb)

    def aiperf_command(self, preset: str) -> Figure:
        """The whole command of AIPerf, pages included."""
        command = [str(self.peer / "aiperf"), "synthesize", "agentic-code", "--config", str(self.configs[preset])]
        run = execute([*command, "--num-sessions", str(self.peer_sessions), "--output", str(self.scratch / "peer")])
        return Figure(self.peer_sessions / run.seconds, run.peak_mb)

    def command(self, preset: str, formats: str, *, pages: bool = False) -> Figure:
        """The whole command of agentgen: files, digests, manifest, statistics."""
        options = ["--config", preset, "--sessions", str(self.sessions), "--format", formats]
        options += [] if pages else ["--no-pages"]
        place = ["--output", str(self.scratch), "--name", formats, "--quiet", "--force"]
        run = execute([str(self.ours), "generate", *options, *place])
        if formats == "jsonl" and not pages:
            self.last = run
        return Figure(self.sessions / run.seconds, run.peak_mb)

    @property
    def jsonl(self) -> Path:
        """The file written by the last JSONL command."""
        return self.scratch / "jsonl" / "dataset.jsonl"

    def disk(self, _: str) -> Figure:
        """Write as many bytes to the same disk with `dd`."""
        target = self.scratch / "disk"
        blocks = self.jsonl.stat().st_size // 2**20
        run = execute(["dd", "if=/dev/zero", f"of={target}", "bs=1M", f"count={blocks}", "conv=fsync"])
        target.unlink()
        return Figure(blocks * 2**20 / 1e6 / run.seconds, run.peak_mb)

    def written(self, _: str) -> Figure:
        """The rate of the last JSONL command in bytes."""
        return Figure(self.jsonl.stat().st_size / 1e6 / self.last.seconds, self.last.peak_mb)

    def validate(self, _: str) -> Figure:
        """Check every rule on every row."""
        run = execute([str(self.ours), "validate", str(self.jsonl)])
        return Figure(self.jsonl.stat().st_size / 1e6 / run.seconds, run.peak_mb)


# Rows that a row is compared with, and the text of the ratio; with AIPerf only where both write the same.
PEER, FLOOR_SHARE = "{:.0f} x AIPerf", "{:.2f} of floor"
AGAINST = {
    "agentgen, in process, Arrow batches": {
        "AIPerf, in process, nothing written": PEER,
        "floor, generate only": FLOOR_SHARE,
    },
    "agentgen, Arrow batches, without Python": {"floor, generate only": FLOOR_SHARE},
    "agentgen, JSONL bytes discarded": {"floor, JSONL bytes discarded": FLOOR_SHARE},
    "agentgen, whole command, JSONL": {"AIPerf, in process, JSONL": PEER},
    "agentgen, whole command, JSONL and pages": {"AIPerf, whole command, JSONL and pages": PEER},
    "agentgen, that JSONL (MB/s)": {"disk, `dd conv=fsync` of that JSONL (MB/s)": "{:.2f} of disk"},
}


def cell(medians: dict[str, Figure], row: str) -> str:
    """`rate (ratios), peak memory`; memory only for AIPerf and agentgen."""
    if row not in medians:
        return "-"
    figure = medians[row]
    against = AGAINST.get(row, {})
    ratios = [text.format(figure.rate / medians[other].rate) for other, text in against.items() if other in medians]
    memory = f", {figure.peak_mb:,.0f} MB" if row.startswith(("AIPerf", "agentgen")) else ""
    return f"{figure.rate:,.0f}{' (' + ', '.join(ratios) + ')' if ratios else ''}{memory}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", required=True, help="bin directory of an environment with AIPerf")
    parser.add_argument("--sessions", type=int, default=200_000, help="sessions per run of agentgen")
    parser.add_argument("--peer-sessions", type=int, default=2_000, help="sessions per run of AIPerf")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scratch", type=Path, default=ROOT / "target", help="directory on the disk to measure")
    arguments = parser.parse_args()
    seen: dict[str, dict[str, list[Figure]]] = {preset: defaultdict(list) for preset in PRESETS}
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
        bench = Bench(arguments, Path(scratch))
        for number in range(arguments.rounds):
            for preset in PRESETS:
                for row, measure in bench.measure.items():
                    print(f"round {number + 1} of {arguments.rounds}: {preset}: {row}", file=sys.stderr)
                    figure = measure(preset)
                    if figure is not None:
                        seen[preset][row].append(figure)
    medians = {
        preset: {
            row: Figure(statistics.median(f.rate for f in figures), max(f.peak_mb for f in figures))
            for row, figures in rows.items()
        }
        for preset, rows in seen.items()
    }
    print(f"{machine()}. Sessions/s (MB/s where noted) and peak memory; medians of")
    print(
        f"{arguments.rounds} alternating runs of {arguments.sessions:,} sessions (AIPerf: {arguments.peer_sessions:,})."
    )
    print(f"\n| | {' | '.join(f'`{preset}`' for preset in PRESETS)} |\n|---|{'---|' * len(PRESETS)}")
    for row in bench.measure:
        if any(row in rows for rows in medians.values()):
            print(f"| {row} | {' | '.join(cell(medians[preset], row) for preset in PRESETS)} |")


if __name__ == "__main__":
    main()
