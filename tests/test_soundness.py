"""Traces that break rules: whoever computes figures of them says so, once, and computes them all the same."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from agentgen.cli._soundness import soundness

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Invoke

COMMANDS: dict[str, tuple[str, ...]] = {
    "analyze": (),
    "plan": ("--target-hit-rate", "0.1", "--kv-bytes-per-token", "1"),
    "simulate": ("--capacity", "1000blocks", "--json"),
    "report": (),
}


def row(session: str, tokens: int, ids: list[int], **more: Any) -> str:
    return json.dumps({"session_id": session, "input_length": tokens, "output_length": 4, "hash_ids": ids, **more})


@pytest.fixture
def two_sizes(tmp_path: Path) -> Path:
    """Id 2 has 3 tokens, then 8, as AIPerf writes restarts."""
    trace = tmp_path / "two\x1bsizes.jsonl"
    rows = [row("a", 19, [0, 1, 2], timestamp=0.0), row("b", 32, [0, 1, 2, 3], timestamp=0.0)]
    trace.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return trace


@pytest.mark.parametrize("name", COMMANDS)
def test_ids_at_two_sizes_are_warned_of(
    name: str, invoke: Invoke, two_sizes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = (name, two_sizes, *COMMANDS[name], "--layout", "incremental", "--trace-block-size", 8)
    result = invoke(*asked)
    assert result.stderr == (
        f"agentgen: warning: {tmp_path}/two\\x1bsizes.jsonl: 1 error, such as id-size in line 2; figures follow its "
        "rows as they stand (agentgen validate tells more)\n"
    )
    assert result.stdout
    checked = invoke("validate", two_sizes, "--layout", "incremental", "--block-size", 8, code=1)
    assert "1 error: 2 rows in 2 sessions" in checked.stdout


@pytest.mark.parametrize("name", ["analyze", "simulate"])
def test_sound_traces_and_those_made_here_are_not_warned_of(name: str, invoke: Invoke, small_run: Path) -> None:
    assert invoke(name, small_run, *COMMANDS[name]).stderr == ""
    rows = [row("a", 19, [0, 1, 2], timestamp=0.0), row("b", 32, [0, 1, 3, 4], timestamp=0.0)]
    sound = small_run.parent / "sound.jsonl"
    sound.write_text("\n".join(rows) + "\n", encoding="utf-8")
    asked = (name, sound, *COMMANDS[name], "--layout", "incremental", "--trace-block-size", 8)
    assert invoke(*asked).stderr == ""


def test_a_check_that_nobody_waits_for_stops(monkeypatch: pytest.MonkeyPatch, two_sizes: Path) -> None:
    stopped = []

    def endless(*_: object, progress: Any, **__: object) -> None:
        try:
            while True:
                time.sleep(0.001)
                progress(0, 1)
        except Exception as error:
            stopped.append(type(error).__name__)
            raise

    monkeypatch.setattr("agentgen.cli._soundness.validate", endless)
    before = threading.active_count()
    with (
        pytest.raises(ValueError, match="of the work"),
        soundness([str(two_sizes)], layout="incremental", block_size=8),
    ):
        raise ValueError("of the work")
    assert stopped == ["_GivenUpError"]
    assert threading.active_count() == before
