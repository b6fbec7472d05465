"""What is on disk after a kill: commands are killed before each change of a directory, and then run again.

strace counts the calls of each thread, so only commands whose changes are all made by one thread are here.

`python tests/test_crash.py` prints the table of docs/crash-consistency.md.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from agentgen import _native
from conftest import command, missing

PAGE = Path(__file__).parent.parent / "docs" / "crash-consistency.md"
STRACE = shutil.which("strace") or ""
CHANGES = "rename,renameat,renameat2,unlink,unlinkat,rmdir"
CALL = re.compile(r"^(?:\[pid +)?(?P<pid>\d+)\]? +(?P<call>\w+)\((?P<arguments>.*)")
TEMPORARY = re.compile(r"\.(?P<name>.+)\.\w{8}\.partial")
KILLED = -9

Point = tuple[str, int, str]  # system call, its number in its thread, what it changes


@dataclass(frozen=True)
class Case:
    """A command in a directory that other commands have prepared."""

    name: str
    before: tuple[tuple[object, ...], ...]
    arguments: tuple[object, ...]
    again: tuple[object, ...]


RUN = ("generate", "--sessions", 3, "--name", "run", "--quiet", "--no-pages")
SHARDS = ("shard-0-of-2", "shard-1-of-2")
PARTS = tuple((*RUN[:4], name, *RUN[5:], "--shard", f"{index}/2") for index, name in enumerate(SHARDS))
CASES = (
    Case("generate", (), (*RUN, "--format", "jsonl"), ("--force",)),
    Case("generate --force", ((*RUN, "--seed", 1),), (*RUN, "--format", "jsonl", "--force"), ()),
    Case("merge", PARTS, ("merge", *SHARDS, "--output", "run", "--quiet"), ("--force",)),
    Case("convert", (RUN,), ("convert", "run", "new.parquet"), ()),
    Case("convert --force", (RUN, ("convert", "run", "new.jsonl")), ("convert", "run", "new.jsonl", "--force"), ()),
)


def call(directory: Path, arguments: tuple[object, ...], *tracing: str) -> subprocess.CompletedProcess[str]:
    """A command in a directory, under strace if there are options for it."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    traced = [STRACE, "-f", "-qq", *tracing, *command(*arguments)] if tracing else command(*arguments)
    return subprocess.run(traced, cwd=directory, env=environment, capture_output=True, text=True, check=False)


def prepared(case: Case) -> Path:
    """A new directory as the case needs it."""
    directory = Path(tempfile.mkdtemp(prefix="agentgen-crash-"))
    for arguments in case.before:
        done = call(directory, arguments)
        assert done.returncode == 0, done.stderr
    return directory


def points(case: Case) -> list[Point]:
    """Every change that the command makes in its directory, in order; a target that is not there is no change."""
    directory = prepared(case)
    log = directory.with_name(f"{directory.name}.log")
    done = call(directory, case.arguments, "-o", str(log), "-e", f"trace={CHANGES}")
    assert done.returncode == 0, done.stderr
    found: list[Point] = []
    counts: dict[tuple[str, str], int] = {}
    for line in log.read_text().splitlines():
        if (match := CALL.match(line)) is None:
            continue
        pid, name, arguments = match.groups()
        counts[pid, name] = counts.get((pid, name), 0) + 1
        paths = re.findall(r'"([^"]*)"', arguments)
        if not paths or "= -1" in line or "/proc" in paths[-1] or paths[-1].startswith(("/usr", "/root")):
            continue
        what = "publish" if name.startswith("rename") else "remove"
        if not TEMPORARY.fullmatch(Path(paths[-1]).name):
            found.append((name, counts[pid, name], f"{what} {paths[-1]}"))
    log.unlink()
    shutil.rmtree(directory)
    return found


def state(directory: Path) -> str:
    """What lies in a directory, in words."""
    files = [path for path in sorted(directory.rglob("*")) if path.is_file()]
    temporary = sum(1 for path in files if TEMPORARY.fullmatch(path.name))
    runs = [str(path.parent.relative_to(directory)) for path in files if path.name == "manifest.json"]
    incomplete = [run for run in runs if not _native.verify_run(str(directory / run))]
    assert not incomplete, f"{incomplete}: a manifest that does not describe its directory"
    homes = {path.parent for path in files if path.name.startswith("dataset.")} - {directory / run for run in runs}
    parts = [f"complete: {', '.join(runs)}" if runs else "no manifest"]
    if homes:
        parts.append(f"data without a manifest: {', '.join(sorted(str(h.relative_to(directory)) for h in homes))}")
    outside = sorted(path.name for path in files if path.name.startswith("new."))
    if outside:
        parts.append(f"target: {', '.join(outside)}")
    if temporary:
        parts.append("temporary files")
    return "; ".join(parts)


def answer(done: subprocess.CompletedProcess[str]) -> str:
    """What a command said, in words."""
    assert "Traceback" not in done.stderr
    if done.returncode == 0:
        return "succeeds"
    message = done.stderr.strip().removeprefix("agentgen: error: ").replace("|", "\\|")
    return f"exit {done.returncode}: {message}"


def contents(directory: Path) -> dict[str, bytes]:
    """Every file but manifests, which have the time."""
    files = (path for path in directory.rglob("*") if path.is_file() and path.name != "manifest.json")
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


@cache
def killed(case: Case) -> list[tuple[str, str, str]]:
    """(changes before which the command was killed, what was on disk, what the same command then says)."""
    whole = prepared(case)
    assert call(whole, case.arguments).returncode == 0
    expected = contents(whole)
    rows: list[tuple[str, str, str]] = []
    for name, number, change in points(case):
        directory = prepared(case)
        inject = f"inject={name}:signal=KILL:when={number}"
        done = call(directory, case.arguments, "-e", f"trace={name}", "-e", inject)
        assert done.returncode in {KILLED, 128 + 9}, (change, done)
        left = state(directory)
        again = call(directory, case.arguments)
        said = answer(again)
        if again.returncode:
            again = call(directory, (*case.arguments, *case.again))
            said = f"{said}; with `{' '.join(map(str, case.again))}` {answer(again)}"
        assert again.returncode == 0, (change, again.stderr)
        assert contents(directory) == expected, f"{case.name}, {change}: another result than without the kill"
        shutil.rmtree(directory)
        if rows and rows[-1][1:] == (left, said):
            rows[-1] = (f"{rows[-1][0].split(' to ')[0]} to {change}", left, said)
        else:
            rows.append((change, left, said))
    shutil.rmtree(whole)
    return rows


def lines(case: Case) -> list[str]:
    """The rows of the table that belong to a command."""
    return [f"| `{case.name}` | {change} | {left} | {said} |" for change, left, said in killed(case)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_command_survives_a_kill_at_every_change(case: Case) -> None:
    if not STRACE:
        missing("strace is not installed")
    page = PAGE.read_text(encoding="utf-8").splitlines()
    assert [line for line in page if line.startswith(f"| `{case.name}` |")] == lines(case)


def test_names_are_on_the_disk_with_their_files(tmp_path: Path) -> None:
    if not STRACE:
        missing("strace is not installed")
    traced = call(tmp_path, RUN, "-y", "-e", f"trace=fsync,{CHANGES}")
    assert traced.returncode == 0, traced.stderr
    calls = [found for line in traced.stderr.splitlines() if (found := CALL.match(line))]
    published = [at for at, found in enumerate(calls) if found["call"].startswith("rename")]
    assert published
    for at in published:
        after = next(found for found in calls[at + 1 :] if found["pid"] == calls[at]["pid"])
        assert after["call"] == "fsync", after[0]
        assert f"<{tmp_path / 'run'}>" in after["arguments"], "the directory of the name"


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for case in CASES for line in lines(case))
