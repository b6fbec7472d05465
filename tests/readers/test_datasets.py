"""`datasets.load_dataset` reads an exported folder offline."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from conftest import BLOCK
from datasets import load_dataset


def test_load_dataset(export: Callable[..., Path], rows: list[dict[str, Any]], tmp_path: Path) -> None:
    folder = export("huggingface", "set")
    loaded = load_dataset(str(folder), cache_dir=str(tmp_path), split="train")
    assert loaded.num_rows == len(rows)
    for key in ("session_id", "input_length", "output_length", "hash_ids"):
        assert loaded[key][:] == [row[key] for row in rows]
    card = (folder / "README.md").read_text()
    assert f"{len(rows)} requests" in card
    assert json.loads(card.split("```json\n")[1].split("```")[0])["block_size"] == BLOCK
