"""The parent of the workers: starts them, watches them, tells them to stop."""

from __future__ import annotations

import multiprocessing
import signal
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

from agentgen.errors import RunError
from agentgen.replay.books import CELLS, FAILED, Books
from agentgen.replay.worker import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.process import BaseProcess

    from agentgen.replay.worker import Job

LEAD_NS = 20_000_000  # between the order to start and the start: it has to reach all workers
TICK_S = 0.25


class WorkerError(Exception):
    """A defect in a worker: its traceback."""


@dataclass
class Outcome:
    """What the workers said.

    Attributes:
        start_ns: When each phase began.
        lost: Numbers of the workers that died.
        interrupted: The run was stopped from outside.
        cells: The counters of each worker.
        messages: The first message of each kind of failure.
    """

    start_ns: dict[str, int] = field(default_factory=dict)
    lost: list[int] = field(default_factory=list)
    interrupted: bool = False
    cells: list[memoryview] = field(default_factory=list)
    messages: dict[str, str] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        """Requests that failed in the measured phase."""
        return sum(Books(block, "run").counts[FAILED] for block in self.cells)


class Worker:
    """A process, and what it is doing."""

    def __init__(self, job: Job) -> None:
        context = multiprocessing.get_context("spawn")
        cells = context.RawArray("q", CELLS)
        self.number = job.worker
        self.cells = memoryview(cells).cast("B").cast("q")
        self.pipe, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=main, args=(job, cells, theirs), daemon=True)
        # What is ignored stays so in a child, so Ctrl-C does not meet it while it is still importing.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            self.process.start()
        finally:
            signal.signal(signal.SIGINT, before)
        theirs.close()
        self.ready = False
        self.over = False

    def order(self, what: str, when_ns: int = 0) -> None:
        """Tell it."""
        with suppress(OSError):  # it has died: its sentinel says so
            self.pipe.send((what, when_ns))


def run_workers(jobs: Sequence[Job], phases: Sequence[str], tick: Callable[[str, Outcome], None]) -> Outcome:
    """Run all workers through all phases; `tick` is called a few times a second with the phase.

    The first SIGINT or SIGTERM lets requests in flight finish within their grace, the second gives them up. A worker
    that dies is left behind: the others go on, and the result is incomplete.

    Raises:
        WorkerError: An internal error in one of them.
    """
    outcome = Outcome()
    workers: list[Worker] = []
    with _signals() as signals:
        try:
            workers = [Worker(job) for job in jobs]
            outcome.cells = [worker.cells for worker in workers]
            _supervise(workers, list(phases), outcome, signals, tick)
        finally:
            for worker in workers:
                worker.order("abort")
            for worker in workers:
                worker.process.join(1)
                if worker.process.is_alive():
                    worker.process.kill()
                    worker.process.join()
                worker.pipe.close()
    return outcome


def _supervise(
    workers: list[Worker],
    phases: list[str],
    outcome: Outcome,
    signals: list[int],
    tick: Callable[[str, Outcome], None],
) -> None:
    phase, told = "", 0
    while live := [worker for worker in workers if not worker.over]:
        sources: dict[Any, Worker] = {worker.pipe: worker for worker in live}
        sources |= {worker.process.sentinel: worker for worker in live}
        for event in wait(list(sources), TICK_S):
            worker = sources[event]
            if event is worker.pipe:
                _hear(worker, outcome)
            elif not worker.over and not worker.pipe.poll():  # it has died without a word
                worker.over = True
                outcome.lost.append(worker.number)
        if phases and all(worker.ready for worker in live if not worker.over):
            phase = phases.pop(0)
            start_ns = outcome.start_ns[phase] = time.monotonic_ns() + LEAD_NS
            for worker in live:
                worker.ready = False
                worker.order("start", start_ns)
        for _ in signals[told:2]:
            told += 1
            outcome.interrupted = True
            for worker in live:
                worker.order("stop" if told == 1 else "abort")
        tick(phase, outcome)


def _hear(worker: Worker, outcome: Outcome) -> None:
    try:
        what, value = worker.pipe.recv()
    except (EOFError, OSError):
        worker.over = True
        outcome.lost.append(worker.number)
        return
    match what:
        case "ready":
            worker.ready = True
        case "over":
            outcome.messages = {**value, **outcome.messages}
        case "done":
            worker.over = True
        case "stopped":
            raise RunError(f"worker {worker.number}: {value}; its records until then are kept")
        case _:
            raise WorkerError(value)


@contextmanager
def _signals() -> Iterator[list[int]]:
    """The signals that ask to stop, as they come."""
    received: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: received.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
