"""The parent process of the workers: starts them, follows their state, tells them to stop."""

from __future__ import annotations

import multiprocessing
import signal
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

from agentgen.errors import RunError
from agentgen.replay.counters import CELLS, FAILED, IN_FLIGHT, PHASES, SUCCEEDED, Counters
from agentgen.replay.worker import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.process import BaseProcess

    from agentgen.replay.job import Job

START_DELAY_NS = 20_000_000  # from the start command to the start: it has to reach all workers
TICK_S = 0.25


class WorkerError(Exception):
    """An internal error in a worker; the message is its traceback."""


@dataclass
class WorkersState:
    """State of all workers, during the run and after it.

    Attributes:
        start_ns: When each phase began.
        died: Numbers of the workers that died.
        stops: Signals that stopped the run: after the first one requests in flight finish, the second cancels them.
        cells: The shared counters of each worker.
        failure_messages: The first message of each kind of failure.
    """

    start_ns: dict[str, int] = field(default_factory=dict)
    died: list[int] = field(default_factory=list)
    stops: int = 0
    cells: list[memoryview] = field(default_factory=list)
    failure_messages: dict[str, str] = field(default_factory=dict)

    @property
    def interrupted(self) -> bool:
        """A signal stopped the run."""
        return self.stops > 0

    @property
    def in_flight(self) -> int:
        """Requests without a complete response."""
        return sum(Counters(cells, phase).counts[IN_FLIGHT] for cells in self.cells for phase in PHASES)

    def ended(self, phase: str) -> int:
        """Requests with a complete response, or failed, in a phase."""
        counts = (Counters(cells, phase).counts for cells in self.cells)
        return sum(one[SUCCEEDED] + one[FAILED] for one in counts)

    @property
    def failed(self) -> int:
        """Requests that failed in the measured phase."""
        return sum(Counters(cells, "run").counts[FAILED] for cells in self.cells)


class WorkerProcess:
    """A worker's process, as its parent sees it."""

    def __init__(self, job: Job) -> None:
        context = multiprocessing.get_context("spawn")
        cells = context.RawArray("q", CELLS)
        self.number = job.worker
        self.cells = memoryview(cells).cast("B").cast("q")
        self.pipe, child_pipe = context.Pipe()
        self.process: BaseProcess = context.Process(target=main, args=(job, cells, child_pipe), daemon=True)
        # A child inherits ignored signals, so Ctrl-C cannot end it while it imports modules.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            self.process.start()
        finally:
            signal.signal(signal.SIGINT, before)
        child_pipe.close()
        self.ready = False
        self.ended = False

    def send(self, command: str, when_ns: int = 0) -> None:
        """Send a command."""
        with suppress(OSError):  # the worker has died; its sentinel reports that
            self.pipe.send((command, when_ns))


def run_workers(jobs: Sequence[Job], phases: Sequence[str], tick: Callable[[str, WorkersState], None]) -> WorkersState:
    """Run all workers through all phases; `tick` is called a few times per second with the phase.

    After the first SIGINT or SIGTERM requests in flight may finish within the grace period; the second one cancels
    them. If a worker dies, the others continue, and the result is incomplete.

    Raises:
        WorkerError: An internal error in a worker.
    """
    state = WorkersState()
    workers: list[WorkerProcess] = []
    with _stop_signals() as signals:
        try:
            workers = [WorkerProcess(job) for job in jobs]
            state.cells = [worker.cells for worker in workers]
            _supervise(workers, list(phases), state, signals, tick)
        finally:
            for worker in workers:
                worker.send("abort")
            for worker in workers:
                worker.process.join(1)
                if worker.process.is_alive():
                    worker.process.kill()
                    worker.process.join()
                worker.pipe.close()
    return state


def _supervise(
    workers: list[WorkerProcess],
    phases: list[str],
    state: WorkersState,
    signals: list[int],
    tick: Callable[[str, WorkersState], None],
) -> None:
    phase = ""
    while live := [worker for worker in workers if not worker.ended]:
        sources: dict[Any, WorkerProcess] = {worker.pipe: worker for worker in live}
        sources |= {worker.process.sentinel: worker for worker in live}
        for event in wait(list(sources), TICK_S):
            worker = sources[event]
            if event is worker.pipe:
                _receive(worker, state)
            elif not worker.ended and not worker.pipe.poll():  # died without a last message
                worker.ended = True
                state.died.append(worker.number)
        if phases and all(worker.ready for worker in live if not worker.ended):
            phase = phases.pop(0)
            start_ns = state.start_ns[phase] = time.monotonic_ns() + START_DELAY_NS
            for worker in live:
                worker.ready = False
                worker.send("start", start_ns)
        for _ in signals[state.stops : 2]:
            state.stops += 1
            for worker in live:
                worker.send("stop" if state.stops == 1 else "abort")
        tick(phase, state)


def _receive(worker: WorkerProcess, state: WorkersState) -> None:
    try:
        what, value = worker.pipe.recv()
    except (EOFError, OSError):
        worker.ended = True
        state.died.append(worker.number)
        return
    match what:
        case "ready":
            worker.ready = True
        case "phase_done":
            state.failure_messages = {**value, **state.failure_messages}
        case "done":
            worker.ended = True
        case "stopped":
            raise RunError(f"worker {worker.number}: {value}; its records up to then are kept")
        case _:
            raise WorkerError(value)


@contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of dying of them."""
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
