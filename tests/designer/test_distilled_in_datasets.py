"""The files of `agentgen distill` as Hugging Face's `datasets` loads them, by the data card and by name.

agentgen is called as a command, named by the environment variable AGENTGEN; it needs the extra `distill`.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PORT = "8643"

os.environ["HF_HUB_OFFLINE"] = "1"
datasets = pytest.importorskip("datasets", reason="datasets is not installed: tests/designer/requirements.txt names it")


@pytest.fixture(scope="module")
def url() -> str:
    """A stand-in for a model, which ends when nobody asks any more."""
    subprocess.run([sys.executable, ROOT / "docs/examples/distill/model.py", PORT], check=True)
    return f"http://127.0.0.1:{PORT}"


def distilled(target: Path, url: str, *options: str) -> Path:
    """Distil the samples of all formats."""
    source = str(ROOT / "docs/examples/import")
    command = [os.environ.get("AGENTGEN", "agentgen"), "distill", source, "--url", url, "-n", "5", "-o", str(target)]
    done = subprocess.run([*command, *options], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


def lines(path: Path) -> list[Any]:
    """The records of a file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_records_are_conversations(url: str, tmp_path: Path) -> None:
    made = distilled(tmp_path / "data", url)
    records = lines(made / "sft.jsonl")
    assert records
    for loaded in (
        datasets.load_dataset(str(made), cache_dir=str(tmp_path / "cache")),
        datasets.load_dataset("json", data_files=str(made / "sft.jsonl"), cache_dir=str(tmp_path / "cache")),
    ):
        assert list(loaded) == ["train"]
        assert loaded["train"].to_list() == records
        assert [one["role"] for one in loaded["train"][0]["messages"]] == ["user", "assistant"]


def test_parts_are_splits(url: str, tmp_path: Path) -> None:
    made = distilled(tmp_path / "data", url, "--split", "50%", "--min-score", "0")
    loaded = datasets.load_dataset(str(made), "sft", cache_dir=str(tmp_path / "cache"))
    assert set(loaded) == {"train", "test"}
    for part in ("train", "test"):
        assert loaded[part].to_list() == lines(made / f"sft-{part}.jsonl")


def test_all_rows_are_loaded_by_name(url: str, tmp_path: Path) -> None:
    made = distilled(tmp_path / "data", url)
    file = str(made / "dataset.parquet")
    loaded = datasets.load_dataset("parquet", data_files=file, cache_dir=str(tmp_path / "cache"))["train"]
    assert len(loaded) == 5
    assert loaded[0]["sft_quality_judge_result"]["groundedness"]["score"] == 4
    assert loaded[0]["sft_skill_tags"] == loaded[0]["sft_record"]["skill_tags"]
