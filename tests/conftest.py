"""Shared pieces of the tests of the Python package and its command."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import agentgen
import pytest
from agentgen.cli._commands import main
from click.testing import CliRunner

if TYPE_CHECKING:
    from click.testing import Result

ROOT = Path(__file__).parents[1]
SHARED_DATA = Path(os.environ.get("AGENTGEN_SHARED_DATA", ROOT / "../shared/data"))

# The folder brings a virtual environment and settings of its own.
collect_ignore = ["interop"]


class Invoke(Protocol):
    """Runs the command in this process."""

    def __call__(self, *arguments: object, code: int = 0) -> Result: ...


class Run(Protocol):
    """Runs the command in a process of its own."""

    def __call__(self, *arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]: ...


def one_line_only(result_code: int, stderr: str) -> None:
    """What fails says so in lines of its own, never in a traceback."""
    assert "Traceback" not in stderr
    if result_code:
        assert all(line.startswith(("agentgen: ", "Usage: ")) for line in stderr.splitlines() if line), stderr


@pytest.fixture
def invoke() -> Invoke:
    def call(*arguments: object, code: int = 0) -> Result:
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        assert result.exit_code == code, (result.output, result.exception)
        return result

    return call


@pytest.fixture
def run() -> Run:
    def call(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(command(*arguments), capture_output=True, text=True, check=False, timeout=100)
        assert done.returncode == code, (done.stdout, done.stderr)
        return done

    return call


def command(*arguments: object) -> list[str]:
    """The command line of a process of its own."""
    return [sys.executable, "-m", "agentgen", *(str(argument) for argument in arguments)]


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 40 sessions, a third of them restarted, in both formats; not to be written to."""
    directory = tmp_path_factory.mktemp("small") / "run"
    agentgen.write_run(directory, "aiperf-1k-200k", sessions=40, seed=7)
    return directory


def manifest_of(directory: Path) -> dict[str, Any]:
    """The manifest of a run directory."""
    manifest: dict[str, Any] = json.loads((directory / "manifest.json").read_text(encoding="utf-8"))
    return manifest


def needs(module: str) -> pytest.MarkDecorator:
    """Skips where an optional library is not installed."""
    return pytest.mark.skipif(importlib.util.find_spec(module) is None, reason=f"{module} is not installed")
