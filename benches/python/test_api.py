"""The Python API, end to end (`make bench`, `make bench-regression`)."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import agentgen
import polars as pl
import pytest

SESSIONS = 20_000
PRESETS = ["default", "aiperf-0.13-default", "aiperf-1k-200k"]


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory with JSONL and Parquet."""
    output = tmp_path_factory.mktemp("bench")
    command = [sys.executable, "-m", "agentgen", "generate", "--quiet", "--sessions", str(SESSIONS)]
    subprocess.run([*command, "--output", str(output), "--name", "run"], check=True, stdout=subprocess.DEVNULL)
    return output / "run"


@pytest.mark.parametrize("preset", PRESETS)
def test_generate(benchmark: Any, preset: str) -> None:
    """All columns, batch by batch."""
    benchmark(lambda: sum(len(batch) for batch in agentgen.generate(preset, sessions=SESSIONS)))


def test_scan_two_columns(benchmark: Any) -> None:
    """Columns that the query does not select are not generated."""
    lazy = agentgen.scan("default", sessions=SESSIONS)
    benchmark(lambda: lazy.select(pl.col("input_length").sum(), pl.col("output_length").sum()).collect())


@pytest.mark.parametrize("name", ["dataset.jsonl", "dataset.parquet"])
def test_read(benchmark: Any, run: Path, name: str) -> None:
    """Read a file as batches."""
    benchmark(lambda: sum(len(batch) for batch in agentgen.read(run / name)))


@pytest.mark.parametrize("name", ["dataset.jsonl", "dataset.parquet"])
def test_validate(benchmark: Any, run: Path, name: str) -> None:
    """Check every rule on every row."""
    benchmark(lambda: agentgen.validate(run / name))


def test_help(benchmark: Any) -> None:
    """Start the program and print the help."""
    command = [sys.executable, "-m", "agentgen", "--help"]
    benchmark(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))


def test_generate_ten_sessions(benchmark: Any, tmp_path: Path) -> None:
    """Run a whole command at the smallest size."""
    command = [sys.executable, "-m", "agentgen", "generate", "--quiet", "--sessions", "10", "--force"]
    command += ["--output", str(tmp_path), "--name", "run"]
    benchmark(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))
