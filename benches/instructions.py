"""Compare instruction counts of the hottest loops with `instructions.json` (callgrind of valgrind).

Wall time on a shared machine is noise; the instruction count of a fixed, single-threaded run is reproducible. It
depends on the compiler: counts are stored with the version of rustc and compared only with the same version.

    instructions.py            compare; exit code 1 when a count changed by more than 3 %
    instructions.py --update   store the counts of this compiler
"""

import argparse
import json
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STORED = Path(__file__).with_name("instructions.json")
TOLERANCE = 0.03
PRESET, SESSIONS = "aiperf-1k-200k", "10000"
LOOPS = ("batches", "jsonl", "reuse", "simulate")


def output(*command: str) -> str:
    """Both output streams of a command."""
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout


def compiler() -> str:
    """Version of rustc and architecture, for which counts are valid."""
    return f"{output('rustc', '--version').strip()}, {platform.machine()}"


def count(program: Path, loop: str) -> int:
    """Instructions of one run."""
    valgrind = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")
    text = output(*valgrind, str(program), loop, PRESET, SESSIONS, "1")
    found = re.search(r"Collected : (\d+)", text)
    if found is None:
        sys.exit(f"found no instruction count in the output of valgrind:\n{text}")
    return int(found[1])


def main() -> int:
    """Count, then compare or store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--update", action="store_true", help="store the counts instead of comparing them")
    update = parser.parse_args().update
    if shutil.which("valgrind") is None:
        print("SKIPPED instruction counts: valgrind is not installed")
        return 0
    stored = json.loads(STORED.read_text()) if STORED.exists() else {}
    rustc = compiler()
    if not update and stored.get("compiler") != rustc:
        print(f"SKIPPED instruction counts: stored for {stored.get('compiler')}, this is {rustc}")
        return 0
    subprocess.run(["cargo", "build", "--release", "--package", "agentgen-benches"], check=True, cwd=ROOT)
    target = json.loads(output("cargo", "metadata", "--format-version=1", "--no-deps", "--offline"))["target_directory"]
    counts = {loop: count(Path(target, "release", "hot-loops"), loop) for loop in LOOPS}
    if update:
        STORED.write_text(json.dumps({"compiler": rustc, "instructions": counts}, indent=2) + "\n")
    failed = False
    for loop, now in counts.items():
        before = now if update else stored["instructions"][loop]
        change = now / before - 1
        changed = abs(change) > TOLERANCE
        failed |= changed
        print(f"{loop:8} {now:15,} instructions, stored {before:15,}: {change:+.2%}{'  CHANGED' if changed else ''}")
    if failed:
        print(
            f"Counts changed by more than {TOLERANCE:.0%}: benches/instructions.py --update, if intended, and say why."
        )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
