"""Replays against real engines with a tiny random model: vLLM and llama.cpp on the CPU.

`make test-engines` installs them and says where they are; elsewhere these tests skip.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import agentgen
import polars as pl
import pytest
from conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Run

HERE = Path(__file__).parent
CONTEXT_TOKENS = 4096
BLOCK_TOKENS = 32  # of vLLM's cache
START_S = 300
RUNNING = {"vllm": "vllm:num_requests_running", "llama.cpp": "llamacpp:requests_processing"}
GENERATED = {"vllm": "vllm:generation_tokens_total", "llama.cpp": "llamacpp:tokens_predicted_total"}

# An engine takes a minute or two to start.
pytestmark = pytest.mark.timeout(2 * START_S)

# Shared layers, groups, restarts; 58 requests that fit the model with all that a chat template adds.
CONFIG = """
max_prompt_tokens: 2500
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


@dataclass(frozen=True)
class Engine:
    """A running engine."""

    name: str
    url: str
    tokenizer: Path

    def metric(self, names: dict[str, str]) -> float:
        """A Prometheus metric, by this engine's name for it."""
        with urllib.request.urlopen(f"{self.url}/metrics") as page:  # noqa: S310
            lines = page.read().decode().splitlines()
        (value,) = (line.split()[-1] for line in lines if re.split("[{ ]", line)[0] == names[self.name])
        return float(value)


@pytest.fixture(scope="module")
def python() -> str:
    """The Python interpreter with the engines installed."""
    named = os.environ.get("AGENTGEN_ENGINES")
    if not named:
        pytest.skip("no engines: `make test-engines` installs vLLM and llama.cpp")
    return named


@pytest.fixture(scope="module")
def model(python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "tiny"
    subprocess.run([python, HERE / "model.py", folder, str(CONTEXT_TOKENS)], check=True)
    return folder


@pytest.fixture(scope="module", params=["vllm", "llama.cpp"])
def engine(request: pytest.FixtureRequest, python: str, model: Path, tmp_path_factory: Any) -> Iterator[Engine]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    if request.param == "vllm":
        # Not `vllm serve`: it asks for the version of a package called vllm.
        command = [python, "-m", "vllm.entrypoints.openai.api_server", "--model", model, "--served-model-name", "tiny"]
        command += ["--host", "127.0.0.1", "--port", port, "--dtype", "float32", "--block-size", BLOCK_TOKENS]
        command += ["--enforce-eager", "--enable-prompt-tokens-details"]  # the latter reports cached tokens
        command += ["--enable-auto-tool-choice", "--tool-call-parser", "hermes"]  # without these, tools are refused
    else:
        command = [python, HERE / "llama_server.py", model / "model.gguf", port, CONTEXT_TOKENS]
    url = f"http://127.0.0.1:{port}"
    with serving([str(part) for part in command], url, tmp_path_factory.mktemp("engine") / "log"):
        yield Engine(request.param, url, model / "tokenizer.json")


@contextmanager
def serving(command: list[str], url: str, log: Path) -> Iterator[None]:
    """Run a server and the processes it starts; yield when it answers."""
    # No network access and no usage reports; the CPU package finds no CUDA device.
    settings = {"VLLM_TARGET_DEVICE": "cpu", "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1"}
    environment = {**os.environ, **settings, "VLLM_NO_USAGE_STATS": "1", "PYTHONPATH": ""}
    with log.open("wb") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output, env=environment, start_new_session=True)
    try:
        for _ in range(START_S):
            with suppress(urllib.error.URLError, ConnectionError), urllib.request.urlopen(f"{url}/v1/models"):  # noqa: S310
                break
            if server.poll() is not None:
                break
            time.sleep(1)
        else:
            pytest.fail(f"no answer within {START_S} s: {log.read_text(errors='replace')[-3000:]}")
        assert server.poll() is None, log.read_text(errors="replace")[-3000:]
        yield
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            server.wait(30)
        with suppress(ProcessLookupError):  # processes that the server has left
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("generated")
    (directory / "small.yaml").write_text(CONFIG)
    agentgen.write_run(directory / "run", str(directory / "small.yaml"), sessions=6, seed=7)
    return directory / "run"


@dataclass(frozen=True)
class Played:
    """Results of a replay."""

    summary: dict[str, Any]
    requests: pl.DataFrame

    @property
    def run(self) -> dict[str, Any]:
        run: dict[str, Any] = self.summary["run"]
        return run


def play(run: Run, trace: Path, engine: Engine, tmp_path: Path, *options: object) -> Played:
    """Replay a trace; every request succeeds with an output of the trace's length."""
    more = (
        "--request-json",
        '{"ignore_eos": true, "temperature": 0}',
        "--output",
        tmp_path,
        "--name",
        "out",
        "--quiet",
    )
    run("replay", trace, "--url", engine.url, "--time-scale", 0, *more, *options)
    out = tmp_path / "out"
    played = Played(json.loads((out / "summary.json").read_text()), pl.read_parquet(out / "requests.parquet"))
    assert set(played.requests["outcome"]) == {"ok"}
    counts = played.run["counters"]
    assert counts["balanced"]
    assert counts["planned"] == counts["succeeded"] == played.requests.height > 0
    assert set(played.requests["finish_reason"]) == {"length"}
    assert played.run["malformed_events"] == 0
    assert not played.summary["incomplete"]
    return played


def test_a_chat_with_live_history(engine: Engine, generated: Path, run: Run, tmp_path: Path) -> None:
    played = play(run, generated, engine, tmp_path, "--concurrency", 1, "--tokenizer", engine.tokenizer)
    requests = played.requests
    assert requests.height == 58
    assert requests["reported_output_tokens"].to_list() == requests["output_tokens"].to_list()
    # Several tokens may form one piece of text, and so one event.
    assert (requests["output_events"] <= requests["output_tokens"]).all()
    assert (requests["ttft_ms"] > 0).all()
    assert (requests["ttft_ms"] <= requests["e2e_ms"]).all()
    # The chat template adds tokens to each message, and answers are tokenised again: more tokens than in the trace.
    assert (requests["reported_prompt_tokens"] > requests["context_tokens"]).all()
    cache = played.run["cache"]
    assert cache["cache_source"] == "usage"
    assert 0.5 < cache["reported"]["hit_rate"] < 1
    assert cache["server_tokenizes"]  # the prediction does not know what the template adds


def test_responses_without_streaming(engine: Engine, generated: Path, run: Run, tmp_path: Path) -> None:
    played = play(run, generated, engine, tmp_path, "--max-sessions", 2, "--no-stream", "--tokenizer", engine.tokenizer)
    assert played.requests["ttft_ms"].null_count() == played.requests.height
    assert (played.requests["e2e_ms"] > 0).all()
    assert played.requests["reported_output_tokens"].to_list() == played.requests["output_tokens"].to_list()
    assert played.run["retries"] == 0


@pytest.mark.parametrize("prompts", ["words", "ids"])
def test_prompts_of_exact_length_find_what_was_predicted(
    engine: Engine, prompts: str, generated: Path, run: Run, tmp_path: Path
) -> None:
    mode = ("--prompt-mode", "token-ids") if prompts == "ids" else ("--tokenizer", engine.tokenizer)
    more = ("--endpoint", "completions", "--history", "recorded", "--concurrency", 1)
    played = play(run, generated, engine, tmp_path, *more, *mode)
    requests = played.requests
    assert requests["reported_prompt_tokens"].to_list() == requests["context_tokens"].to_list()
    reported, predicted = requests["reported_cached_tokens"].fill_null(0), requests["predicted_cached_tokens"]
    assert reported.sum() > 0
    if engine.name == "vllm":
        # Blocks of 32 tokens by its metrics, and none evicted: equal to the infinite cache of the prediction.
        assert reported.to_list() == predicted.to_list()
        server = played.run["cache"]["server"]
        assert (server["prompt_tokens"], server["cached_tokens"]) == (
            requests["reported_prompt_tokens"].sum(),
            reported.sum(),
        )
    else:
        # llama.cpp compares a prompt with the prompts of its slots, token by token: it can find fewer tokens than a
        # cache of blocks, and up to a partial block more (blocks of 16 tokens unless the server states another size).
        assert (reported < predicted + 16).all()
        # A turn finds the whole prompt of the turn before.
        before = requests["context_tokens"].shift(1)
        assert (reported >= before).filter(requests["turn"] > 0).all()


def test_several_sessions_at_once(engine: Engine, generated: Path, run: Run, tmp_path: Path) -> None:
    played = play(run, generated, engine, tmp_path, "--concurrency", 4, "--workers", 2, "--tokenizer", engine.tokenizer)
    assert played.requests.height == 58
    assert played.run["cache"]["reported"]["hit_rate"] > 0


def test_a_recorded_conversation_with_tools(engine: Engine, run: Run, tmp_path: Path) -> None:
    trace = ROOT / "docs" / "examples" / "lighthouse.jsonl"
    played = play(run, trace, engine, tmp_path, "--history", "recorded", "--concurrency", 1)
    requests = played.requests
    assert requests.height == 5
    first, second = requests.filter(pl.col("session") == 0).sort("turn")["reported_prompt_tokens"][:2]
    assert second > first > 100  # tools and results are in the prompts
    assert (requests["ttft_ms"] > 0).all()


def test_an_engine_stops_cancelled_requests(engine: Engine, run: Run, tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    trace.write_text('{"session_id": "s", "input_length": 64, "output_length": 4000, "hash_ids": [1]}\n')
    before = engine.metric(GENERATED)
    stated = ("--trace-block-size", 64, "--timeout", "500ms", "--request-json", '{"ignore_eos": true}')
    run("replay", trace, "--url", engine.url, *stated, "--output", tmp_path, "--name", "out", code=1)
    requests = pl.read_parquet(tmp_path / "out" / "requests.parquet")
    assert requests["outcome"].to_list() == ["timeout_total"]
    while engine.metric(RUNNING):  # until the time limit of the test
        time.sleep(0.1)
    assert engine.metric(GENERATED) - before < 4000


def test_a_request_above_the_length_limit_is_refused_before_the_run(engine: Engine, run: Run, tmp_path: Path) -> None:
    agentgen.write_run(tmp_path / "long", sessions=1)
    done = run("replay", tmp_path / "long", "--url", engine.url, "--dry-run", code=2)
    assert f"expected at most the model's {CONTEXT_TOKENS:,}" in done.stderr
