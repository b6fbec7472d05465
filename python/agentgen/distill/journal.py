"""Every answer that was paid for, on disk as soon as it is there.

One line an answer, appended in one write: a process that is killed loses none, a power cut those of the last second.
The key of an answer is what it answers (the prompt that began the row, the column, the try), so that a run that goes
on takes it from here and never asks again. A line that a crash cut off is dropped.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass, fields
from time import monotonic
from typing import TYPE_CHECKING, Any

from agentgen.distill.client import Reply
from agentgen.errors import RunError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

NAME = "journal.jsonl"
FORMAT = 1
SYNC_EVERY_S = 1.0

Key = tuple[str, str, int]


@dataclass
class Totals:
    """Calls of one model.

    Attributes:
        calls: Answers.
        prompt_tokens: Tokens of their prompts.
        cached_tokens: Those found in a cache.
        completion_tokens: Tokens of the answers.
        duration_ms: Times of the calls, added up.
    """

    calls: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    duration_ms: float = 0.0

    def add(self, reply: Reply) -> None:
        """Count an answer."""
        self.calls += 1
        self.prompt_tokens += reply.prompt_tokens
        self.cached_tokens += reply.cached_tokens
        self.completion_tokens += reply.completion_tokens
        self.duration_ms += reply.duration_ms


class Journal:
    """The answers of a run; without a path, in memory only.

    Attributes:
        totals: What was paid for, by the column's model, in this and earlier runs of the directory.
        new: Answers of this run.
    """

    def __init__(self, path: Path | None, settings: dict[str, Any], *, resume: bool) -> None:
        self.totals: dict[str, Totals] = {}
        self.new = 0
        self._replies: dict[Key, Reply] = {}
        self._servers: dict[str, dict[str, bool]] = {}
        self._file: int | None = None
        self._synced_s = monotonic()
        if path is None:
            return
        settings = {"format": FORMAT, **settings}
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        self._file = os.open(path, flags, 0o666)
        try:
            self._lock(path)
            if resume and os.fstat(self._file).st_size:
                self._load(path, settings)
            else:
                os.ftruncate(self._file, 0)
                self._append({"settings": settings})
        except BaseException:
            os.close(self._file)
            raise

    def close(self) -> None:
        """Write everything to the disk."""
        if self._file is not None:
            with suppress(OSError):
                os.fsync(self._file)
            os.close(self._file)
            self._file = None

    def get(self, key: Key) -> Reply | None:
        """The answer that is already there."""
        return self._replies.get(key)

    def put(self, key: Key, model: str, reply: Reply) -> None:
        """Keep an answer.

        Raises:
            OSError: The disk is full.
        """
        row, column, number = key
        self._append({"row": row, "column": column, "try": number, "model": model, **vars(reply)})
        self._keep(key, model, reply)
        self.new += 1

    def server(self, name: str) -> dict[str, bool]:
        """What is known of a server, so that no call has to find it out again."""
        return self._servers.get(name, {})

    def know(self, name: str, facts: dict[str, bool]) -> None:
        """Keep what was found out about a server."""
        if self._servers.get(name) != facts:
            self._servers[name] = facts
            self._append({"server": name, "facts": facts})

    def _keep(self, key: Key, model: str, reply: Reply) -> None:
        self._replies[key] = reply
        self.totals.setdefault(model, Totals()).add(reply)

    def _append(self, line: dict[str, Any]) -> None:
        if self._file is None:
            return
        data = (json.dumps(line) + "\n").encode()
        written = os.write(self._file, data)
        while written < len(data):
            written += os.write(self._file, data[written:])
        if monotonic() - self._synced_s >= SYNC_EVERY_S:
            os.fsync(self._file)
            self._synced_s = monotonic()

    def _lock(self, path: Path) -> None:
        if fcntl is None or self._file is None:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(f"{path}: found another agentgen distill that writes it, expected none") from None

    def _load(self, path: Path, settings: dict[str, Any]) -> None:
        """Read what is there, and cut off an incomplete last line."""
        complete = 0
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.endswith(b"\n"):
                    break
                complete += len(line)
                self._take(path, number, line, settings)
        if self._file is not None:
            os.ftruncate(self._file, complete)
            if complete == 0:
                self._append({"settings": settings})

    def _take(self, path: Path, number: int, line: bytes, settings: dict[str, Any]) -> None:
        try:
            data = json.loads(line)
            if number == 1:
                _check_settings(path, data["settings"], settings)
                return
            if "server" in data:
                self._servers[data["server"]] = {name: bool(value) for name, value in data["facts"].items()}
                return
            reply = Reply(**{field.name: data[field.name] for field in fields(Reply)})
            self._keep((data["row"], data["column"], data["try"]), data["model"], reply)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise RunError(
                f"{path}:{number}: found no line of a journal; choose another directory, or --force to begin anew"
            ) from None


def _check_settings(path: Path, found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Refuse answers to other questions."""
    for name in _names((found, expected)):
        if found.get(name) != expected.get(name):
            raise RunError(
                f"{path}: {name}: found {json.dumps(found.get(name))}, expected {json.dumps(expected.get(name))}; "
                "resume with the same options, choose another directory, or --force to begin anew"
            )


def _names(both: Iterable[dict[str, Any]]) -> list[str]:
    return sorted({name for one in both for name in one})
