"""guidellm makes prompts of exported traces: of the right lengths, with what they share, at their times."""

import json
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import BLOCK, serving
from guidellm.data.deserializers.deserializer import DatasetDeserializerFactory
from guidellm.schemas.data.deserializers import MooncakeTraceFormatArgs, WEKATraceFormatArgs
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

Export = Callable[..., Path]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    """A token a byte."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: number for number, letter in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def read(kind: type, path: Path, tokenizer: PreTrainedTokenizerFast) -> list[list[dict[str, Any]]]:
    """The turns of each conversation that guidellm makes of a file."""
    arguments = kind(source={"kind": "json_file", "path": str(path)}, hash_id_block_size=BLOCK)
    rows = DatasetDeserializerFactory.deserialize(config=arguments, processor_factory=lambda: tokenizer, random_seed=1)
    return [json.loads(row["conversation_turns"])["turns"] for row in rows]


def test_mooncake(export: Export, tokenizer: PreTrainedTokenizerFast) -> None:
    path = export("guidellm", "trace.jsonl")
    written = [json.loads(line) for line in path.read_text().splitlines()]
    conversations = read(MooncakeTraceFormatArgs, path, tokenizer)
    assert len(conversations) == len(written)
    prompts = []
    for (turn,), row in zip(conversations, written, strict=True):
        columns = turn["columns"]
        assert columns["prompt_tokens_count_column"] == [row["input_length"]]
        assert columns["output_tokens_count_column"] == [row["output_length"]]
        assert columns["relative_timestamp_column"][0] == pytest.approx(row["timestamp"], rel=1e-6, abs=1e-3)
        prompts.append(tokenizer.encode(columns["text_column"][0]))
        assert len(prompts[-1]) == row["input_length"]
    for before, after in zip(range(40), range(1, 41), strict=True):
        pairs = zip(written[before]["hash_ids"], written[after]["hash_ids"], strict=False)
        same = [a == b for a, b in pairs]
        shared = BLOCK * (same.index(False) if False in same else len(same))
        assert prompts[before][:shared] == prompts[after][:shared]


def test_weka(export: Export, rows: list[dict[str, Any]], tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    folder = export("weka_trace", "weka")
    lines = tmp_path / "weka.jsonl"
    lines.write_text("".join(path.read_text() for path in sorted(folder.iterdir())))
    conversations = read(WEKATraceFormatArgs, lines, tokenizer)
    assert len(conversations) == len(list(folder.iterdir()))
    outputs = Counter(turn["columns"]["output_tokens_count_column"][0] for turns in conversations for turn in turns)
    assert outputs == Counter(row["output_length"] for row in rows)
    agents = {turn["agent_id"] for turns in conversations for turn in turns} - {"default"}
    assert agents == {row["session_id"] for row in rows if row.get("link") == "subagent"}


def test_run_plays_everything(export: Export, tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    path = export("guidellm", "trace.jsonl")
    written = [json.loads(line) for line in path.read_text().splitlines()]
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    (tmp_path / "tokenizer" / "config.json").write_text('{"model_type": "gpt2"}')
    data = {"kind": "mooncake", "source": {"kind": "json_file", "path": str(path)}, "hash_id_block_size": BLOCK}
    with serving() as url:
        command = [str(Path(sys.executable).parent / "guidellm"), "run", "--profile", "kind=replay"]
        command += ["--backend", f"kind=openai_http,target={url},model=m", "--data", json.dumps(data)]
        command += ["--tokenizer", f"kind=huggingface_auto,model={tmp_path / 'tokenizer'}", "--disable-console"]
        command += ["--output", f"kind=json,path={tmp_path / 'out.json'}"]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=600, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        with urllib.request.urlopen(f"{url}/metrics") as response:  # noqa: S310  the test's own server
            lines = response.read().decode().splitlines()
    counted = {line.split("{")[0]: float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("vllm:")}
    assert counted["vllm:request_success_total"] == len(written)
    assert counted["vllm:generation_tokens_total"] == sum(row["output_length"] for row in written)
