"""Feeds mutated inputs to the readers of everything that comes from outside; exit code 1 with the first finding.

    run.py                            every target, 2,000 inputs each
    run.py TARGET... --seconds 600    for a time (`make fuzz SECONDS=600`)
    run.py TARGET --input FILE        one input again

Each target runs in a process of its own. The process writes each input to a file before it reads it, so that an input
which kills the process, hangs, or takes too much memory is there to look at.
"""

from __future__ import annotations

import argparse
import faulthandler
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mutate import mutate
from targets import TARGETS, corpus

HANG_S = 60  # of processor time; a single input takes milliseconds
WAIT_S = 1200  # without processor time; a busy machine gives a niced process little
MEMORY_KIB = 300 * 1024  # how much one input may add to the process


def peak_kib() -> int:
    """Most memory that the process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def fuzz(target: str, *, inputs: int | None, seconds: float | None, seed: int, keep: Path) -> int:
    """Run one target; returns how many inputs it took."""
    rng = random.Random(f"{target} {seed}")  # noqa: S311
    faulthandler.register(signal.SIGPROF, chain=True)  # says where, and then ends the process
    until = time.monotonic() + seconds if seconds is not None else None
    with tempfile.TemporaryDirectory() as directory, TARGETS[target](Path(directory)) as (check, more):
        known = corpus(target) + more
        done = 0
        while (inputs is None or done < inputs) and (until is None or time.monotonic() < until):
            data = known[done] if done < len(known) else mutate(rng, known)
            keep.write_bytes(data)
            before = peak_kib()
            signal.setitimer(signal.ITIMER_PROF, HANG_S)
            faulthandler.dump_traceback_later(WAIT_S, exit=True)
            check(data, rng)
            faulthandler.cancel_dump_traceback_later()
            signal.setitimer(signal.ITIMER_PROF, 0)
            grown = peak_kib() - before
            assert grown < MEMORY_KIB, f"{len(data)} bytes of input took {grown >> 10} MiB"
            done += 1
    return done


def main() -> int:
    """Run the targets, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)} (default: all)")
    parser.add_argument("--inputs", type=int, help="inputs for each target (default 2000, without --seconds)")
    parser.add_argument("--seconds", type=float, help="time for each target")
    parser.add_argument("--seed", type=int, default=0, help="other mutations (default 0)")
    parser.add_argument("--input", type=Path, help="check this file only")
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()), help="folder for the current inputs")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    unknown = set(options.targets) - set(TARGETS)
    if unknown:
        parser.error(f"found target {min(unknown)}, expected {', '.join(TARGETS)}")
    inputs = 2000 if options.inputs is None and options.seconds is None else options.inputs
    if options.input is not None:
        for target in options.targets:
            with tempfile.TemporaryDirectory() as directory, TARGETS[target](Path(directory)) as (check, _):
                check(options.input.read_bytes(), random.Random(options.seed))  # noqa: S311
        return 0
    if options.child:
        (target,) = options.targets
        keep = options.keep / f"fuzz-{target}.input"
        done = fuzz(target, inputs=inputs, seconds=options.seconds, seed=options.seed, keep=keep)
        keep.unlink()
        print(f"{target:15} {done:9,} inputs, no finding, {peak_kib() >> 10} MiB at most")
        return 0
    failed = False
    for target in options.targets or TARGETS:
        arguments = ["--seed", options.seed, "--keep", options.keep.resolve()]
        arguments += ["--inputs", inputs] if inputs is not None else []
        arguments += ["--seconds", options.seconds] if options.seconds is not None else []
        command = [sys.executable, __file__, target, "--child", *map(str, arguments)]
        if subprocess.run(command, check=False).returncode:
            print(f"{target}: FOUND, by {options.keep / f'fuzz-{target}.input'}")
            failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
