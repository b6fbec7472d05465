"""Every request of a trace is recorded under its session and turn."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from agentgen.errors import ReplayError
from agentgen.replay.settings import load_settings
from replay_server import Received, plain, refuse, serving

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Run

TURNS = 3


def conversations(path: Path, *names: str) -> Path:
    """Recorded conversations, whose rows of the user each have a text of their own."""
    rows: list[dict[str, Any]] = []
    for name in names:
        for turn in range(TURNS):
            row = {"conversation_id": name, "turn": 2 * turn + 1, "role": "user", "content": f"{name} asks {turn}"}
            rows += [row, {**row, "turn": 2 * turn + 2, "role": "assistant", "content": f"{name} hears {turn}"}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def played(run: Run, trace: Path, url: str, *more: object, code: int = 0) -> pl.DataFrame:
    """The rows of a replay, one session after the other."""
    out = trace.parent
    command = (
        "--url",
        url,
        "--history",
        "recorded",
        "--concurrency",
        1,
        "--salt",
        "",
        "--output",
        out,
        "--name",
        "out",
        "--quiet",
    )
    run("replay", trace, *command, *more, code=code)
    return pl.read_parquet(out / "out" / "requests.parquet").sort("sent_ns")


def counts(trace: Path) -> dict[str, int]:
    summary = json.loads((trace.parent / "out" / "summary.json").read_text(encoding="utf-8"))
    found: dict[str, int] = summary["run"]["counters"]
    return found


def test_requests_are_sent_in_file_order_with_the_text_of_their_turn(run: Run, tmp_path: Path) -> None:
    """The names are not in alphabetical order, and assistant rows lie between the rows that are sent."""
    names = ("z", "a", "m")
    with serving() as server:
        rows = played(run, conversations(tmp_path / "trace.jsonl", *names), server.url)
        last = [(received.session, received.json["messages"][-1]["content"]) for received in server.requests]
        lengths = [len(received.json["messages"]) for received in server.requests]
    assert last == [(name, f"{name} asks {turn}") for name in names for turn in range(TURNS)]
    assert lengths == [1, 3, 5] * len(names)
    assert rows["session_key"].to_list() == [name for name, _ in last]
    assert rows["turn"].to_list() == [*range(TURNS)] * len(names)


def test_turns_after_a_failure_are_counted_as_skipped(run: Run, tmp_path: Path) -> None:
    async def second_fails(received: Received, writer: asyncio.StreamWriter) -> None:
        if len(received.json["messages"]) > 1:
            refuse(writer, "500 Internal Server Error")
        else:
            await plain(received, writer)

    trace = conversations(tmp_path / "trace.jsonl", "a", "b")
    with serving(second_fails) as server:
        rows = played(run, trace, server.url, code=1)
    assert rows["outcome"].to_list() == ["ok", "http_error"] * 2
    counted = counts(trace)
    assert (counted["planned"], counted["succeeded"], counted["failed"], counted["skipped"]) == (6, 2, 2, 2)


def test_answered_and_timed_out_requests_are_recorded_under_their_session_and_turn(run: Run, tmp_path: Path) -> None:
    async def last_stalls(received: Received, writer: asyncio.StreamWriter) -> None:
        if len(received.json["messages"]) == 2 * TURNS - 1:
            await asyncio.sleep(30)
        await plain(received, writer)

    trace = conversations(tmp_path / "trace.jsonl", "a")
    with serving(last_stalls) as server:
        rows = played(run, trace, server.url, "--timeout", "1s", code=1)
    assert rows["outcome"].to_list() == ["ok", "ok", "timeout_total"]
    assert rows["session_key"].to_list() == ["a"] * TURNS
    assert rows["turn"].to_list() == [*range(TURNS)]
    assert rows["first_token_ns"].is_not_null().to_list() == [True, True, False]


@pytest.mark.parametrize("name", ["X Session", "X-A\r\nX-B", "X:Y", "", "Ü", "Content-Length"])
def test_header_names_are_http_tokens(name: str) -> None:
    with pytest.raises(ReplayError, match=r"--session-header: found .*, expected"):
        load_settings(None, {"session_header": (name,)})
