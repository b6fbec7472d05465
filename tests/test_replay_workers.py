"""Worker processes and their parent, with fakes of the compiled classes."""

from __future__ import annotations

import io
import json
import re
import time
from typing import TYPE_CHECKING, Any

import pytest
from agentgen.replay.counters import CELLS, SUCCEEDED, Counters
from agentgen.replay.job import Job, Phase, Target
from agentgen.replay.progress import Progress
from agentgen.replay.route import Access
from agentgen.replay.rules import Rules
from agentgen.replay.supervise import WorkerError, WorkerProcess, WorkersState, run_workers
from replay_server import Received, plain, serving

if TYPE_CHECKING:
    import asyncio
    from pathlib import Path


def jobs(url: str, directory: Path, workers: int = 2, *, slots: int = 4, **trace: Any) -> list[Job]:
    path = directory / "trace.json"
    path.write_text(json.dumps({"sessions": 10, "turns": 3, "words": 8, "output": 2, **trace}), encoding="utf-8")
    target = Target((url,), "/chat/completions", {}, ("X-Session-ID",), 5.0, Access())
    phases = (Phase("run", "{}", "closed", slots, 0.0, Rules(total_s=10)),)
    return [
        Job(
            worker=worker,
            workers=workers,
            trace=str(path),
            records=str(directory / f"{worker}.jsonl"),
            target=target,
            endpoint="chat",
            phases=phases,
            seed=1,
            secrets=(),
            max_answer_bytes=1 << 20,
            grace_s=5,
            native_module="fakes",
        )
        for worker in range(workers)
    ]


def no_progress(_phase: str, _state: WorkersState) -> None:
    """Show nothing."""


def totals(state: WorkersState) -> dict[str, int]:
    counts = [Counters(cells, "run").to_dict() for cells in state.cells]
    return {name: sum(one[name] for one in counts) for name in counts[0]}


def test_workers_share_the_sessions(tmp_path: Path) -> None:
    with serving() as server:
        state = run_workers(jobs(server.url, tmp_path), ["run"], no_progress)
        assert totals(state)["succeeded"] == len(server.requests) == 30
    records = [
        [json.loads(line) for line in (tmp_path / f"{worker}.jsonl").read_text(encoding="utf-8").splitlines()]
        for worker in range(2)
    ]
    sessions = [{record["session"] for record in of} for of in records]
    assert sessions == [{0, 2, 4, 6, 8}, {1, 3, 5, 7, 9}]


def test_an_internal_error_in_a_worker_is_raised_with_its_traceback(tmp_path: Path) -> None:
    with serving() as server, pytest.raises(WorkerError, match="RuntimeError: a defect") as caught:
        run_workers(jobs(server.url, tmp_path, defect=[5, 1]), ["run"], no_progress)
    assert "Traceback" in str(caught.value)


def test_a_worker_without_a_parent_stops(tmp_path: Path) -> None:
    """The parent's end of the pipe is closed, as if it had been killed."""

    async def slow(received: Received, writer: asyncio.StreamWriter) -> None:
        time.sleep(0.01)  # noqa: ASYNC251  the server is slow as a whole
        await plain(received, writer)

    with serving(slow) as server:
        worker = WorkerProcess(jobs(server.url, tmp_path, 1, sessions=10_000)[0])
        assert worker.pipe.recv() == ("ready", None)
        worker.send("start", time.monotonic_ns())
        while not server.requests:
            time.sleep(0.01)
        worker.pipe.close()
        worker.process.join(20)
        assert worker.process.exitcode == 0
    counters = Counters(worker.cells, "run")
    assert counters.balanced()
    assert counters.to_dict()["never_issued"] > 0


def test_progress_is_one_line_on_a_terminal_and_lines_now_and_then_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", "60")
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    cells = memoryview(bytearray(8 * CELLS)).cast("q")
    counters = Counters(cells, "run")
    state = WorkersState(cells=[cells])
    terminal, plain_file = Terminal(), io.StringIO()
    shown = [Progress(terminal), Progress(plain_file)]
    for second in range(21):
        now[0] = 100.0 + second
        counters.counts[SUCCEEDED] = 50 * second
        counters.recent_us[second] = 1000 * second
        for progress in shown:
            progress("run", state)
    for progress in shown:
        progress.close()
    drawn = re.split(r"(?:\r|\x1b\[[0-9;?]*[A-Za-z])+", terminal.getvalue())
    lines = [text for text in drawn if text.strip()]
    assert len(lines) >= 21
    assert max(map(len, lines)) < 60
    assert plain_file.getvalue().count("run: ") == 2  # every 10 s
    assert "1,000 requests (50/s), 0 failed, TTFT p50 11 ms, p99 20 ms" in " ".join(plain_file.getvalue().split())
