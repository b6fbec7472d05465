"""Text output of `agentgen replay` before, during and after a run, on a terminal and elsewhere."""

from __future__ import annotations

import io
import json
import os
import re
from typing import TYPE_CHECKING, Any

import pytest
from agentgen import _native
from agentgen.replay import progress as progress_module
from agentgen.replay.counters import CELLS, FAILED, IN_FLIGHT, OPENED, SUCCEEDED, Counters
from agentgen.replay.figures import Summary
from agentgen.replay.progress import Progress
from agentgen.replay.supervise import WorkersState
from agentgen.text import layout
from conftest import ROOT, shared
from replay_server import Received, plain, refuse, serving
from replayed import replayed
from small_traces import BLOCK, summary_of, write_trace

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Invoke, Run


def clauses() -> Iterator[str]:
    yield "59.3 % of prompt tokens cached, by the server's metrics before and after, and now some more words;"
    yield "two words"
    yield "http://a-very-long-name-of-a-server-that-nobody-would-want-to-have-cut-in-the-middle.example:8000/v1"


def test_lines_break_between_clauses_then_between_words() -> None:
    lines = layout.plain(layout.Clauses(clauses(), first="cache       ", rest=" " * 12)).splitlines()
    words = " ".join(clauses()).split()
    assert [word for line in lines for word in line.removeprefix("cache").split()] == words
    assert all(len(line) <= 80 or len(line.split()) == 1 for line in lines)
    assert any(line.endswith("two words") for line in lines)


def test_a_cache_from_metrics_fits_80_columns(tmp_path: Path) -> None:
    counters = {"before": {"queries": 0.0, "hits": 0.0}, "after": {"queries": 1e6, "hits": 593_000.0}}
    summary = replayed(tmp_path, server_cache=counters)
    cache = {**summary["run"]["cache"], "reported": None, "cache_source": "metrics"}
    lines = str(Summary(json.dumps({**summary, "run": {**summary["run"], "cache": cache}}))).splitlines()
    assert max(map(len, lines)) <= 80
    assert "from the server's metrics before and after" in " ".join(line.strip() for line in lines)


def test_a_busy_embedded_server_is_an_overload(tmp_path: Path) -> None:
    summary = replayed(tmp_path)
    run = summary["run"]
    capacity = _native.PREFILL_TOKENS_PER_SECOND * run["full"]["duration_ms"] / 1000

    def text(share: float, *, embedded: bool = True) -> str:
        reported = {**run["cache"]["reported"], "prompt_tokens": share * capacity + 1000, "cached_tokens": 1000}
        cache = {**run["cache"], "reported": reported}
        settings = {**summary["settings"], "embedded_server": embedded}
        return str(Summary(json.dumps({**summary, "settings": settings, "run": {**run, "cache": cache}})))

    busy = text(0.97)
    assert " ".join(busy.split()).startswith("overload: prefill was busy 97.0 % of the time: requests waited")
    assert max(map(len, busy.splitlines())) <= 80
    for other in (text(0.9), text(0.97, embedded=False)):
        assert "overload" not in other
        assert other.startswith("trace ")


class Screen(io.StringIO):
    """A stream that is a terminal or not."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def written(output: str) -> str:
    """What a terminal shows: the text after the last time that the line was erased, without control sequences."""
    return re.sub(r"\r|\x1b\[[0-9;?]*[A-Za-z]", "", output.rpartition("\x1b[2K")[2])


def going(*, sessions: int, succeeded: int, failed: int) -> WorkersState:
    """The state of a worker during a run."""
    cells = memoryview(bytearray(8 * CELLS)).cast("q")
    counters = Counters(cells, "run")
    for name, count in ((OPENED, sessions), (SUCCEEDED, succeeded), (FAILED, failed), (IN_FLIGHT, sessions)):
        counters.counts[name] = count
    counters.recent_us[0] = 51_400
    return WorkersState(cells=[cells])


def test_progress_on_a_terminal_is_one_line_of_the_clauses_that_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    for columns, expected in (
        (80, "run: 1 session open, 0 closed, 1 request (0/s), 1 failed, TTFT p50 51.4 ms"),
        (60, "run: 1 session open, 0 closed, 1 request (0/s), 1 failed"),
    ):
        monkeypatch.setenv("COLUMNS", str(columns))
        screen = Screen(terminal=True)
        shown = Progress(screen)
        shown("run", going(sessions=1, succeeded=0, failed=1))
        shown.close()
        assert written(screen.getvalue()) == f"{expected}\n"
        assert len(expected) < columns


def test_progress_without_a_terminal_is_lines_without_trailing_blanks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "LINE_EVERY_S", 0.0)
    screen = Screen(terminal=False)
    shown = Progress(screen)
    for count in (123_456, 1):  # a shorter line after a longer one
        shown("run", going(sessions=count, succeeded=count, failed=count))
    shown.close()
    lines = screen.getvalue().split("\n")
    assert "\r" not in screen.getvalue()
    assert all(line == line.rstrip() and len(line) <= 80 for line in lines)
    assert "run: 123,456 sessions open, 0 closed, 246,912 requests (0/s), 123,456 failed," in lines


def test_a_run_goes_on_when_nobody_reads_the_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "LINE_EVERY_S", 0.0)
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "w") as closed:
        shown = Progress(closed)
        for _ in range(2):
            shown("run", going(sessions=1, succeeded=1, failed=0))
        shown.close()
        os.dup2(os.open(os.devnull, os.O_WRONLY), theirs)  # what was not written is lost at the end


def test_an_interrupt_of_the_summary_names_the_missing_file(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(_native, "summarize", interrupted)
    with serving() as server:
        trace = write_trace(tmp_path / "trace.jsonl", 1, 1)
        printed = invoke("replay", trace, *options(server.url, tmp_path, "--quiet"), code=130).stderr
    assert printed.strip() == f"agentgen: error: interrupted; {tmp_path / 'out'} has no summary.json"


@pytest.mark.parametrize("name", ["a/b", "..", "-a", "a\nb", ""])
def test_the_name_of_a_run_is_printable_and_has_no_path(name: str, invoke: Invoke, tmp_path: Path) -> None:
    trace = write_trace(tmp_path / "trace.jsonl", 1, 1)
    printed = invoke("replay", trace, f"--name={name}", "--output", tmp_path, code=2).stderr
    assert "expected a printable name without a path" in printed
    assert len(printed.splitlines()) == 1


def options(url: str, tmp_path: Path, *more: object) -> list[object]:
    return ["--url", url, "--trace-block-size", BLOCK, "--output", tmp_path, "--name", "out", *more]


def test_plural_forms(run: Run, tmp_path: Path) -> None:
    trace = write_trace(tmp_path / "trace.jsonl", 1, 1)
    with serving() as server:
        limits = ("--concurrency", 1, "--max-sessions", 1, "--duration", "90s")
        done = run("replay", trace, *options(server.url, tmp_path, *limits))
    assert "trace       1 session, 1 request, 32 prompt and 4 output tokens," in done.stderr
    assert "closed loop, 1 open session, 1 worker, at most 1 session" in done.stderr
    assert "duration    at most 1 min 30 s, then 30 s for requests in flight" in done.stderr
    text = done.stdout + done.stderr
    for wrong in ("1 sessions", "1 requests", "1 workers", "1 open sessions"):
        assert f" {wrong}" not in text
    assert max(map(len, text.replace(str(tmp_path), "").splitlines())) <= 80


def test_a_dry_run_fits_80_columns_and_breaks_no_name(invoke: Invoke, tmp_path: Path) -> None:
    trace = write_trace(tmp_path / "trace.jsonl", 12, 3, delay_ms=500)
    with serving() as server, serving() as other:
        server.models = other.models = [{"id": "a-model-of-a-long-name-with-many-hyphens-in-it-and-more"}]
        printed = invoke("replay", trace, *options(server.url, tmp_path, "--url", other.url, "--dry-run")).output
    assert max(map(len, printed.splitlines())) <= 80
    assert "model a-model-of-a-long-name-with-many-hyphens-in-it-and-more" in printed
    assert "duration    at least 1 s of delays and arrivals, plus response times" in printed
    invoke("replay", trace, "--dry-run", "--trace-block-size", BLOCK, "--time-scale", 0)


def test_failed_sessions_are_counted_by_cause(run: Run, tmp_path: Path) -> None:
    """The only server closes its connections after some requests, so the remaining sessions fail."""
    trace = write_trace(tmp_path / "trace.jsonl", 12, 3)

    async def dying(received: Received, writer: asyncio.StreamWriter) -> None:
        if len(server.requests) <= 6:
            await plain(received, writer)
        elif len(server.requests) <= 8:
            refuse(writer, "500 Internal Server Error")
        else:
            writer.close()

    with serving(dying) as server:
        done = run("replay", trace, *options(server.url, tmp_path, "--concurrency", 1), code=1)
    assert summary_of(tmp_path / "out")["run"]["outcomes"] == {"ok": 6, "http_error": 2, "connection_lost": 8}
    lines = done.stderr.splitlines()
    assert "agentgen: warning: 2 sessions failed with http_error 500, such as: HTTP 500: not today" in lines
    assert any(
        line.startswith("agentgen: warning: 8 sessions failed with connection_lost, such as: the server closed")
        for line in lines
    )


def test_a_run_without_successful_requests_has_a_warning(invoke: Invoke, tmp_path: Path) -> None:
    trace = write_trace(tmp_path / "trace.jsonl", 2, 1)
    with serving() as server:
        late = ("--session-rate", 1e-6, "--duration", "1ms")
        printed = invoke("replay", trace, *options(server.url, tmp_path, *late), code=1).output
        assert not server.requests
    assert "warning: run: no request succeeded: nothing was measured" in printed
    assert "of the median time to first token" not in printed


def two_sizes(path: Path) -> Path:
    """Write a trace in which id 1 names a partial block, then a full one."""
    rows: list[dict[str, Any]] = [
        {"session_id": "a", "input_length": 24, "output_length": 4, "hash_ids": [0, 1], "timestamp": 0},
        {"session_id": "b", "input_length": 48, "output_length": 4, "hash_ids": [0, 1, 2], "timestamp": 0},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_a_trace_whose_prompts_would_change_is_refused(invoke: Invoke, tmp_path: Path) -> None:
    trace = two_sizes(tmp_path / "trace.jsonl")
    with serving() as server:
        printed = invoke("replay", trace, *options(server.url, tmp_path), code=2).stderr
        assert not server.requests
    assert printed == (
        f"agentgen: error: {trace}:2: found id 1 with 16 tokens, with 8 tokens in line 1; expected one size per id in "
        "the whole data set (id-size; agentgen validate lists 1 error)\n"
    )
    assert not (tmp_path / "out").exists()


def test_a_trace_with_too_many_errors_is_refused(invoke: Invoke, tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    row = {"session_id": "s", "input_length": 8, "output_length": 1, "timestamp": 0, "hash_ids": [1, 1]}
    rows = [row | {"session_id": f"s{number}", "hash_ids": [number, number]} for number in range(1001)]
    trace.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    printed = invoke("replay", trace, "--trace-block-size", 4, "--dry-run", code=2).stderr
    assert re.search(
        r"found 1,\d+ errors, expected 1,000 or fewer \(agentgen validate lists 1,\d+ errors\)$", printed.strip()
    )


def test_ids_of_two_sizes_in_restarts_are_refused(invoke: Invoke) -> None:
    printed = invoke("replay", shared("aiperf/restarts_120s.jsonl"), "--dry-run", code=2).stderr
    assert "restarts_120s.jsonl:548: found id 248071 with 512 tokens, with 225 tokens in line 169" in printed
    assert len(printed.splitlines()) == 1


def test_lengths_of_messages_are_approximate_on_every_server(invoke: Invoke, tmp_path: Path) -> None:
    lighthouse = ROOT / "docs" / "examples" / "lighthouse.jsonl"
    more = ("--history", "recorded", "--time-scale", 0, "--request-json", '{"max_tokens": 1}')
    printed = invoke("replay", lighthouse, *more, "--output", tmp_path, "--name", "out").output
    assert "(embedded)" in printed
    assert summary_of(tmp_path / "out")["trace"]["tokens"] == "approximate"


def test_other_errors_of_a_trace_are_warnings(invoke: Invoke, tmp_path: Path) -> None:
    trace = write_trace(tmp_path / "trace.jsonl", 2, 2)
    rows = [json.loads(line) for line in trace.read_text(encoding="utf-8").splitlines()]
    rows[3]["hash_ids"][0] = rows[0]["hash_ids"][0]
    trace.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with serving() as server:
        printed = invoke("replay", trace, *options(server.url, tmp_path, "--salt", "x")).output
    (warning,) = [text for text in summary_of(tmp_path / "out")["warnings"] if "invalid" in text]
    assert warning.startswith("the trace is invalid (agentgen validate lists 1 error); the first error is ")
    assert "error[id-reused]" in warning
    assert printed.count("the trace is invalid") == 2, "before and after the run"


def test_a_directory_without_a_data_set_is_refused(invoke: Invoke, tmp_path: Path) -> None:
    """`replay` and `validate` give the same error."""
    expected = (
        f"{tmp_path}: found no data set, expected a directory that agentgen generate wrote (dataset.parquet, "
        "dataset.jsonl, dataset.jsonl.zst, dataset.jsonl.gz in it) or a trace's file"
    )
    for command in ("replay", "validate"):
        assert invoke(command, tmp_path, code=2).stderr == f"agentgen: error: {expected}\n"
    messages = tmp_path / "messages.jsonl"
    messages.write_text('{"conversation_id": "a", "turn": 1, "role": "user", "content": "hello"}\n')
    for command in ("replay", "validate"):
        assert invoke(command, tmp_path, code=2).stderr == f"agentgen: error: {expected} such as {messages}\n"
    dataset = tmp_path / "dataset.jsonl"
    messages.rename(dataset)
    for command in ("replay", "validate"):
        printed = invoke(command, tmp_path, code=2).stderr
        assert f"{dataset}: found multi-turn messages" in printed
        assert "validate and replay take multi-turn messages" in printed
