"""Compare the speed of the Python API with another revision on this machine (`make bench-regression BASE=REV`).

Both revisions are built as wheels into environments of their own and run this revision's benchmarks in turns, because
the speed of a machine changes within minutes. Each benchmark is compared by its shortest time over all rounds. The
exit code is 1 when one is slower by more than the tolerance.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PACKAGES = ("numpy", "polars", "pytest", "pytest-benchmark")

Seconds = dict[str, float]


def build(source: Path, environment: Path) -> Path:
    """Install a source tree into a new environment; returns its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    # One target directory for all: external crates are compiled once.
    variables = os.environ | {"CARGO_TARGET_DIR": str(ROOT / "target"), "PYO3_PYTHON": str(python)}
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *PACKAGES, str(source)], check=True, env=variables)
    return python


def measure(python: Path, scratch: Path) -> Seconds:
    """Shortest time of each benchmark in one round."""
    report = scratch / "report.json"
    report.unlink(missing_ok=True)
    options = ["-c", str(HERE / "pytest.ini"), "--quiet", f"--benchmark-json={report}", "--benchmark-columns=min"]
    command = [str(python), "-m", "pytest", str(HERE), *options]
    # A benchmark that an older revision cannot run fails, and the others are compared.
    done = subprocess.run(
        command, cwd=scratch, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if not report.exists():
        sys.exit(f"{' '.join(command)}: found exit code {done.returncode} and no report\n{done.stdout}")
    benchmarks = json.loads(report.read_text(encoding="utf-8"))["benchmarks"]
    return {benchmark["name"]: benchmark["stats"]["min"] for benchmark in benchmarks}


def compare(base: list[Seconds], head: list[Seconds], tolerance: float) -> tuple[list[str], list[str]]:
    """A Markdown table of the shortest times, and the benchmarks that got slower by more than the tolerance."""
    names = sorted(set().union(*base, *head))
    rows = ["| benchmark | base, ms | this, ms | change |", "|---|---|---|---|"]
    slower = []
    for name in names:
        before, after = (min((one[name] for one in rounds if name in one), default=None) for rounds in (base, head))
        if before is None or after is None:
            cells = ["not run" if time is None else f"{1e3 * time:.2f}" for time in (before, after)]
            rows.append(f"| {name} | {cells[0]} | {cells[1]} | not compared |")
            continue
        change = after / before - 1
        mark = " SLOWER" if change > tolerance else ""
        rows.append(f"| {name} | {1e3 * before:.2f} | {1e3 * after:.2f} | {change:+.1%}{mark} |")
        if mark:
            slower.append(name)
    return rows, slower


def main() -> int:
    """Build both, measure in turns, compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("base", help="a Git revision")
    parser.add_argument("--rounds", type=int, default=3, help="runs of all benchmarks per revision (default 3)")
    parser.add_argument("--tolerance", type=float, default=0.1, help="allowed slowdown as a share (default 0.1)")
    arguments = parser.parse_args()
    git = ["git", "-C", str(ROOT)]
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        subprocess.run(
            [*git, "worktree", "add", "--quiet", "--detach", str(scratch / "base"), arguments.base], check=True
        )
        try:
            revisions = {
                "base": build(scratch / "base", scratch / "base-environment"),
                "this": build(ROOT, scratch / "this-environment"),
            }
        finally:
            subprocess.run([*git, "worktree", "remove", "--force", str(scratch / "base")], check=True)
        times: dict[str, list[Seconds]] = {name: [] for name in revisions}
        for turn in range(arguments.rounds):
            # The order changes with every round, so that neither always runs on the warmer machine.
            for name in sorted(revisions, reverse=bool(turn % 2)):
                print(f"round {turn + 1} of {arguments.rounds}: {name}", file=sys.stderr)
                times[name].append(measure(revisions[name], scratch))
    rows, slower = compare(times["base"], times["this"], arguments.tolerance)
    print(*rows, sep="\n")
    if slower:
        print(f"\nSlower than {arguments.base} by more than {arguments.tolerance:.0%}: {', '.join(slower)}")
    return int(bool(slower))


if __name__ == "__main__":
    sys.exit(main())
