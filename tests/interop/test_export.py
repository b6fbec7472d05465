"""AIPerf's loaders understand what `agentgen export` writes, and `aiperf profile` plays it to the end."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiperf.common import random_generator
from aiperf.common.models import Conversation
from aiperf.common.tokenizer import Tokenizer
from aiperf.dataset.generator.prompt import PromptGenerator
from aiperf.dataset.loader.bailian_trace import BailianTraceDatasetLoader
from aiperf.dataset.loader.dag_jsonl import DagJsonlLoader
from aiperf.dataset.loader.mooncake_trace import MooncakeTraceDatasetLoader
from aiperf.dataset.loader.multi_turn import MultiTurnDatasetLoader
from aiperf.dataset.loader.weka_trace import WekaTraceLoader
from conftest import agentgen, rows

BLOCK = 16
SESSIONS = 8


CONFIG = Path(__file__).parents[1] / "linked.json"


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with breaks and sub-agents."""
    directory = tmp_path_factory.mktemp("linked")
    options = ("--sessions", str(SESSIONS), "--seed", "3", "--format", "jsonl", "--quiet", "--no-pages")
    agentgen("generate", "--config", CONFIG, *options, "--output", directory, "--name", "run")
    return directory / "run"


@pytest.fixture(scope="module")
def original(trace: Path) -> dict[str, list[dict[str, Any]]]:
    """The rows of each session."""
    grouped: dict[str, list[dict[str, Any]]] = {}
    for row in rows(trace / "dataset.jsonl"):
        grouped.setdefault(row["session_id"], []).append(row)
    assert {row.get("link") for session in grouped.values() for row in session} == {None, "break", "subagent"}
    return grouped


Export = Callable[..., Path]


@pytest.fixture(scope="module")
def export(trace: Path, tmp_path_factory: pytest.TempPathFactory) -> Export:
    def write(to: str, *options: str) -> Path:
        target = tmp_path_factory.mktemp(to) / ("out" if to == "weka_trace" else "out.jsonl")
        agentgen("export", trace, "--to", to, "-o", target, *options)
        return target

    return write


@pytest.fixture(scope="module")
def prompts(tokenizer_name: str) -> PromptGenerator:
    random_generator.reset()
    random_generator.init(1)
    return PromptGenerator(prompts=None, prefix_prompts=None, tokenizer=Tokenizer.from_pretrained(tokenizer_name))


def load(loader: Any) -> dict[str, Conversation]:
    return {one.session_id: one for one in loader.convert_to_conversations(loader.load_dataset())}


def text(conversation: Conversation, turn: int) -> str:
    return conversation.turns[turn].texts[0].contents[0]


def test_mooncake_trace(export: Export, prompts: PromptGenerator, original: dict[str, list[dict[str, Any]]]) -> None:
    path = export("mooncake_trace")
    loader = MooncakeTraceDatasetLoader(filename=str(path), prompt_generator=prompts, default_block_size=BLOCK)
    loaded = load(loader)
    assert list(loaded) == list(original)
    encode = prompts.tokenizer.encode
    for name, session in original.items():
        turns = loaded[name].turns
        assert [turn.max_tokens for turn in turns] == [row["output_length"] for row in session]
        assert [turn.delay for turn in turns[1:]] == [row["delay"] for row in session[1:]]
        assert turns[0].timestamp == session[0]["timestamp"]
        assert len(encode(text(loaded[name], 0))) == session[0]["input_length"]
        if session[0].get("link") == "break":
            # The text of the parent's first prompt, as far as both hold whole blocks of it.
            parent = original[session[0]["parent_session_id"]][0]
            kept = min(session[0]["kept_length"], parent["input_length"]) // BLOCK * BLOCK
            assert encode(text(loaded[name], 0))[:kept] == encode(text(loaded[parent["session_id"]], 0))[:kept]


def test_multi_turn(export: Export, original: dict[str, list[dict[str, Any]]]) -> None:
    loaded = load(MultiTurnDatasetLoader(filename=str(export("multi_turn", "--text"))))
    assert list(loaded) == list(original)
    for name, session in original.items():
        turns = loaded[name].turns
        assert [len(text(loaded[name], at).split()) for at in range(len(turns))] == [r["input_length"] for r in session]
        assert [turn.delay for turn in turns[1:]] == [row["delay"] for row in session[1:]]


def test_dag(export: Export, original: dict[str, list[dict[str, Any]]]) -> None:
    loaded = load(DagJsonlLoader(str(export("dag_jsonl", "--text"))))
    assert set(loaded) == set(original)
    roots = {name for name, conversation in loaded.items() if conversation.is_root}
    assert roots == {name for name, session in original.items() if session[0].get("link") is None}
    started = [child for one in loaded.values() for branch in one.branches for child in branch.child_conversation_ids]
    assert sorted(started) == sorted(set(original) - roots)
    for name, session in original.items():
        assert [turn.max_tokens for turn in loaded[name].turns] == [row["output_length"] for row in session]
        delays = [row.get("delay", row.get("start_delay", 0)) for row in session]
        assert [turn.delay for turn in loaded[name].turns] == delays


def lines(original: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """The rows of each agent: those of its session and of the breaks after it."""
    agents: dict[str, list[dict[str, Any]]] = {}
    first: dict[str, str] = {}
    for name, session in original.items():
        is_break = session[0].get("link") == "break"
        first[name] = first[session[0]["parent_session_id"]] if is_break else name
        agents.setdefault(first[name], []).extend(session)
    return agents


def test_weka_trace(export: Export, prompts: PromptGenerator, original: dict[str, list[dict[str, Any]]]) -> None:
    loaded = load(WekaTraceLoader(filename=str(export("weka_trace")), prompt_generator=prompts))
    agents = lines(original)
    assert len(loaded) == len(agents)
    for name, calls in agents.items():
        found = loaded.get(name) or next(one for key, one in loaded.items() if key.endswith(f"::sa:{name}"))
        assert [turn.max_tokens for turn in found.turns] == [row["output_length"] for row in calls]
        if calls[0].get("link") is None and not any(
            session[0].get("parent_session_id") in {row["session_id"] for row in calls}
            and session[0].get("link") == "subagent"
            for session in original.values()
        ):
            delays = [row.get("delay", row.get("start_delay")) for row in calls[1:]]
            assert [turn.delay for turn in found.turns[1:]] == pytest.approx(delays, abs=0.11)


def test_bailian(export: Export, prompts: PromptGenerator, original: dict[str, list[dict[str, Any]]]) -> None:
    path = export("bailian")
    loader = BailianTraceDatasetLoader(filename=str(path), prompt_generator=prompts, default_block_size=BLOCK)
    loaded = load(loader)
    agents = lines(original)
    outputs = sorted([row["output_length"] for row in calls] for calls in agents.values())
    assert sorted([turn.max_tokens for turn in one.turns] for one in loaded.values()) == outputs
    encode, written = prompts.tokenizer.encode, {str(row["chat_id"]): row for row in rows(path)}
    for name, one in loaded.items():
        assert len(encode(text(one, 0))) == written[name]["input_length"]


def get(url: str) -> str:
    with urllib.request.urlopen(url) as response:  # noqa: S310  the test's own server
        return str(response.read().decode())


@contextmanager
def serving() -> Iterator[str]:
    """`agentgen serve` without delays, in blocks of 16 tokens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = (os.environ.get("AGENTGEN", "agentgen"), "serve", "--port", str(port), "--block-size", str(BLOCK))
    rates = ("--prefill-rate", "0", "--decode-rate", "0", "--model", "m")
    server = subprocess.Popen([*command, *rates], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(100):
            try:
                get(f"{url}/v1/models")
                break
            except OSError:
                time.sleep(0.1)
        yield url
    finally:
        server.terminate()
        server.wait()


def counters(url: str) -> dict[str, int]:
    """The totals of the server, by the names of vLLM's metrics."""
    lines = get(f"{url}/metrics").splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name.split("{")[0]: int(float(value)) for name, value in pairs if "_total" in name}


@pytest.mark.parametrize(("to", "sessions"), [("dag_jsonl", SESSIONS), ("multi_turn", None)])
def test_profile_plays_everything(
    to: str, sessions: int | None, export: Export, original: dict[str, list[dict[str, Any]]], tokenizer_name: str
) -> None:
    """The server counts what `analyze` finds in the rows that say what AIPerf sends: histories of whole outputs."""
    directory = Path(tempfile.mkdtemp())
    sent = export("mooncake-delta")
    agentgen(
        *("import", sent, "--format", "mooncake-delta", "--block-size", str(BLOCK), "--no-pages"),
        *("--output", directory, "--name", "sent"),
    )
    report = json.loads(agentgen("analyze", directory / "sent", "--json", "--block-size", str(BLOCK)))
    expected = report["traces"][0]
    with serving() as url:
        done = subprocess.run(
            [
                *(str(Path(sys.executable).parent / "aiperf"), "profile", "--input-file", str(export(to, "--text"))),
                *("--custom-dataset-type", to, "--no-fixed-schedule", "--concurrency", "1"),
                *("--num-sessions", str(sessions or len(original)), "--model", "m", "--tokenizer", tokenizer_name),
                *("--url", url, "--endpoint-type", "chat", "--streaming", "--extra-inputs", "ignore_eos:true"),
                *("--ui", "none", "--output-artifact-dir", str(directory / "out")),
            ],
            check=False,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        counted = counters(url)
    assert counted["vllm:request_success_total"] == expected["requests"]
    assert counted["vllm:prompt_tokens_total"] == expected["prompt_tokens"]
    assert counted["vllm:generation_tokens_total"] == expected["output_tokens"]
    found = expected["reuse"]["linked"]["token_weighted"] * expected["prompt_tokens"]
    assert counted["vllm:prefix_cache_hits_total"] == round(found)
