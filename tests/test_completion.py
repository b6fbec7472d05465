"""Shell completion: commands, options, and the names that they take."""

from __future__ import annotations

import os
import subprocess

import pytest
from agentgen import _native
from conftest import command


def completed(line: str) -> list[str]:
    words = line.split(" ")
    variables = {"_AGENTGEN_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run(
        command(), env={**os.environ, **variables}, capture_output=True, text=True, check=True, timeout=60
    )
    return [found.removeprefix("plain,") for found in done.stdout.splitlines() if found.startswith("plain,")]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("agentgen sim", ["simulate"]),
        ("agentgen generate --config aiperf-1", ["aiperf-1k-200k"]),
        ("agentgen generate --format jsonl,p", ["jsonl,parquet"]),
        ("agentgen generate --lay", ["--layout"]),
        ("agentgen config check def", ["default"]),
        ("agentgen replay --history re", ["recorded"]),
        ("agentgen simulate x --routing s", ["sticky"]),
        ("agentgen plan x --model mixtral-8x7", ["mixtral-8x7b"]),
        ("agentgen serve --model mixtral-8x7", ["mixtral-8x7b"]),
    ],
)
def test_names_are_completed(line: str, expected: list[str]) -> None:
    assert completed(line) == expected


def test_all_presets_and_models_are_offered() -> None:
    assert completed("agentgen config show ") == list(_native.preset_names())
    assert completed("agentgen plan x --model ") == _native.model_names()
