"""Small traces to replay, and what became of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

BLOCK = 16


def write_trace(path: Path, sessions: int, turns: int, *, delay_ms: float = 0.0) -> Path:
    """Sessions of two new blocks and four output tokens per turn; no two share anything."""
    rows = []
    for session in range(sessions):
        for turn in range(turns):
            first = 2 * (session * turns + turn)
            row: dict[str, Any] = {"session_id": f"s{session}", "input_length": 2 * BLOCK, "output_length": 4}
            row |= {"hash_ids": [first, first + 1]} | ({"delay": delay_ms} if turn else {"timestamp": 0})
            rows.append(json.dumps(row))
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def summary_of(directory: Path) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads((directory / "summary.json").read_text(encoding="utf-8"))
    return summary


def options(url: str, tmp_path: Path, *more: object) -> list[object]:
    """Options of a replay of such a trace, whose run directory is `out`."""
    where = ["--output", tmp_path, "--name", "out"]
    return ["--url", url, "--trace-block-size", BLOCK, *where, "--concurrency", 16, *more]
