"""What is played of a trace, and when: too long requests, samples, windows of time, ramp-up, warm-up."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from agentgen import _native
from replay_server import serving
from small_traces import BLOCK, options, summary_of, write_trace

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Invoke, Run


def rows(path: Path, *stated: dict[str, Any]) -> Path:
    """A trace of rows; each has blocks of its own."""
    first = 0
    lines = []
    for row in stated:
        blocks = -(-row["input_length"] // BLOCK)
        lines.append(json.dumps({"output_length": 4, **row, "hash_ids": [*range(first, first + blocks)]}))
        first += blocks
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def uneven(tmp_path: Path) -> Path:
    """Three sessions of three turns; the second turn of `b` and the first of `c` are long."""
    lengths = {"a": (16, 16, 16), "b": (16, 160, 16), "c": (160, 16, 16)}
    turns = [
        {"session_id": name, "input_length": length, **({"delay": 0} if turn else {"timestamp": 0})}
        for name, stated in lengths.items()
        for turn, length in enumerate(stated)
    ]
    return rows(tmp_path / "uneven.jsonl", *turns)


@pytest.mark.parametrize(
    ("too_long", "sent", "left_out"),
    [
        ("skip-session", {"a": 3}, {"skipped_sessions": 2, "truncated_sessions": 0, "too_long_requests": 6}),
        (
            "truncate-session",
            {"a": 3, "b": 1},
            {"skipped_sessions": 1, "truncated_sessions": 1, "too_long_requests": 5},
        ),
    ],
)
def test_sessions_with_a_request_that_is_too_long(
    too_long: str, sent: dict[str, int], left_out: dict[str, int], uneven: Path, run: Run, tmp_path: Path
) -> None:
    with serving() as server:
        server.models = [{"id": "m", "max_model_len": 100}]
        refused = run("replay", uneven, *options(server.url, tmp_path), code=2)
        assert "--too-long skip-session leaves such sessions out" in refused.stderr
        played = run("replay", uneven, *options(server.url, tmp_path, "--too-long", too_long))
        found: dict[str, int] = {}
        for received in server.requests:
            found[received.session] = found.get(received.session, 0) + 1
    assert found == sent
    summary = summary_of(tmp_path / "out")
    assert summary["left_out"] == {"unselected_sessions": 0, **left_out}
    assert summary["run"]["counters"]["planned"] == sum(sent.values()) == summary["trace"]["requests"]
    (warning,) = (text for text in summary["warnings"] if "are longer than the model's 100 tokens" in text)
    assert warning in " ".join(played.stdout.split())


def test_nothing_that_the_server_takes_is_an_error(uneven: Path, invoke: Invoke, tmp_path: Path) -> None:
    with serving() as server:
        server.models = [{"id": "m", "max_model_len": 10}]
        more = options(server.url, tmp_path, "--too-long", "skip-session", "--dry-run")
        result = invoke("replay", uneven, *more, code=2)
    assert (
        "found no requests to send (0 sessions outside --sample, --from and --until, 3 with too long" in result.stderr
    )


def test_what_continues_a_session_that_is_left_out_is_left_out_too(small_run: Path) -> None:
    """A third of the sessions continue another one; the longest request of these is that of a continued session."""
    whole = json.loads(_describe(small_run))
    limit = whole["max_request_tokens"] - 1
    kept = json.loads(_describe(small_run, max_request_tokens=limit))
    cut = json.loads(_describe(small_run, max_request_tokens=limit, truncates=True))
    for one in (kept, cut):
        left = one["left_out"]
        assert one["max_request_tokens"] <= limit
        assert one["requests"] + left["too_long_requests"] == whole["requests"]
        assert one["sessions"] + left["skipped_sessions"] == whole["sessions"]
    assert cut["left_out"]["truncated_sessions"] >= 1
    assert cut["requests"] > kept["requests"]


def _describe(trace: Path, **selection: Any) -> str:
    return _native.describe_replay(trace, selection=json.dumps(selection))


def test_a_sample_holds_whole_trees(small_run: Path) -> None:
    half = json.loads(_describe(small_run, sample=0.5))
    assert 0 < half["sessions"] < 40
    assert half["sessions"] + half["left_out"]["unselected_sessions"] == json.loads(_describe(small_run))["sessions"]
    stated: dict[str, Any] = {
        "endpoint": "chat",
        "prompt_mode": "text",
        "history": "recorded",
        "salt": "",
        "words": None,
    }
    stated |= {"model": "m", "stream": True, "request": {}, "max_tokens_field": "auto", "is_linked": True}
    stated |= {"transcripts": None, "trace_block_size": None, "selection": {"sample": 0.5}}
    source = _native.ReplaySource(small_run, json.dumps(stated))
    numbers, parents = set(), set()
    while (session := source.next()) is not None:
        numbers.add(session.number)
        parents |= {session.parent} - {None}
    assert len(numbers) == half["sessions"]
    assert parents <= numbers, "a session continues one that is in the sample"


def arrivals(tmp_path: Path, *times: float | None) -> Path:
    stated = [
        {"session_id": f"s{at}", "input_length": 16, **({} if time is None else {"timestamp": time})}
        for at, time in enumerate(times)
    ]
    return rows(tmp_path / "arrivals.jsonl", *stated)


def offsets(directory: Path) -> list[float]:
    """When requests were scheduled after the first one, ms."""
    lines = (directory / "records" / "worker-0.jsonl").read_text(encoding="utf-8").splitlines()
    found = sorted(one["request"]["scheduled_ns"] for one in map(json.loads, lines) if "request" in one)
    return [(time - found[0]) / 1e6 for time in found]


EPOCH = 1_757_894_400_000


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ((), [0, 100, 300]),
        (("--time-scale", 0.5), [0, 50, 150]),
        (("--time-scale", 0), [0, 0, 0]),
        (("--from", "100ms"), [0, 200]),
        (("--until", "300ms"), [0, 100]),
        (("--from", "50ms", "--until", "200ms"), [0]),
    ],
)
def test_times_count_from_the_earliest_arrival(
    more: tuple[str, ...], expected: list[float], run: Run, tmp_path: Path
) -> None:
    trace = arrivals(tmp_path, EPOCH + 100, EPOCH, EPOCH + 300)
    given = ("--trace-block-size", BLOCK, "--output", tmp_path, "--name", "out", *more)
    with serving() as server:
        run("replay", trace, "--url", server.url, *given)
    assert offsets(tmp_path / "out") == expected
    warnings = summary_of(tmp_path / "out")["warnings"]
    assert f"the trace's first arrival is at {EPOCH:,} ms; times count from it" in warnings


def test_sessions_without_a_timestamp_are_named(invoke: Invoke, tmp_path: Path) -> None:
    trace = arrivals(tmp_path, None, EPOCH, EPOCH + 10)
    shown = invoke("replay", trace, "--trace-block-size", BLOCK, "--dry-run").stdout
    assert "1 of 3 sessions have no timestamp and start at once" in " ".join(shown.split())


def test_a_window_of_time_needs_arrivals(invoke: Invoke, tmp_path: Path) -> None:
    trace = write_trace(tmp_path / "trace.jsonl", 2, 1)
    result = invoke("replay", trace, "--trace-block-size", BLOCK, "--from", "1s", "--dry-run", code=2)
    assert "--from, --until: found a trace without arrival times" in result.stderr
    result = invoke("replay", trace, "--trace-block-size", BLOCK, "--from", "2s", "--until", "1s", code=2)
    assert "--from, --until: found a window of time without an arrival" in result.stderr


@pytest.mark.parametrize("workers", [1, 2])
def test_a_ramp_up_starts_the_first_sessions_one_after_the_other(workers: int, run: Run, tmp_path: Path) -> None:
    trace = write_trace(tmp_path / "trace.jsonl", 8, 1)
    with serving() as server:
        given = options(server.url, tmp_path, "--ramp-up", "200ms", "--workers", workers)
        given[given.index("--concurrency") + 1] = 4
        run("replay", trace, *given)
    found = []
    for file in sorted((tmp_path / "out" / "records").iterdir()):
        lines = file.read_text(encoding="utf-8").splitlines()
        found += [one["request"]["scheduled_ns"] for one in map(json.loads, lines) if "request" in one]
    times = sorted((time - min(found)) / 1e6 for time in found)
    assert len(times) == 8
    assert times[:2] == [0, 50]
    assert {100, 150} <= set(times[2:])
    assert min(times[2:]) == 100


def test_a_ramp_up_needs_a_closed_loop(invoke: Invoke, tmp_path: Path) -> None:
    trace = arrivals(tmp_path, 0, 10)
    given = ("replay", trace, "--trace-block-size", BLOCK, "--ramp-up", "1s", "--dry-run")
    assert "--ramp-up: found the trace's arrival times" in invoke(*given, code=2).stderr
    assert "found both, expected one" in invoke(*given, "--session-rate", 1, code=2).stderr


def test_sessions_of_the_warm_up_have_keys_of_their_own(run: Run, tmp_path: Path) -> None:
    trace = write_trace(tmp_path / "trace.jsonl", 3, 1)
    with serving() as server:
        run("replay", trace, *options(server.url, tmp_path, "--warmup-sessions", 2))
        assert sorted(received.session for received in server.requests) == ["s0", "s1", "s2", "warmup-s0", "warmup-s1"]
