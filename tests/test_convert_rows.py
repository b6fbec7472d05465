"""Rows of other programs that `convert` puts into the form that all commands read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import agentgen
import pytest
from agentgen.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Invoke

BLOCK = ("--trace-block-size", 512)


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def row(session: str | None, *ids: Any, **more: Any) -> dict[str, Any]:
    named = {} if session is None else {"session_id": session}
    return {**named, "input_length": 512 * len(ids), "output_length": 5, "hash_ids": [*ids], **more}


def test_interleaved_sessions_are_grouped(invoke: Invoke, tmp_path: Path) -> None:
    mixed = (row("a", 1, 2, timestamp=0), row("b", 1, 5, timestamp=9), row("a", 3, delay=50), row("b", 6, delay=40))
    source, target = write(tmp_path / "mixed.jsonl", *mixed), tmp_path / "grouped.jsonl"
    split = invoke("validate", source, *BLOCK, code=1)
    assert "expected the rows of a session together (agentgen convert --group puts them together)" in split.stdout
    refused = invoke("convert", source, target, *BLOCK, code=2)
    assert "(agentgen convert --group puts them together)" in refused.stderr
    shown = invoke("convert", source, target, "--group", *BLOCK)
    assert "4 rows in 2 sessions" in shown.stdout
    invoke("validate", target, *BLOCK)
    grouped = [json.loads(line)["session_id"] for line in target.read_text(encoding="utf-8").splitlines()]
    assert grouped == ["a", "a", "b", "b"]


@pytest.mark.parametrize("ids", [("x", "y", "z"), (-3, -1, 7), (2**64 - 1, 2**53 + 1, 0), ("9007199254740993", 1, "1")])
def test_ids_of_any_kind_are_numbered(ids: tuple[Any, Any, Any], invoke: Invoke, tmp_path: Path) -> None:
    one, two, three = ids
    rows = (row(None, one, two, timestamp=0), row(None, one, three, timestamp=9))
    source, target = write(tmp_path / "odd.jsonl", *rows), tmp_path / "numbered.jsonl"
    refused = invoke("validate", source, *BLOCK, code=1)
    assert "(agentgen convert --renumber-ids numbers ids of any kind)" in refused.stdout
    invoke("convert", source, target, "--renumber-ids", *BLOCK)
    invoke("validate", target, *BLOCK)
    assert [json.loads(line)["hash_ids"] for line in target.read_text(encoding="utf-8").splitlines()] == [
        [0, 1],
        [0, 2],
    ]


def test_whole_numbers_may_have_zeros_after_the_point(invoke: Invoke, tmp_path: Path) -> None:
    path = tmp_path / "float.jsonl"
    path.write_text(
        '{"timestamp":0.0,"input_length":655.0,"output_length":5.0,"hash_ids":[1.0,2.0]}\n', encoding="utf-8"
    )
    invoke("validate", path, *BLOCK)
    assert agentgen.scan(path, trace_block_size=512).collect()["context_length"].to_list() == [655]
    path.write_text('{"timestamp":0,"input_length":655.5,"output_length":5,"hash_ids":[1,2]}\n', encoding="utf-8")
    assert "found input_length 655.5" in invoke("validate", path, *BLOCK, code=1).stdout


def test_errors_name_the_source(invoke: Invoke, tmp_path: Path) -> None:
    source = write(tmp_path / "null.jsonl", row(None, 1), row(None, "x", output_length=None))
    refused = invoke("convert", source, tmp_path / "out.jsonl", "--renumber-ids", *BLOCK, code=2)
    assert refused.stderr.startswith(f"agentgen: error: {source}:2: type: found output_length null")


def test_only_one_jsonl_file_is_grouped(small_run: Path, invoke: Invoke, tmp_path: Path) -> None:
    refused = invoke("convert", small_run, tmp_path / "out.jsonl", "--group", code=2)
    assert "found another source, expected one JSONL file" in refused.stderr
    with pytest.raises(UsageError, match="renumber_ids: found another source"):
        agentgen.convert(small_run / "dataset.parquet", tmp_path / "out.jsonl", renumber_ids=True)
