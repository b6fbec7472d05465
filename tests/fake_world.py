"""A simulated world for the scheduler: no sockets, and time jumps from one event to the next."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from agentgen.errors import HistoryError
from agentgen.replay.counters import CELLS, Counters
from agentgen.replay.load import ClosedLoop
from agentgen.replay.protocols import Response
from agentgen.replay.rules import Rules
from agentgen.replay.scheduler import Scheduler
from fakes import ReplayRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agentgen.replay.load import Load
    from agentgen.replay.protocols import ResponseHandler
    from agentgen.replay.records import RequestRecord, SessionRecord

MS = 1_000_000


class Timer:
    def __init__(self, call: Callable[[], object]) -> None:
        self.call: Callable[[], object] | None = call

    def cancel(self) -> None:
        self.call = None


class Clock:
    """Simulated time; with `coarse_ns` timers run early, as those of an event loop with a coarse clock."""

    def __init__(self, *, coarse_ns: int = 0) -> None:
        self.time = 1_000 * MS
        self.ticks = 0
        self._coarse_ns = coarse_ns
        self._heap: list[tuple[int, int, Timer]] = []
        self._order = count()

    def now(self) -> int:
        return self.time

    def call_at(self, when_ns: int, callback: Callable[..., object], *args: Any) -> Timer:
        early = when_ns - self._coarse_ns
        return self.exactly_at(early if early > self.time else when_ns, lambda: callback(*args))

    def exactly_at(self, when_ns: int, call: Callable[[], object]) -> Timer:
        timer = Timer(call)
        heapq.heappush(self._heap, (max(when_ns, self.time), next(self._order), timer))
        return timer

    @property
    def pending(self) -> int:
        return sum(timer.call is not None for _, _, timer in self._heap)

    def run(self) -> None:
        while self._heap:
            when, _, timer = heapq.heappop(self._heap)
            if timer.call is not None:
                self.time = when
                call, timer.call = timer.call, None
                self.ticks += 1
                call()


@dataclass(frozen=True)
class Turn:
    """What happens to a request: its response ends after `latency_ms` (None: never).

    After `late_ms`, a response arrives even if the request was cancelled. The first `stale` attempts meet a stale
    connection, the next `refusals` attempts a busy server.
    """

    latency_ms: float | None = 1.0
    outcome: str = "ok"
    delay_ms: float = 0.0
    first_ms: float | None = None
    status: int = 200
    retry_after_s: float | None = None
    stale: int = 0
    refusals: int = 0
    late_ms: float | None = None
    at_ms: float | None = None


@dataclass
class Script:
    """A session whose requests follow its script."""

    number: int
    script: list[Turn]
    parent: int | None = None
    start_ms: float = 0.0
    issued: int = 0
    answers: int = 0
    is_over: bool = False

    @property
    def key(self) -> str:
        return f"s{self.number}"

    @property
    def turns(self) -> int:
        return len(self.script)

    def at_ms(self) -> float | None:
        return self.script[self.issued].at_ms

    def delay_ms(self) -> float:
        return self.script[self.issued].delay_ms

    def request(self) -> ReplayRequest:
        turn = self.script[self.issued]
        self.issued += 1
        if turn.outcome == "history":
            raise HistoryError(f"turn {self.issued - 1} cannot be made")
        return ReplayRequest(b"%d %d" % (self.number, self.issued - 1), self.issued - 1, 10, 10, 1)

    def answered(self, answer: Any) -> None:
        self.answers += 1

    def over(self) -> None:
        assert not self.is_over
        self.is_over = True


class Source:
    has_bundles = False

    def __init__(self, scripts: Iterable[Script]) -> None:
        self._scripts = iter(scripts)

    def next(self) -> Script | None:
        return next(self._scripts, None)

    def responded(self, number: int, turn: int) -> list[Script]:
        raise NotImplementedError

    def may_send(self, number: int, turn: int) -> bool:
        raise NotImplementedError

    def over(self, number: int, turns: int, has_failed: bool) -> tuple[list[Script], list[int], bool]:
        raise NotImplementedError


class Answer:
    message = "of the server"

    def __init__(self) -> None:
        self.failure: str | None = None
        self.first_token_ns: int | None = None

    def feed(self, data: bytes, stamp_ns: int) -> bool:
        if data == b"token":
            self.first_token_ns = self.first_token_ns or stamp_ns
        else:
            self.failure = data.decode()
        return self.failure != "response_too_large"

    def end(self, end: str, stamp_ns: int) -> None:
        if end != "complete" and self.failure is None:
            self.failure = "stream_truncated"


class SessionConnection:
    url = 0

    def __init__(self, world: World) -> None:
        self._world = world
        self._timers: list[Timer] = []
        self.in_flight = False
        self.closed = False

    def send(self, body: bytes, handler: ResponseHandler, *, new_connection: bool = False) -> None:
        world = self._world
        assert not self.in_flight, "two requests of one session in flight"
        assert not self.closed
        self.in_flight = True
        number, index = map(int, body.split())
        turn = world.scripts[number].script[index]
        now = world.clock.now()
        handler.sent(now)
        world.sent(number, index, now)
        latency = turn.latency_ms
        tried = world.tried.get((number, index), 0)
        is_stale, refused = tried < turn.stale, tried < turn.stale + turn.refusals
        if refused:
            world.tried[number, index] = tried + 1
        if turn.first_ms is not None and not refused:
            self._at(now + round(turn.first_ms * MS), lambda: handler.data(b"token", world.clock.now()))
        if latency is not None:
            self._at(now + round(latency * MS), lambda: self._end(turn, handler, is_stale=is_stale, refused=refused))
        if turn.late_ms is not None:  # a transport that delivers events after a cancellation
            world.clock.exactly_at(
                now + round(turn.late_ms * MS), lambda: handler.finished(Response(200), world.clock.now())
            )

    def _at(self, when: int, call: Callable[[], object]) -> None:
        self._timers.append(self._world.clock.exactly_at(when, call))

    def _end(self, turn: Turn, handler: ResponseHandler, *, is_stale: bool, refused: bool) -> None:
        self._clear()
        now = self._world.clock.now()
        self._world.ticks_at_end = self._world.clock.ticks
        if is_stale:
            handler.lost("stale_connection", 0, "gone", now)
        elif refused:
            handler.finished(Response(turn.status, retry_after_s=turn.retry_after_s), now)
        elif turn.outcome in {"connect_error", "connection_lost", "timeout_connect"}:
            handler.lost(turn.outcome, 0, "no connection", now)
        elif turn.outcome == "http_error":
            status = turn.status if turn.status != 200 else 500
            handler.finished(Response(status, retry_after_s=turn.retry_after_s), now)
        elif turn.outcome == "stream_truncated":
            handler.lost("connection_lost", 200, "gone", now)
        else:
            if turn.outcome != "ok":
                handler.data(turn.outcome.encode(), now)
            handler.finished(Response(200), now)

    def _clear(self) -> None:
        self.in_flight = False
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def cancel(self) -> None:
        self._clear()

    def close(self) -> None:
        assert not self.in_flight
        assert not self.closed
        self.closed = True
        self._world.open -= 1


class Transport:
    def __init__(self, world: World) -> None:
        self._world = world

    def open(self, key: str) -> SessionConnection:
        self._world.open += 1
        self._world.most_open = max(self._world.most_open, self._world.open)
        return SessionConnection(self._world)


class Records:
    def __init__(self, world: World) -> None:
        self._world = world

    def request(self, record: RequestRecord, answer: Any) -> None:
        self._world.requests.append(record)

    def session(self, record: SessionRecord) -> None:
        self._world.sessions.append(record)

    def loop_lag(self, late_ns: int) -> None:
        pass


@dataclass
class World:
    """Everything around one scheduler, and what happened in it."""

    scripts: list[Script]
    slots: int | None = 4
    load: Load | None = None
    rules: Rules = field(default_factory=Rules)
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.requests: list[RequestRecord] = []
        self.sessions: list[SessionRecord] = []
        self.issues: list[tuple[int, int, int]] = []
        self.issue_ticks: list[int] = []
        self.tried: dict[tuple[int, int], int] = {}
        self.ticks_at_end = 0
        self.open = 0
        self.most_open = 0
        self.done = 0
        self.counters = Counters(memoryview(bytearray(8 * CELLS)).cast("q"), "run")
        self.scheduler = self.new_scheduler()

    def new_scheduler(self, source: Any = None) -> Scheduler:
        return Scheduler(
            source=source or Source(self.scripts),
            transport=Transport(self),
            clock=self.clock,
            recorder=Records(self),
            counters=self.counters,
            make_answer=lambda _: Answer(),
            shown=str,
            load=self.load or ClosedLoop(self.slots or 1),
            rules=self.rules,
            phase="run",
            done=self._done,
        )

    def sent(self, number: int, turn: int, now: int) -> None:
        self.issues.append((number, turn, now))
        self.issue_ticks.append(self.clock.ticks)

    def _done(self) -> None:
        self.done += 1

    def run(self, *, stop_ms: float | None = None, grace_ms: float = 0.0, abort_ms: float | None = None) -> World:
        """Run until no event is left; raise the error that the scheduler kept."""
        start = self.clock.now()
        if stop_ms is not None:
            self.clock.exactly_at(start + round(stop_ms * MS), lambda: self.scheduler.stop(grace_ms / 1000))
        if abort_ms is not None:
            self.clock.exactly_at(start + round(abort_ms * MS), self.scheduler.abort)
        self.scheduler.start(start)
        self.clock.run()
        if self.scheduler.error is not None:
            raise self.scheduler.error
        assert self.done == 1
        assert self.scheduler.held == 0
        assert self.counters.balanced(), self.counters.to_dict()
        return self

    def outcomes(self) -> dict[tuple[int, int], str]:
        """How each request ended."""
        return {(request["session"], request["turn"]): request["outcome"] for request in self.requests}


def scripts(*sessions: list[Turn], **named: Any) -> list[Script]:
    """Sessions numbered in order."""
    return [Script(number, list(turns), **named) for number, turns in enumerate(sessions)]
