"""Commands that compute figures of an invalid trace warn once, and print the figures."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from agentgen.cli._validity import warn_if_invalid

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
def test_invalid_traces_get_a_warning(
    name: str, invoke: Invoke, two_sizes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = (name, two_sizes, *COMMANDS[name], "--trace-layout", "incremental", "--trace-block-size", 8)
    result = invoke(*command)
    assert result.stderr == (
        f"agentgen: warning: {tmp_path}/two\\x1bsizes.jsonl: invalid trace (1 error, first: id-size in line 2); "
        "figures may be wrong (see agentgen validate)\n"
    )
    assert result.stdout
    checked = invoke("validate", two_sizes, "--trace-layout", "incremental", "--trace-block-size", 8, code=1)
    assert "1 error: 2 rows in 2 sessions" in checked.stdout


@pytest.mark.parametrize("name", ["analyze", "simulate"])
def test_valid_and_generated_traces_get_no_warning(name: str, invoke: Invoke, small_run: Path) -> None:
    assert invoke(name, small_run, *COMMANDS[name]).stderr == ""
    rows = [row("a", 19, [0, 1, 2], timestamp=0.0), row("b", 32, [0, 1, 3, 4], timestamp=0.0)]
    valid = small_run.parent / "valid.jsonl"
    valid.write_text("\n".join(rows) + "\n", encoding="utf-8")
    command = (name, valid, *COMMANDS[name], "--trace-layout", "incremental", "--trace-block-size", 8)
    assert invoke(*command).stderr == ""


def test_the_check_stops_when_the_analysis_fails(monkeypatch: pytest.MonkeyPatch, two_sizes: Path) -> None:
    stopped = []

    def endless(*_: object, progress: Any, **__: object) -> None:
        try:
            while True:
                time.sleep(0.001)
                progress(0, 1)
        except Exception as error:
            stopped.append(type(error).__name__)
            raise

    monkeypatch.setattr("agentgen.cli._validity.validate", endless)
    before = threading.active_count()
    with (
        pytest.raises(ValueError, match="of the work"),
        warn_if_invalid([str(two_sizes)], trace_layout="incremental", trace_block_size=8),
    ):
        raise ValueError("of the work")
    assert stopped == ["_CancelledError"]
    assert threading.active_count() == before
