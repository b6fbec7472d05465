"""The scheduler in a simulated world: order, concurrency, delays, failures, counters."""

from __future__ import annotations

import random
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from agentgen.replay.load import PoissonArrivals, TraceArrivals
from agentgen.replay.rules import Rules
from fake_world import MS, Clock, Records, Script, Turn, World, scripts

if TYPE_CHECKING:
    from collections.abc import Callable

OK = Turn()


def world(*sessions: list[Turn], **named: Any) -> World:
    return World(scripts(*sessions), **named)


# --- order and concurrency ----------------------------------------------------------------------------------------


def test_only_as_many_sessions_are_open_as_there_are_slots() -> None:
    played = world(*([Turn(latency_ms=1 + number % 3)] * 3 for number in range(20)), slots=4).run()
    assert played.most_open == 4
    assert played.counters.to_dict()["succeeded"] == 60
    first = {number: now for number, turn, now in reversed(played.issues) if turn == 0}
    ended = sorted(session["closed_ns"] for session in played.sessions)
    for number in range(4, 20):  # each waits for one that has ended
        assert first[number] >= ended[number - 4]


def test_sessions_start_in_the_order_of_the_source() -> None:
    played = world(*([OK] for _ in range(9)), slots=1).run()
    assert [number for number, _, _ in played.issues] == list(range(9))


def test_the_next_turn_is_sent_within_the_call_that_ends_the_one_before() -> None:
    played = world([OK] * 4, slots=1)
    at_end = []
    original = played.sent

    def sent(number: int, turn: int, now: int) -> None:
        at_end.append((turn, played.clock.ticks - played.ticks_at_end))
        original(number, turn, now)

    played.sent = sent  # type: ignore[method-assign]
    played.run()
    assert [between for turn, between in at_end if turn] == [0, 0, 0]  # no other callback ran in between


def test_a_continuation_waits_for_its_parent_and_keeps_its_slot() -> None:
    parents = [Script(0, [Turn(latency_ms=50)]), Script(1, [Turn(latency_ms=5)]), Script(2, [OK], parent=0)]
    played = World([*parents, Script(3, [OK])], slots=2).run()
    sent = {number: (now - 1000 * MS) // MS for number, _, now in played.issues}
    assert sent == {0: 0, 1: 0, 2: 50, 3: 50}
    assert next(request for request in played.requests if request["session"] == 2)["scheduled_ns"] == 1050 * MS


# --- time ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("coarse_ns", [0, MS])
def test_delays_count_from_the_end_of_the_response_and_are_never_early(coarse_ns: int) -> None:
    turns = [Turn(latency_ms=7.3), Turn(latency_ms=2, delay_ms=10.4), Turn(delay_ms=0.2)]
    played = world(turns, clock=Clock(coarse_ns=coarse_ns), slots=1).run()
    start = 1000 * MS
    scheduled = [start, start + round(17.7 * MS), start + round(19.9 * MS)]
    assert [request["scheduled_ns"] for request in played.requests] == scheduled
    assert [now for _, _, now in played.issues] == scheduled


def test_delays_are_scaled_and_capped() -> None:
    turns = [OK, Turn(delay_ms=10), Turn(delay_ms=100)]
    played = world(turns, rules=Rules(time_scale=0.5, max_delay_ms=20)).run()
    assert [(now - 1000 * MS) / MS for _, _, now in played.issues] == [0, 1 + 5, 1 + 5 + 1 + 20]
    assert [(now - 1000 * MS) / MS for _, _, now in world(turns, rules=Rules(time_scale=0)).run().issues] == [0, 1, 2]


def test_intended_times_follow_the_parents_intended_end() -> None:
    class Late(Clock):
        def call_at(self, when_ns: int, callback: Callable[..., object], *args: Any) -> Any:
            late = 3 * MS if getattr(callback, "__name__", "") == "_due" else 0
            return super().call_at(when_ns + late, callback, *args)

    played = world([OK, Turn(delay_ms=10), Turn(delay_ms=10)], clock=Late(), slots=1).run()
    scheduled = [(request["scheduled_ns"] - 1000 * MS) / MS for request in played.requests]
    intended = [(request["intended_ns"] - 1000 * MS) / MS for request in played.requests]
    assert scheduled == [0, 11, 11 + 3 + 11]  # from the actual end, which is 3 ms late
    assert intended == [0, 11, 11 + 11]  # as if no request had been late


def test_a_wait_that_the_server_asks_for_is_not_lag() -> None:
    busy = Turn(status=429, retry_after_s=0.5, refusals=2)
    played = world([busy, Turn(delay_ms=10)], rules=Rules(retries=2), slots=1).run()
    waited = played.requests[-1]
    assert waited["sent_ns"] == waited["scheduled_ns"] == waited["intended_ns"] > 1000 * MS + 1000 * MS


def test_open_loop_with_recorded_and_with_random_arrivals() -> None:
    sessions = [Script(number, [Turn(latency_ms=100)], start_ms=10.0 * number) for number in range(5)]
    played = World(sessions, load=TraceArrivals(1)).run()
    assert [(now - 1000 * MS) / MS for _, _, now in played.issues] == [0, 10, 20, 30, 40]
    assert played.most_open == 5

    def times(seed: str) -> list[int]:
        load = PoissonArrivals(100.0, seed)
        return [now for _, _, now in world(*([OK] for _ in range(2000)), load=load).run().issues]

    drawn = times("1/0")
    assert drawn == times("1/0")
    assert drawn != times("2/0")
    gaps = [(after - before) / MS for before, after in pairwise(drawn)]
    mean = sum(gaps) / len(gaps)
    assert abs(mean - 10) < 1  # 4.5 standard errors
    assert abs(sum(gap > 10 for gap in gaps) / len(gaps) - 0.368) < 0.05  # exponential: exp(-1) are longer


def test_recorded_times_are_kept_unless_the_response_before_is_later() -> None:
    turns = [Turn(at_ms=5, latency_ms=30), Turn(at_ms=20), Turn(at_ms=60)]
    played = World([Script(0, turns, start_ms=5)], load=TraceArrivals(1), rules=Rules(recorded_times=True)).run()
    assert [(now - 1000 * MS) / MS for _, _, now in played.issues] == [5, 35, 60]
    assert [(now - 1000 * MS) / MS for _, _, now in World([Script(0, turns)]).run().issues] == [0, 30, 31]


def test_the_scheduler_never_reads_the_wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    def wall_clock() -> float:
        raise AssertionError("the wall clock was read")

    monkeypatch.setattr(time, "time", wall_clock)
    world([OK, Turn(delay_ms=5)], [Turn(latency_ms=None)], rules=Rules(total_s=1, first_token_s=0.5)).run()


def test_a_timer_that_fires_after_the_end_does_nothing() -> None:
    played = world([Turn(latency_ms=10)], rules=Rules(total_s=0.01))  # the answer and its deadline at one time
    played.run()
    assert len(played.requests) == 1


# --- failures -----------------------------------------------------------------------------------------------------


def test_a_timeout_ends_the_session_and_a_late_answer_changes_nothing() -> None:
    first = [OK, Turn(latency_ms=None, late_ms=80), OK]
    played = world(first, [Turn(latency_ms=100)], slots=1, rules=Rules(total_s=0.05)).run()
    assert played.outcomes() == {(0, 0): "ok", (0, 1): "timeout_total", (1, 0): "timeout_total"}
    counts = played.counters.to_dict()
    assert (counts["planned"], counts["succeeded"], counts["failed"], counts["skipped"]) == (4, 1, 2, 1)
    assert counts["late"] == 1
    assert counts["in_flight"] == 0
    assert played.issues[2] == (1, 0, (1000 + 1 + 50) * MS)  # the next one started when the first had failed


def test_a_timeout_cancels_the_request() -> None:
    played = world([Turn(latency_ms=100)], rules=Rules(total_s=0.05)).run()
    assert played.clock.now() < 1100 * MS  # the run did not wait for the answer


def test_first_token_timeout_fails_only_requests_without_a_token() -> None:
    rules = Rules(first_token_s=0.01)
    played = world([Turn(latency_ms=50, first_ms=5)], [Turn(latency_ms=50, first_ms=20)], rules=rules).run()
    assert played.outcomes() == {(0, 0): "ok", (1, 0): "timeout_first_token"}


@pytest.mark.parametrize(
    "outcome", ["connect_error", "connection_lost", "timeout_connect", "http_error", "stream_truncated", "server_error"]
)
def test_a_failed_turn_ends_its_session(outcome: str) -> None:
    played = world([OK, Turn(outcome=outcome), OK, OK], [OK]).run()
    assert played.outcomes() == {(0, 0): "ok", (0, 1): outcome, (1, 0): "ok"}
    (session,) = (session for session in played.sessions if session["session"] == 0)
    assert session["skipped"] == 2
    assert len(played.scheduler.failure_messages) == 1


def test_a_request_that_cannot_be_built_fails_and_is_not_sent() -> None:
    played = world([OK, Turn(outcome="history"), OK], slots=1).run()
    assert played.outcomes() == {(0, 0): "ok", (0, 1): "history"}
    assert [turn for _, turn, _ in played.issues] == [0]
    assert played.requests[1]["sent_ns"] is None


def test_sessions_that_fail_at_once_do_not_recurse() -> None:
    played = world(*([Turn(outcome="history")] for _ in range(20_000)), slots=2).run()
    assert played.counters.to_dict()["failed"] == 20_000


def test_a_refused_request_is_sent_again_as_often_as_allowed() -> None:
    busy = Turn(status=429, retry_after_s=0.5, refusals=2)
    off = world([busy]).run()
    assert off.outcomes() == {(0, 0): "http_error"}
    assert off.counters.to_dict()["retries"] == 0
    allowed = world([busy, OK], rules=Rules(retries=2)).run()
    assert allowed.outcomes() == {(0, 0): "ok", (0, 1): "ok"}
    assert [request["retries"] for request in allowed.requests] == [2, 0]
    assert [now // MS - 1000 for _, _, now in allowed.issues] == [0, 501, 1002, 1003]
    once = world([busy], rules=Rules(retries=1)).run()
    assert once.outcomes() == {(0, 0): "http_error"}
    wrong = world([Turn(status=404, retry_after_s=0.5, refusals=1)], rules=Rules(retries=1)).run()
    assert wrong.outcomes() == {(0, 0): "http_error"}


@pytest.mark.parametrize("status", [429, 500, 503])
def test_without_retry_after_the_waits_grow_and_are_random(status: int) -> None:
    refused = Turn(status=status, refusals=9)
    played = world(*([refused] for _ in range(40)), rules=Rules(retries=9)).run()
    assert set(played.outcomes().values()) == {"ok"}
    assert played.counters.to_dict()["retries"] == 9 * 40
    times: dict[int, list[int]] = {}
    for session, _, now in played.issues:
        times.setdefault(session, []).append(now)
    for waits in zip(*(pairwise(issued) for issued in times.values()), strict=True):
        assert len({after - before for before, after in waits}) > 20
    longest = [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    for issued in times.values():
        for limit, (before, after) in zip(longest, pairwise(issued), strict=True):
            assert limit / 2 * 1000 <= (after - before) // MS <= limit * 1000 + 2
    sent = [request["sent_ns"] for request in played.requests]
    lags = [at - request["intended_ns"] for at, request in zip(sent, played.requests, strict=True) if at is not None]
    assert len(lags) == len(sent)
    assert max(lags) < 2 * MS


def test_a_request_on_a_stale_connection_is_sent_again_at_once_and_uses_no_retry() -> None:
    played = world([OK, Turn(stale=1), OK]).run()
    assert set(played.outcomes().values()) == {"ok"}
    assert [request["retries"] for request in played.requests] == [0, 1, 0]
    assert [now // MS - 1000 for _, _, now in played.issues] == [0, 1, 2, 3]
    slow = world([Turn(stale=1, latency_ms=500), OK]).run()
    assert [request["scheduled_ns"] - request["intended_ns"] for request in slow.requests] == [-500 * MS, 0]  # no lag
    busy = Turn(stale=1, status=429, retry_after_s=0.5, refusals=1)
    assert world([busy], rules=Rules(retries=1)).run().outcomes() == {(0, 0): "ok"}
    assert world([busy]).run().outcomes() == {(0, 0): "http_error"}


def test_a_request_is_resent_only_once_and_within_its_first_deadline() -> None:
    assert world([Turn(stale=2)]).run().outcomes() == {(0, 0): "connection_lost"}
    late = world([Turn(stale=1, latency_ms=500)], rules=Rules(total_s=0.6)).run()
    assert late.outcomes() == {(0, 0): "timeout_total"}
    assert late.clock.now() // MS - 1000 == 600


def test_nothing_is_sent_again_when_the_run_is_stopping() -> None:
    played = world([Turn(stale=1, latency_ms=20)]).run(stop_ms=10, grace_ms=100)
    assert played.outcomes() == {(0, 0): "connection_lost"}


# --- the end ------------------------------------------------------------------------------------------------------


def test_stopping_lets_requests_in_flight_finish_within_their_grace() -> None:
    sessions = [[Turn(latency_ms=20)] * 3, [Turn(latency_ms=100)] * 3, [Turn(latency_ms=5, delay_ms=50)] * 3, [OK]]
    played = world(*sessions, slots=3).run(stop_ms=30, grace_ms=20)
    assert played.outcomes() == {(0, 0): "ok", (0, 1): "ok", (1, 0): "cancelled"}
    counts = played.counters.to_dict()
    assert (counts["planned"], counts["never_issued"], counts["cancelled"]) == (9, 1 + 2 + 3, 1)
    assert counts["sessions_opened"] == 3


def test_aborting_gives_up_everything_at_once() -> None:
    played = world([Turn(latency_ms=100)] * 2, [Turn(delay_ms=100)], slots=2).run(abort_ms=30)
    assert played.clock.now() == 1030 * MS
    assert played.outcomes() == {(0, 0): "cancelled"}
    assert played.counters.to_dict()["never_issued"] == 2


@pytest.mark.parametrize("where", ["first", "later", "delayed", "refill"])
def test_the_first_internal_error_is_raised_and_nothing_is_left(where: str) -> None:
    played = world([OK, OK, Turn(delay_ms=5)], [OK, OK, Turn(delay_ms=5)], [OK], slots=2)
    wrong = {"first": (1, 0), "later": (0, 1), "delayed": (1, 2), "refill": (2, 0)}[where]
    original = Script.request

    def request(script: Script) -> Any:
        if (script.number, script.issued) == wrong:
            raise KeyError("a defect")
        return original(script)

    for script in played.scripts:
        script.request = request.__get__(script)  # type: ignore[method-assign]
    with pytest.raises(KeyError, match="a defect"):
        played.run()
    assert played.done == 1
    assert played.scheduler.held == 0
    assert played.clock.pending == 0


def test_an_error_of_the_recorder_is_raised_too(monkeypatch: pytest.MonkeyPatch) -> None:
    played = world([OK, OK], [OK])

    def broken(*_: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(Records, "request", broken)
    with pytest.raises(OSError, match="no space"):
        played.run()
    assert played.done == 1
    assert played.scheduler.held == 0


def test_a_late_response_is_counted_and_changes_nothing() -> None:
    played = world([Turn(latency_ms=1, late_ms=20), Turn(latency_ms=50)], [Turn(latency_ms=90)], slots=2).run()
    assert played.counters.to_dict()["late"] == 1
    assert set(played.outcomes().values()) == {"ok"}


def test_every_planned_request_ends_in_exactly_one_way() -> None:
    sessions = [[OK] * 3, [OK, Turn(outcome="http_error"), OK], [Turn(latency_ms=None)] * 2, [Turn(delay_ms=900)] * 4]
    counts = world(*sessions, slots=2).run(stop_ms=30, grace_ms=10).counters.to_dict()
    assert {key: counts[key] for key in ("succeeded", "failed", "cancelled", "skipped", "never_issued")} == {
        "succeeded": 4,
        "failed": 1,
        "cancelled": 1,
        "skipped": 1,
        "never_issued": 5,
    }
    assert counts["planned"] == 12


def test_max_sessions() -> None:
    played = world(*([OK] for _ in range(9)), rules=Rules(max_sessions=5)).run()
    assert played.counters.to_dict()["sessions_opened"] == 5


def test_a_scheduler_can_be_created_outside_an_event_loop() -> None:
    for _ in range(2):
        assert world([OK]).run().counters.balanced()


def test_memory_does_not_grow_with_the_number_of_sessions() -> None:
    played = World([], slots=8, rules=Rules(total_s=1000, first_token_s=1000))
    held = []

    def sessions() -> Any:
        for number in range(20_000):
            held.append(played.scheduler.held)
            yield Script(number, [Turn(latency_ms=1 + number % 7)] * 2)

    class Endless:
        has_bundles = False

        def __init__(self) -> None:
            self._sessions = sessions()

        def next(self) -> Script | None:
            script = next(self._sessions, None)
            if script is not None:
                played.scripts.append(script)
            return script

    played.scheduler = played.new_scheduler(Endless())
    played.run()
    assert max(held) <= 3 * 8


# --- 10,000 random worlds -----------------------------------------------------------------------------------------


def random_world(seed: int) -> tuple[list[Script], int, Rules, dict[str, float | None], Clock]:
    draw = random.Random(seed)  # noqa: S311  not secrets
    kinds = ["ok"] * 12 + ["http_error", "stream_truncated", "connect_error", "server_error", "history"]
    sessions = []
    for number in range(draw.randint(1, 8)):
        turns = [
            Turn(
                # Not 25: a response that arrives exactly at its deadline may count or not.
                latency_ms=draw.choice([None, *range(1, 25), *range(26, 40)]),
                outcome=draw.choice(kinds),
                delay_ms=draw.choice([0, 0, 0, 3, 11]),
                late_ms=draw.choice([None, None, None, 60]),
            )
            for _ in range(draw.randint(1, 4))
        ]
        parent = draw.randrange(number) if number and draw.random() < 0.2 else None
        sessions.append(Script(number, turns, parent))
    rules = Rules(total_s=0.025, time_scale=draw.choice([1.0, 1.0, 0.5]))
    ends: dict[str, float | None] = {
        "stop_ms": draw.choice([None, 20.25, 60.25]),
        "grace_ms": draw.choice([0.5, 9.5, 50.5]),
    }
    return sessions, draw.randint(1, 5), rules, ends, Clock(coarse_ns=draw.choice([0, MS // 10]))


def expected(sessions: list[Script], slots: int, rules: Rules, ends: dict[str, float | None]) -> dict[Any, Any]:
    """Expected outcomes from a sequential walk through each session: no events, no callbacks."""
    stop = ends["stop_ms"] if ends["stop_ms"] is not None else float("inf")
    cut = stop + (ends["grace_ms"] or 0)
    free = [0.0] * slots
    over: dict[int, float] = {}
    outcomes = {}
    for script in sessions:
        free.sort()
        now = free[0]
        if now >= stop:
            break
        if script.parent is not None:
            now = max(now, over.get(script.parent, 0.0))
        for index, turn in enumerate(script.script):
            now += turn.delay_ms * rules.time_scale
            if now >= stop:
                break
            if turn.outcome == "history":
                outcomes[script.number, index] = (now, "history")
                break
            latency = turn.latency_ms if turn.latency_ms is not None else float("inf")
            end = now + min(latency, 25)
            outcome = turn.outcome if latency <= 25 else "timeout_total"
            if end > cut:
                end, outcome = cut, "cancelled"
            outcomes[script.number, index] = (now, outcome)
            now = end
            if outcome != "ok":
                break
        free[0] = over[script.number] = now
    return outcomes


def test_ten_thousand_random_worlds_match_a_sequential_model() -> None:
    requests = 0
    for seed in range(10_000):
        sessions, slots, rules, ends, clock = random_world(seed)
        played = World(sessions, slots=slots, rules=rules, clock=clock).run(**ends)  # type: ignore[arg-type]
        assert played.most_open <= slots
        model = expected(sessions, slots, rules, ends)
        found = {}
        for request in played.requests:
            scheduled = (request["scheduled_ns"] - 1000 * MS) / MS
            found[request["session"], request["turn"]] = (scheduled, request["outcome"])
        assert found == model, seed
        requests += len(found)
    assert requests > 50_000
