"""The bytes that a seed stands for, from the module as it is built for use (cargo checks the same digests in debug)."""

from __future__ import annotations

import hashlib
from pathlib import Path

import agentgen
import pytest

GOLDEN = Path(__file__).parents[1] / "rust/agentgen-trace/tests/golden.txt"
PRESETS = {"default", "aiperf-0.13-default", "aiperf-1k-200k"}
ROWS = [line.split() for line in GOLDEN.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(("preset", "layout", "rows", "sha256"), [row for row in ROWS if row[0] in PRESETS])
@pytest.mark.parametrize("threads", [1, 3])
def test_release_build_writes_the_golden_bytes(
    tmp_path: Path, preset: str, layout: str, rows: str, sha256: str, threads: int
) -> None:
    run = tmp_path / "run"
    manifest = agentgen.write_run(run, preset, sessions=100, seed=42, layout=layout, threads=threads)
    assert manifest["written"]["turns"] == int(rows)
    assert {file["name"]: file["sha256"] for file in manifest["files"]}["dataset.jsonl"] == sha256
    decoded = tmp_path / "decoded.jsonl"
    agentgen.convert(run / "dataset.parquet", decoded)
    assert hashlib.sha256(decoded.read_bytes()).hexdigest() == sha256
