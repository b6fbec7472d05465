"""AIPerf's validator and mooncake loader read what agentgen writes, down to the text of every prompt."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiperf.common import random_generator
from aiperf.common.exceptions import ConfigurationError
from aiperf.common.models import Conversation
from aiperf.common.tokenizer import Tokenizer
from aiperf.dataset.generator.prompt import PromptGenerator
from aiperf.dataset.loader.mooncake_trace import MooncakeTraceDatasetLoader
from conftest import SHARED_DATA, rows, sessions

Load = Callable[[Path], list[Conversation]]
Run = Callable[..., Path]
BLOCK = 512


@pytest.fixture(scope="module")
def tokenizer(tokenizer_name: str) -> Tokenizer:
    return Tokenizer.from_pretrained(tokenizer_name)


@pytest.fixture(scope="module")
def load(tokenizer: Tokenizer) -> Load:
    """Loads a trace as `aiperf profile` does, with the text of every prompt."""
    random_generator.reset()
    random_generator.init(1)

    def load(path: Path) -> list[Conversation]:
        prompts = PromptGenerator(prompts=None, prefix_prompts=None, tokenizer=tokenizer)
        loader = MooncakeTraceDatasetLoader(filename=str(path), prompt_generator=prompts, default_block_size=BLOCK)
        return loader.convert_to_conversations(loader.load_dataset())

    return load


def text(conversation: Conversation, turn: int) -> str:
    return conversation.turns[turn].texts[0].contents[0]


def tokens(tokenizer: Tokenizer, prompt: str) -> list[int]:
    return tokenizer.encode(prompt)


def shared(name: str) -> Path:
    path = SHARED_DATA / "aiperf" / name
    if not path.exists():
        pytest.skip(f"{path} is missing (set AGENTGEN_SHARED_DATA)")
    return path


@pytest.mark.parametrize("config", ["default", "aiperf-0.13-default", "aiperf-1k-200k"])
def test_validator_passes_every_row(run: Run, config: str) -> None:
    path = run(config, 5000)
    command = [str(Path(sys.executable).parent / "aiperf"), "validate", "mooncake-trace", "--input", str(path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = sum(1 for _ in path.open("rb"))
    assert f"{lines} rows" in " ".join(done.stdout.split())


@pytest.mark.parametrize("config", ["aiperf-0.13-default", "aiperf-1k-200k"])
def test_loader_makes_the_text_of_every_turn(run: Run, load: Load, tokenizer: Tokenizer, config: str) -> None:
    path = run(config, 120)
    written = sessions(path)
    conversations = load(path)
    assert [c.session_id for c in conversations] == list(written)
    for conversation in conversations:
        for turn, row in zip(conversation.turns, written[conversation.session_id], strict=True):
            assert turn.max_tokens == row["output_length"]
            assert turn.delay == row.get("delay")
            assert turn.timestamp == row.get("timestamp")
    for conversation in conversations[:10]:
        for index, row in enumerate(written[conversation.session_id]):
            assert len(tokens(tokenizer, text(conversation, index))) == row["input_length"]


def test_a_continuation_repeats_the_text_of_its_parents_first_prompt(
    run: Run, load: Load, tokenizer: Tokenizer
) -> None:
    path = run("aiperf-1k-200k", 120)
    loaded = {conversation.session_id: conversation for conversation in load(path)}
    pairs = [(first, r["parent_session_id"]) for first, (r, *_) in sessions(path).items() if r.get("is_restart")]
    assert pairs
    for continuation, parent in pairs:
        start = tokens(tokenizer, text(loaded[parent], 0))
        full = len(start) // BLOCK * BLOCK
        assert tokens(tokenizer, text(loaded[continuation], 0))[:full] == start[:full]


def test_cumulative_rows_load_as_whole_prompts(run: Run, load: Load, tokenizer: Tokenizer) -> None:
    path = run("aiperf-1k-200k", 5, "--layout", "cumulative")
    written = rows(path)
    conversations = load(path)
    assert len(conversations) == len(written)
    for conversation, row in zip(conversations, written, strict=True):
        assert len(tokens(tokenizer, text(conversation, 0))) == row["input_length"]


def test_the_loader_would_refuse_an_id_at_two_sizes(run: Run, load: Load, tmp_path: Path) -> None:
    """What the other tests rely on: the loader notices."""
    changed: list[dict[str, Any]] = rows(run("aiperf-1k-200k", 120))[:50]
    partial = next(row for row in changed if row["input_length"] % BLOCK)
    full = next(row for row in changed if row["input_length"] > BLOCK and row is not partial)
    full["hash_ids"][0] = partial["hash_ids"][-1]
    path = tmp_path / "two_sizes.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in changed))
    with pytest.raises(ConfigurationError, match="already materialized"):
        load(path)


def test_loader_takes_a_sound_file_of_its_own(load: Load) -> None:
    assert len(load(shared("default_40s.jsonl"))) == 40


def test_loader_refuses_its_own_restarts(load: Load) -> None:
    """AIPerf writes continuations that it cannot load; agentgen's load (above)."""
    with pytest.raises(ConfigurationError, match="already materialized"):
        load(shared("restarts_120s.jsonl"))
