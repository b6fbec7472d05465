"""Replays against the embedded server, which caches the prompts it receives and checks the ids of tool calls."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from agentgen import _native
from conftest import shared

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Run

# Shared layers, groups, restarts, and lengths that do not fill blocks; small, since every word is sent.
CONFIG = """
max_prompt_tokens: 3000
block_size: 64
cache:
  layer1_tokens: 300
  layer1_5_tokens: 200
  layer1_5_groups: {num_groups: 3}
  layer2: {mean: 150, sigma: 0.5}
new_tokens_per_turn: {mean: 120, sigma: 0.6}
generation_length: {mean: 40, sigma: 0.5, min: 1}
restart_initial_probability: 0.8
restart_turn_range: [2, 5]
"""


@contextmanager
def serving(**options: Any) -> Iterator[str]:
    """The URL of an embedded server that answers at once."""
    at_once = {"prefill_tokens_per_second": 0, "decode_tokens_per_second": 0, "debug": True}
    server = _native.Server(json.dumps(at_once | options))
    try:
        yield f"{server.url}/v1"
    finally:
        server.stop()


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import agentgen  # noqa: PLC0415

    directory = tmp_path_factory.mktemp("generated")
    (directory / "small.yaml").write_text(CONFIG)
    agentgen.write_run(directory / "run", str(directory / "small.yaml"), sessions=40)
    return directory / "run"


@pytest.mark.parametrize("block_tokens", [16, 50, 64])
@pytest.mark.parametrize(
    "mode",
    [
        ("--history", "live"),
        ("--history", "recorded"),
        ("--endpoint", "completions", "--history", "live"),
        ("--endpoint", "completions", "--prompt-mode", "token-ids"),
        ("--endpoint", "responses", "--history", "live"),
        ("--endpoint", "responses", "--history", "recorded", "--no-stream"),
        ("--endpoint", "messages", "--history", "live"),
        ("--endpoint", "messages", "--history", "recorded", "--no-stream"),
    ],
)
def test_sequential_requests_find_the_predicted_cached_tokens(
    mode: tuple[str, ...], block_tokens: int, generated: Path, run: Run, tmp_path: Path
) -> None:
    with serving(block_tokens=block_tokens) as url:
        run(
            *("replay", generated, "--url", url, "--concurrency", 1, "--time-scale", 0, *mode),
            *("--output", tmp_path, "--name", "out", "--quiet"),
        )
    requests = pl.read_parquet(tmp_path / "out" / "requests.parquet")
    assert requests.height == pl.read_parquet(generated / "dataset.parquet").height
    assert (requests["outcome"] == "ok").all()
    assert requests["reported_cached_tokens"].sum() > 0
    assert requests["reported_cached_tokens"].to_list() == requests["predicted_cached_tokens"].to_list()
    assert requests["reported_prompt_tokens"].to_list() == requests["context_tokens"].to_list()
    assert requests["reported_output_tokens"].to_list() == requests["output_tokens"].to_list()
    restarts = pl.read_parquet(generated / "dataset.parquet").filter(pl.col("is_restart"))
    assert restarts.height > 0, "the data set has continuations"


@pytest.mark.parametrize("endpoint", ["chat", "responses", "messages"])
def test_live_histories_hold_tool_calls_as_text(endpoint: str, generated: Path, run: Run, tmp_path: Path) -> None:
    """The server answers with calls only; their words are in its cache."""
    fault = ("--header", "x-agentgen-fault: tool-calls=2")
    with serving(block_tokens=16) as url:
        run(
            *("replay", generated, "--url", url, "--endpoint", endpoint, "--concurrency", 1, "--time-scale", 0),
            *("--max-sessions", 20, *fault, "--output", tmp_path, "--name", "out", "--quiet"),
        )
    requests = pl.read_parquet(tmp_path / "out" / "requests.parquet")
    assert (requests["outcome"] == "ok").all()
    calls = requests.filter(pl.col("turn") > 0)
    assert calls.height > 0
    cached = requests["reported_cached_tokens"].to_list()
    assert cached == requests["predicted_cached_tokens"].to_list()


def test_predictions_keep_one_cache_per_server(generated: Path, run: Run, tmp_path: Path) -> None:
    with serving(block_tokens=64) as one, serving(block_tokens=64) as other:
        run(
            *("replay", generated, "--url", one, "--url", other, "--concurrency", 1, "--time-scale", 0),
            *("--history", "recorded", "--output", tmp_path, "--name", "out", "--quiet"),
        )
    requests = pl.read_parquet(tmp_path / "out" / "requests.parquet")
    assert requests["url"].n_unique() == 2
    assert requests["reported_cached_tokens"].to_list() == requests["predicted_cached_tokens"].to_list()


def messages(run: Run, tmp_path: Path, url: str, history: str, code: int = 0) -> pl.DataFrame:
    """Replay recorded conversations with tools."""
    trace = shared("mlperf/agentic_coding_2.5h.jsonl")
    more = ("--time-scale", 0, "--output", tmp_path, "--name", "out", "--quiet")
    run("replay", trace, "--url", url, "--history", history, *more, code=code)
    return pl.read_parquet(tmp_path / "out" / "requests.parquet")


def test_recorded_tool_calls_pass_a_server_that_checks_ids(run: Run, tmp_path: Path) -> None:
    """The server refuses results whose ids the message before does not have, and calls without results."""
    with serving() as url:
        requests = messages(run, tmp_path, url, "recorded")
    assert requests.height == 1_007
    assert set(requests["outcome"]) == {"ok"}


def test_live_tool_calls_get_results_under_their_own_ids(run: Run, tmp_path: Path) -> None:
    """The server calls one tool in each answer, under a new id; a session whose trace continues otherwise fails."""
    with serving(tool_calls=1) as url:
        requests = messages(run, tmp_path, url, "live", code=1)
    assert set(requests["outcome"]) <= {"ok", "history"}, requests["message"].unique().to_list()
    succeeded = requests.filter(pl.col("outcome") == "ok")
    # Most turns of the trace have one result: their sessions go far.
    assert succeeded.height > 200
    assert not requests["status"].is_in([400]).any()
    failed = requests.filter(pl.col("outcome") == "history")
    assert failed["session"].n_unique() == failed.height
    assert failed["message"].str.contains("the answer before calls").all()
