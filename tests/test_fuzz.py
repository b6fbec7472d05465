"""Mutated inputs of everything that comes from outside: no crash, no hang, bounded memory, one clear error."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell how much memory a process held")

FUZZ = ROOT / "tests" / "fuzz"
# Chosen so that all of them take about a minute; `make fuzz` goes on for longer.
INPUTS = {
    "rows": 1500,
    "messages": 1500,
    "parquet": 800,
    "manifests": 800,
    "configurations": 400,
    "answers": 4000,
    "responses": 4000,
    "requests": 1500,
    "imports": 400,
    "model_answers": 600,
    "journals": 400,
    "agent_answers": 2000,
    "task_files": 400,
}


@pytest.mark.parametrize("target", INPUTS)
def test_a_mutated_input_is_refused_or_read_but_never_breaks_the_program(target: str, tmp_path: Path) -> None:
    command = [sys.executable, str(FUZZ / "run.py"), target, "--inputs", str(INPUTS[target]), "--keep", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no finding" in done.stdout
