"""A worker: a process with its own event loop that plays its share of the sessions."""

from __future__ import annotations

import asyncio
import gc
import importlib
import signal
import threading
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from agentgen.errors import AgentgenError
from agentgen.replay.counters import Counters
from agentgen.replay.event_loop import LagProbe, LoopClock, new_event_loop
from agentgen.replay.load import ClosedLoop, PoissonArrivals, TraceArrivals
from agentgen.replay.pool import Pool
from agentgen.replay.scheduler import Scheduler
from agentgen.replay.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from agentgen.replay.job import Job, Phase
    from agentgen.replay.load import Load
    from agentgen.replay.protocols import Recorder, Source


class Worker:
    """Plays the phases of a job in the running event loop, on commands of the parent process."""

    def __init__(self, job: Job, cells: memoryview, send_to_parent: Callable[[str, Any], None]) -> None:
        self._job = job
        self._cells = cells
        self._send_to_parent = send_to_parent
        self._native = importlib.import_module(job.native_module)
        self._clock = LoopClock()
        self._pool = Pool(job.target, job.worker)
        self._scheduler: Scheduler | None = None
        self._start: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._stopped = False

    def command(self, message: tuple[str, int]) -> None:
        """Obey the parent: `start` at a time, `stop` (finish requests in flight), or `abort`."""
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
        """Play all phases."""
        recorder = self._native.Recorder(self._job.records, self._job.worker)
        try:
            for phase in self._job.phases:
                if not self._stopped:
                    await self._play(phase, recorder)
        finally:
            recorder.close()
            await self._pool.close()

    async def _play(self, phase: Phase, recorder: Recorder) -> None:
        job, clock = self._job, self._clock
        source: Source = self._native.ReplaySource(job.trace, phase.source, job.worker, job.workers)
        loop = asyncio.get_running_loop()
        counters = Counters(self._cells, phase.name)
        done = asyncio.Event()
        answer, endpoint, secrets = self._native.Answer, job.endpoint, self._native.Secrets(list(job.secrets))
        scheduler = Scheduler(
            source=source,
            transport=self._pool,
            clock=clock,
            recorder=recorder,
            counters=counters,
            make_answer=lambda request: answer(
                endpoint, request.stream, max_bytes=job.max_answer_bytes, secrets=secrets
            ),
            shown=secrets.line,
            load=self._load(phase),
            rules=phase.rules,
            phase=phase.name,
            key_prefix=phase.key_prefix,
            done=done.set,
        )
        loop.set_exception_handler(lambda _, context: self._unhandled(scheduler, context))
        gc.collect()
        gc.freeze()
        self._send_to_parent("ready", None)
        try:
            start_ns = await self._start
        except asyncio.CancelledError:
            return  # stopped before the start
        self._start = loop.create_future()
        self._scheduler = scheduler
        probe = LagProbe(clock, recorder.loop_lag)
        timers = [clock.call_at(start_ns, scheduler.start, start_ns)]
        if phase.duration_s is not None:
            timers.append(clock.call_at(start_ns + round(phase.duration_s * NS_PER_S), scheduler.stop, job.grace_s))
        await done.wait()
        for timer in timers:
            timer.cancel()
        probe.close()
        self._scheduler = None
        if scheduler.error is not None:
            raise scheduler.error
        if not counters.balanced() or scheduler.held:
            raise RuntimeError(f"counters do not balance: {counters.to_dict()}, {scheduler.held} objects are held")
        self._send_to_parent("phase_done", scheduler.failure_messages)

    @staticmethod
    def _unhandled(scheduler: Scheduler, context: dict[str, Any]) -> None:
        """Crash on an exception that nothing caught, unless it is a network error: its connection reported that."""
        error = context.get("exception") or RuntimeError(context["message"])
        if not isinstance(error, OSError):
            scheduler.crash(error)

    def _load(self, phase: Phase) -> Load:
        match phase.load:
            case "closed":
                return ClosedLoop(phase.slots, phase.ramp)
            case "trace":
                return TraceArrivals(phase.rules.time_scale)
            case _:
                return PoissonArrivals(phase.rate, f"{self._job.seed}/{self._job.worker}")


def main(job: Job, cells: Any, pipe: Connection) -> None:
    """Run a worker process.

    It ignores signals, since its parent tells it when to stop; without a parent it stops at once.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    gc.set_threshold(100_000, 50, 100)  # the hot path creates no reference cycles
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(_main(job, memoryview(cells).cast("B").cast("q"), pipe))
    except (AgentgenError, OSError) as error:  # the trace or the disk
        last = ("stopped", str(error))
    except BaseException:  # noqa: BLE001  the parent shows it
        last = ("error", traceback.format_exc())
    else:
        last = ("done", "")
    with suppress(OSError):  # the parent has ended
        pipe.send(last)


async def _main(job: Job, cells: memoryview, pipe: Connection) -> None:
    def send_to_parent(what: str, value: Any) -> None:
        with suppress(OSError):  # the parent has ended
            pipe.send((what, value))

    worker = Worker(job, cells, send_to_parent)
    loop = asyncio.get_running_loop()

    def receive_commands() -> None:
        while True:
            try:
                message = pipe.recv()
            except (EOFError, OSError):
                message = ("abort", 0)
            try:
                loop.call_soon_threadsafe(worker.command, message)
            except RuntimeError:  # the event loop is closed
                return
            if message[0] == "abort":
                return

    threading.Thread(target=receive_commands, daemon=True).start()
    await worker.play()
