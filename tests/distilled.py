"""Sessions to distil, and what a run made of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from pathlib import Path

    Object = dict[str, Any]


def session(directory: Path, name: str, texts: list[str], *, root: str | None = None, sidechain: bool = False) -> Path:
    """Write a session of Claude Code whose user and assistant say these texts in turn."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}.jsonl"
    rows = []
    for number, text in enumerate(texts):
        kind = "assistant" if number % 2 else "user"
        message: Object = {"role": kind, "content": text}
        if kind == "assistant":
            usage = {"input_tokens": 10, "output_tokens": 5}
            content = [{"type": "text", "text": text}]
            message |= {"id": f"msg_{name}_{number}", "model": "m", "content": content, "usage": usage}
        rows.append(
            {
                "type": kind,
                "uuid": f"{name}-{number}",
                "parentUuid": f"{name}-{number - 1}" if number else None,
                "sessionId": root or name,
                "isSidechain": sidechain,
                **({"agentId": name} if sidechain else {}),
                "timestamp": f"2026-01-02T00:{number // 60:02}:{number % 60:02}.000Z",
                "cwd": "/srv/app",
                "version": "2.1.3",
                "message": message,
            }
        )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def sessions(directory: Path, count: int) -> Path:
    """Write several sessions, each of its own root."""
    for number in range(count):
        session(directory, f"s{number:03}", [f"please fix bug {number}", f"fixed {number}"])
    return directory


def dataset(directory: Path) -> pl.DataFrame:
    """The rows of a run."""
    return pl.read_parquet(directory / "dataset.parquet")


def records(directory: Path, name: str = "sft.jsonl") -> list[Object]:
    """The records of a run."""
    return [json.loads(line) for line in (directory / name).read_text(encoding="utf-8").splitlines()]


def manifest(directory: Path) -> Object:
    """The manifest of a run."""
    found: Object = json.loads((directory / "manifest.json").read_text(encoding="utf-8"))
    return found
