"""Runs of `agentgen distill` that were stopped, killed or extended: no answer is paid for twice."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from conftest import command
from distilled import dataset, manifest, sessions
from fake_model import Call, FakeModel, Reply, answered

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Invoke

ROWS = 30
CONCURRENCY = 4


@pytest.fixture
def model() -> Iterator[FakeModel]:
    with FakeModel().running() as running:
        yield running


def asked(model: FakeModel) -> Counter[str]:
    """How often each question was asked."""
    return Counter(json.dumps(call.body["messages"]) for call in model.calls)


def started(model: FakeModel, source: Path, target: Path, *options: str) -> subprocess.Popen[str]:
    rows = ("-n", ROWS, "-o", target, "--concurrency", CONCURRENCY)
    arguments = command("distill", source, "--url", model.url, *rows, *options)
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def until(model: FakeModel, calls: int) -> None:
    """Wait for so many calls."""
    for _ in range(2_000):
        if len(model.calls) >= calls:
            return
        time.sleep(0.01)
    pytest.fail(f"{len(model.calls)} calls, expected {calls}")


class Gate:
    """Answers so many calls; later ones wait until it is opened."""

    def __init__(self, calls: int) -> None:
        self._calls = calls
        self._opened = threading.Event()

    def __call__(self, call: Call) -> Reply:
        if call.number >= self._calls:
            self._opened.wait(60)
        return answered(call)

    def open(self) -> None:
        """Answer those that wait, and all others."""
        self._opened.set()


def test_an_interrupted_run_goes_on_without_asking_twice(model: FakeModel, invoke: Invoke, tmp_path: Path) -> None:
    source, out = sessions(tmp_path / "logs", ROWS), tmp_path / "out"
    model.respond = gate = Gate(20)
    process = started(model, source, out)
    until(model, 21)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert re.fullmatch(r"stopping: \d calls? in flight will be kept; again to abort\n", process.stderr.readline())
    gate.open()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command with --resume goes on, and repeats no call" in errors
    assert "Traceback" not in errors
    assert sorted(path.name for path in out.iterdir()) == ["journal.jsonl"]
    assert len(model.calls) < 3 * ROWS
    invoke("distill", source, "--url", model.url, "-n", ROWS, "-o", out, "--resume", "--quiet")
    assert set(asked(model).values()) == {1}
    assert len(model.calls) == 3 * ROWS == manifest(out)["calls"]["by_model"]["fake"]["calls"]
    assert dataset(out)["failed_column"].null_count() == ROWS


def test_a_second_interrupt_cancels(model: FakeModel, tmp_path: Path) -> None:
    source, out = sessions(tmp_path / "logs", ROWS), tmp_path / "out"
    model.respond = gate = Gate(6)
    process = started(model, source, out)
    until(model, 7)
    try:
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert "again to abort" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        gate.open()
    assert process.returncode == 130
    assert "cancelled" in errors
    assert "Traceback" not in errors


def test_a_killed_run_asks_again_only_what_was_in_flight(model: FakeModel, invoke: Invoke, tmp_path: Path) -> None:
    source, out = sessions(tmp_path / "logs", ROWS), tmp_path / "out"
    for calls in (10, 30, 50):
        model.respond = gate = Gate(calls)
        process = started(model, source, out, *(["--resume"] if out.exists() else []))
        until(model, calls + 1)
        process.kill()
        process.communicate()
        gate.open()
    invoke("distill", source, "--url", model.url, "-n", ROWS, "-o", out, "--resume", "--quiet")
    again = {question: count for question, count in asked(model).items() if count > 1}
    assert len(model.calls) - 3 * ROWS <= 3 * CONCURRENCY
    assert sum(count - 1 for count in again.values()) == len(model.calls) - 3 * ROWS
    assert dataset(out)["failed_column"].null_count() == ROWS


def test_a_complete_run_and_a_longer_one(model: FakeModel, invoke: Invoke, tmp_path: Path) -> None:
    source = sessions(tmp_path / "logs", 12)
    run = ("distill", source, "--url", model.url, "-o", tmp_path / "out", "--shuffle", "--seed", 3, "--quiet")
    invoke(*run, "-n", 5)
    first = dataset(tmp_path / "out")
    invoke(*run, "-n", 5, "--resume")
    assert len(model.calls) == 15
    assert dataset(tmp_path / "out").equals(first)
    invoke(*run, "-n", 12, "--resume")
    assert len(model.calls) == 36
    assert dataset(tmp_path / "out").head(5).equals(first)
    assert set(asked(model).values()) == {1}
    invoke(*run, "-n", 5, "--force")
    assert len(model.calls) == 51
    assert dataset(tmp_path / "out").equals(first)


def test_a_changed_session_is_asked_again_and_no_other(model: FakeModel, invoke: Invoke, tmp_path: Path) -> None:
    source = sessions(tmp_path / "logs", 4)
    run = ("distill", source, "--url", model.url, "-n", 4, "-o", tmp_path / "out", "--quiet")
    invoke(*run)
    changed = source / "s002.jsonl"
    changed.write_text(changed.read_text(encoding="utf-8").replace("bug 2", "bug 77"), encoding="utf-8")
    invoke(*run, "--resume")
    assert len(model.calls) == 15
    assert "bug 77" in model.calls[-3].user


def test_sessions_with_the_same_text_are_rows_of_their_own(model: FakeModel, invoke: Invoke, tmp_path: Path) -> None:
    for copy in ("a", "b"):
        sessions(tmp_path / "logs" / copy, 2)
    run = ("distill", tmp_path / "logs", "--url", model.url, "-n", 4, "-o", tmp_path / "out", "--quiet")
    invoke(*run)
    rows = dataset(tmp_path / "out")
    assert rows.height == 4
    invoke(*run, "--resume")
    assert dataset(tmp_path / "out").equals(rows)
    assert len(model.calls) == 3 * rows["failed_column"].null_count()


@pytest.mark.parametrize("option", ["--model", "--judge-model", "--request-json"])
def test_other_questions_do_not_mix_with_the_answers(
    option: str, model: FakeModel, invoke: Invoke, tmp_path: Path
) -> None:
    source = sessions(tmp_path / "logs", 1)
    run = ("distill", source, "--url", model.url, "-n", 1, "-o", tmp_path / "out", "--quiet")
    invoke(*run)
    value = '{"temperature": 1}' if option == "--request-json" else "other"
    result = invoke(*run, "--resume", option, value, code=1)
    assert f"{option[2:].replace('-', '_')}: found" in result.stderr
    assert "resume with the same options" in result.stderr


@pytest.mark.parametrize("cut", [1, 40, 200])
def test_a_journal_that_a_crash_cut_off_goes_on(cut: int, model: FakeModel, invoke: Invoke, tmp_path: Path) -> None:
    source = sessions(tmp_path / "logs", 3)
    run = ("distill", source, "--url", model.url, "-n", 3, "-o", tmp_path / "out", "--quiet")
    invoke(*run)
    first = dataset(tmp_path / "out")
    journal = tmp_path / "out" / "journal.jsonl"
    content = journal.read_bytes()
    kept = content[: content.rindex(b"\n", 0, -1) + 1 + cut]
    journal.write_bytes(kept)
    invoke(*run, "--resume")
    assert len(model.calls) == 10
    assert dataset(tmp_path / "out").equals(first)
    assert all(json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("line", ["no json", "[]", '{"row": 1}', '{"settings": {}}', "[" * 100_000])
def test_a_foreign_journal_is_refused_in_one_line(line: str, model: FakeModel, invoke: Invoke, tmp_path: Path) -> None:
    source = sessions(tmp_path / "logs", 1)
    out = tmp_path / "out"
    out.mkdir()
    (out / "journal.jsonl").write_text(f"{line}\n", encoding="utf-8")
    result = invoke("distill", source, "--url", model.url, "-n", 1, "-o", out, "--resume", code=1)
    assert "journal.jsonl:1: found no line of a journal" in result.stderr or "format: found null" in result.stderr
    assert result.stderr.count("\n") == 1
    assert (out / "journal.jsonl").read_text(encoding="utf-8") == f"{line}\n"
    assert model.calls == []


def test_two_runs_do_not_share_a_directory(model: FakeModel, invoke: Invoke, tmp_path: Path) -> None:
    source, out = sessions(tmp_path / "logs", ROWS), tmp_path / "out"
    model.respond = gate = Gate(2)
    process = started(model, source, out)
    try:
        until(model, 3)
        result = invoke("distill", source, "--url", model.url, "-o", out, "--resume", code=1)
        assert "found another agentgen distill that writes it" in result.stderr
    finally:
        gate.open()
        process.kill()
        process.communicate()


def test_a_full_disk_fails_in_one_line_and_keeps_what_is_there(
    model: FakeModel, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = sessions(tmp_path / "logs", 4)
    write = os.write
    written = 0

    def full(file: int, data: Any) -> int:
        nonlocal written
        if b'"column"' in bytes(data):
            written += 1
            if written > 5:
                raise OSError(28, "No space left on device")
        return write(file, data)

    run = ("distill", source, "--url", model.url, "-n", 4, "-o", tmp_path / "out", "--quiet", "--concurrency", 1)
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        result = invoke(*run, code=1)
    assert "No space left on device" in result.stderr
    assert not (tmp_path / "out" / "manifest.json").exists()
    invoke(*run, "--resume")
    assert len(model.calls) == 13  # the answer that could not be kept is asked for again


def test_beginning_anew_leaves_no_file_of_the_earlier_run(model: FakeModel, invoke: Invoke, tmp_path: Path) -> None:
    source, out = sessions(tmp_path / "logs", 2), tmp_path / "out"
    run = ("distill", source, "--url", model.url, "-n", 2, "-o", out, "--quiet")
    invoke(*run)
    (out / "mine.txt").write_text("keep", encoding="utf-8")
    model.respond = lambda _: Reply("no", status=401)
    invoke(*run, "--force", code=2)
    assert sorted(path.name for path in out.iterdir()) == ["journal.jsonl", "mine.txt"]
