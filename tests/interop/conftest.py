"""Shared pieces of the comparison with AIPerf; `make test-interop` runs this folder in an environment of its own.

The folder needs the `aiperf` package, which does not share an environment with agentgen: agentgen is called as a
command, named by the environment variable AGENTGEN.
"""

import importlib.util
import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
SHARED_DATA = Path(os.environ.get("AGENTGEN_SHARED_DATA", HERE.parents[1] / "../shared/data"))

# Without AIPerf this folder is not part of a test run.
collect_ignore_glob = [] if importlib.util.find_spec("aiperf") else ["test_*.py"]

# AIPerf decodes text in worker processes that look tokenizers up in the model cache by name: the test gives it a cache
# with one small tokenizer. Both variables are read when AIPerf is imported.
_CACHE = tempfile.TemporaryDirectory(prefix="agentgen-interop-")
os.environ["HF_HOME"] = _CACHE.name
os.environ["HF_HUB_OFFLINE"] = "1"


def agentgen(*arguments: str | Path) -> str:
    """Runs the agentgen command; its standard output."""
    command = [os.environ.get("AGENTGEN", "agentgen"), *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)} -> {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`run(config, sessions, *options)`: the dataset.jsonl of a run; each is made once."""
    made: dict[tuple[str, ...], Path] = {}

    def make(config: str, sessions: int, *options: str) -> Path:
        key = (config, str(sessions), *options)
        if key not in made:
            directory = tmp_path_factory.mktemp("run")
            limits = ("--config", config, "--sessions", str(sessions), "--seed", "7", "--format", "jsonl", "--quiet")
            agentgen("generate", *limits, "--output", directory, "--name", "run", *options)
            made[key] = directory / "run" / "dataset.jsonl"
        return made[key]

    return make


def rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSONL trace."""
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def sessions(path: Path) -> dict[str, list[dict[str, Any]]]:
    """The rows of a JSONL trace by session, in file order."""
    grouped: dict[str, list[dict[str, Any]]] = {}
    for row in rows(path):
        grouped.setdefault(row["session_id"], []).append(row)
    return grouped


@pytest.fixture(scope="session")
def tokenizer_name() -> str:
    """A small byte-level BPE tokenizer, in the model cache under this name."""
    from aiperf.dataset.generator import prompt
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=2000,
        special_tokens=["<|bos|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    corpus = Path(prompt.__file__).parent / prompt.DEFAULT_CORPUS_FILE
    tokenizer.train([str(corpus)], trainer)
    model = Path(_CACHE.name) / "hub" / "models--interop--small"
    snapshot = model / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text("0" * 40)
    tokenizer.save(str(snapshot / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|bos|>"}
    (snapshot / "tokenizer_config.json").write_text(json.dumps(settings))
    (snapshot / "config.json").write_text('{"model_type": "gpt2"}')
    return "interop/small"
