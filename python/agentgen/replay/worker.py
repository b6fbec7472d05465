"""A worker: a process with an event loop of its own that plays its share of the sessions."""

from __future__ import annotations

import asyncio
import gc
import importlib
import signal
import threading
import traceback
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentgen.errors import AgentgenError
from agentgen.replay.admission import NS_PER_S, ClosedLoop, PoissonArrivals, TraceArrivals
from agentgen.replay.books import Books
from agentgen.replay.pool import Pool, Target
from agentgen.replay.schedule import Rules, Scheduler
from agentgen.replay.timing import LagProbe, LoopClock, new_event_loop

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from agentgen.replay.admission import Load
    from agentgen.replay.ports import Recorder, Source


@dataclass(frozen=True)
class Phase:
    """A part of the run, as one worker plays it.

    Attributes:
        name: `warmup` or `run`.
        source: Options of the compiled reader, JSON.
        load: `closed`, `trace` or `poisson`.
        slots: Open sessions of a closed loop.
        rate: Sessions a second of random arrivals.
        rules: How sessions are played.
        duration_s: No request is issued later, seconds from the start.
    """

    name: str
    source: str
    load: str
    slots: int
    rate: float
    rules: Rules
    duration_s: float | None = None


@dataclass(frozen=True)
class Job:
    """What a worker needs to know.

    Attributes:
        trace: The trace's path.
        records: File for its records.
        phases: One after the other; the parent says when each begins.
        grace_s: For requests in flight when the run is stopped, seconds.
    """

    worker: int
    workers: int
    trace: str
    records: str
    target: Target
    endpoint: str
    phases: tuple[Phase, ...]
    seed: int
    grace_s: float
    natives: str = "agentgen._native"


class Player:
    """Plays the phases in the running loop, under the orders of the parent."""

    def __init__(self, job: Job, cells: memoryview, tell: Callable[[str, Any], None]) -> None:
        self._job = job
        self._cells = cells
        self._tell = tell
        self._natives = importlib.import_module(job.natives)
        self._clock = LoopClock()
        self._pool = Pool(job.target, job.worker)
        self._scheduler: Scheduler | None = None
        self._start: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._stopped = False

    def order(self, message: tuple[str, int]) -> None:
        """What the parent says: `start` at a time, `stop`, or `abort`."""
        what, when = message
        if what == "start":
            self._start.set_result(when)
            return
        self._stopped = True
        if not self._start.done():
            self._start.cancel()
        if self._scheduler is not None:
            if what == "stop":
                self._scheduler.stop(self._job.grace_s)
            else:
                self._scheduler.abort()

    async def play(self) -> None:
        """All phases."""
        recorder = self._natives.Recorder(self._job.records, self._job.worker)
        try:
            for phase in self._job.phases:
                if not self._stopped:
                    await self._play(phase, recorder)
        finally:
            recorder.close()
            await self._pool.close()

    async def _play(self, phase: Phase, recorder: Recorder) -> None:
        job, clock = self._job, self._clock
        source: Source = self._natives.ReplaySource(job.trace, phase.source, job.worker, job.workers)
        loop = asyncio.get_running_loop()
        books = Books(self._cells, phase.name)
        over = asyncio.Event()
        answer, endpoint = self._natives.Answer, job.endpoint
        scheduler = Scheduler(
            source=source,
            transport=self._pool,
            clock=clock,
            recorder=recorder,
            books=books,
            make_answer=lambda request: answer(endpoint, request.stream),
            load=self._load(phase),
            rules=phase.rules,
            phase=phase.name,
            done=over.set,
        )
        loop.set_exception_handler(lambda _, context: self._unhandled(scheduler, context))
        gc.collect()
        gc.freeze()
        self._tell("ready", None)
        try:
            start_ns = await self._start
        except asyncio.CancelledError:
            return  # stopped before it began
        self._start = loop.create_future()
        self._scheduler = scheduler
        probe = LagProbe(clock, recorder.loop_lag)
        timers = [clock.call_at(start_ns, scheduler.start, start_ns)]
        if phase.duration_s is not None:
            timers.append(clock.call_at(start_ns + round(phase.duration_s * NS_PER_S), scheduler.stop, job.grace_s))
        await over.wait()
        for timer in timers:
            timer.cancel()
        probe.close()
        self._scheduler = None
        if scheduler.error is not None:
            raise scheduler.error
        if not books.closed() or scheduler.state:
            raise RuntimeError(f"the books do not close: {books.to_dict()}, {scheduler.state} things are held")
        self._tell("over", scheduler.messages)

    @staticmethod
    def _unhandled(scheduler: Scheduler, context: dict[str, Any]) -> None:
        """What nobody caught is a defect, but for trouble of the network: its connection has been told."""
        error = context.get("exception") or RuntimeError(context["message"])
        if not isinstance(error, OSError):
            scheduler.crash(error)

    def _load(self, phase: Phase) -> Load:
        match phase.load:
            case "closed":
                return ClosedLoop(phase.slots)
            case "trace":
                return TraceArrivals()
            case _:
                return PoissonArrivals(phase.rate, f"{self._job.seed}/{self._job.worker}")


def main(job: Job, cells: Any, pipe: Connection) -> None:
    """The process. It leaves signals to its parent, who tells it to stop; without a parent it stops at once."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    gc.set_threshold(100_000, 50, 100)  # the hot path makes no cycles
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(_main(job, memoryview(cells).cast("B").cast("q"), pipe))
    except (AgentgenError, OSError) as error:  # the trace, or the disk
        last = ("stopped", str(error))
    except BaseException:  # noqa: BLE001  the parent shows it
        last = ("error", traceback.format_exc())
    else:
        last = ("done", "")
    with suppress(OSError):  # without a parent nobody listens
        pipe.send(last)


async def _main(job: Job, cells: memoryview, pipe: Connection) -> None:
    def tell(what: str, value: Any) -> None:
        with suppress(OSError):  # as above
            pipe.send((what, value))

    player = Player(job, cells, tell)
    loop = asyncio.get_running_loop()

    def listen() -> None:
        while True:
            try:
                message = pipe.recv()
            except (EOFError, OSError):
                message = ("abort", 0)
            try:
                loop.call_soon_threadsafe(player.order, message)
            except RuntimeError:  # the loop has been closed: nobody is there to be told
                return
            if message[0] == "abort":
                return

    threading.Thread(target=listen, daemon=True).start()
    await player.play()
