"""Worker processes and their parent, with stand-ins for the compiled classes (ids of the requirements)."""

from __future__ import annotations

import io
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from agentgen.replay.books import CELLS, SUCCEEDED, Books
from agentgen.replay.pool import Target
from agentgen.replay.progress import Progress
from agentgen.replay.schedule import Rules
from agentgen.replay.supervise import Outcome, Worker, WorkerError, run_workers
from agentgen.replay.worker import Job, Phase
from replay_server import Received, plain, serving

if TYPE_CHECKING:
    import asyncio
    from pathlib import Path


def jobs(url: str, directory: Path, workers: int = 2, *, slots: int = 4, **trace: Any) -> list[Job]:
    path = directory / "trace.json"
    path.write_text(json.dumps({"sessions": 10, "turns": 3, "words": 8, "output": 2, **trace}), encoding="utf-8")
    target = Target((url,), "/chat/completions", {}, ("X-Session-ID",), 5.0)
    phases = (Phase("run", "{}", "closed", slots, 0.0, Rules(total_s=10)),)
    return [
        Job(worker, workers, str(path), str(directory / f"{worker}.jsonl"), target, "chat", phases, 1, 5, "standins")
        for worker in range(workers)
    ]


def nothing(_phase: str, _outcome: Outcome) -> None:
    """Nobody watches."""


def counts(outcome: Outcome) -> dict[str, int]:
    books = [Books(block, "run").to_dict() for block in outcome.cells]
    return {name: sum(one[name] for one in books) for name in books[0]}


def test_sessions_are_shared_out_whole(tmp_path: Path) -> None:
    with serving() as server:
        outcome = run_workers(jobs(server.url, tmp_path), ["run"], nothing)
        assert counts(outcome)["succeeded"] == len(server.requests) == 30
    records = [
        [json.loads(line) for line in (tmp_path / f"{worker}.jsonl").read_text(encoding="utf-8").splitlines()]
        for worker in range(2)
    ]
    sessions = [{record["session"] for record in of} for of in records]
    assert sessions == [{0, 2, 4, 6, 8}, {1, 3, 5, 7, 9}]


def test_r2_n13_a_defect_in_a_worker_surfaces_with_its_traceback(tmp_path: Path) -> None:
    with serving() as server, pytest.raises(WorkerError, match="RuntimeError: a defect") as caught:
        run_workers(jobs(server.url, tmp_path, defect=[5, 1]), ["run"], nothing)
    assert "Traceback" in str(caught.value)


def test_a_worker_without_a_parent_stops(tmp_path: Path) -> None:
    """The parent's end of the pipe is closed, as if it had been killed."""

    async def slow(received: Received, writer: asyncio.StreamWriter) -> None:
        time.sleep(0.01)  # noqa: ASYNC251  the server is slow as a whole
        await plain(received, writer)

    with serving(slow) as server:
        worker = Worker(jobs(server.url, tmp_path, 1, sessions=10_000)[0])
        assert worker.pipe.recv() == ("ready", None)
        worker.order("start", time.monotonic_ns())
        while not server.requests:
            time.sleep(0.01)
        worker.pipe.close()
        worker.process.join(20)
        assert worker.process.exitcode == 0
    books = Books(worker.cells, "run")
    assert books.closed()
    assert books.to_dict()["never_issued"] > 0


def test_progress_is_one_line_on_a_terminal_and_lines_now_and_then_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", "60")
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    cells = memoryview(bytearray(8 * CELLS)).cast("q")
    books = Books(cells, "run")
    outcome = Outcome(cells=[cells])
    terminal, plain_file = Terminal(), io.StringIO()
    shown = [Progress(terminal), Progress(plain_file)]
    for second in range(21):
        now[0] = 100.0 + second
        books.counts[SUCCEEDED] = 50 * second
        books.recent_us[second] = 1000 * second
        for progress in shown:
            progress("run", outcome)
    for progress in shown:
        progress.close()
    lines = terminal.getvalue().removesuffix("\n").split("\r")[1:]
    assert len(lines) == 21
    assert max(map(len, lines)) < 60
    assert plain_file.getvalue().count("run: ") == 2  # every 10 s
    assert "1,000 requests (50/s), 0 failed, TTFT p50 11 ms, p99 20 ms" in " ".join(plain_file.getvalue().split())
