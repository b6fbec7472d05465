"""Rows on disk while a collection runs: complete ones only, so that it can go on after any end."""

from __future__ import annotations

import json
import os
from typing import IO, TYPE_CHECKING, Any

from agentgen._native import write_file
from agentgen.collect.rows import is_row, to_line, to_lines, to_view
from agentgen.errors import CollectError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# Settings of rows that belong together.
SAME = (
    *("model", "dataset_name", "tasks_version", "fixture_version", "sandbox", "actions", "max_steps", "seed"),
    *("request_fields", "limits"),
)


class Journal:
    """The file `NAME.partial.jsonl` beside the output, which gets a row when its task has ended.

    Attributes:
        path: The file.
        rows: Rows of the output and of the file, by the id of their task.
    """

    def __init__(self, output: Path) -> None:
        self.output = output
        self.view = output.with_suffix(".parquet")
        self.path = output.with_suffix(f".partial{output.suffix}")
        self.rows: dict[int | str, dict[str, Any]] = {}
        self._file: IO[bytes] | None = None

    def refuse_existing(self) -> None:
        """Refuse to replace what is there.

        Raises:
            CollectError: There is a complete or an incomplete output.
        """
        if self.output.exists() or self.view.exists():
            there = self.output if self.output.exists() else self.view
            raise CollectError(f"{there}: found a file, expected none; --resume adds tasks to it, --force replaces it")
        if self.path.exists():
            raise CollectError(f"{self.path}: found an unfinished collection; --resume continues it, --force drops it")

    def load(self) -> None:
        """Read the rows that are there; a row that a crash has cut is dropped.

        Raises:
            CollectError: A line is no row of a collection.
            OSError: A file cannot be read.
        """
        for path in (self.output, self.path):
            if path.exists():
                self._load(path)

    def check(self, settings: dict[str, Any]) -> None:
        """Refuse settings under which other rows would be made.

        Raises:
            CollectError: A row has other ones.
        """
        for row in self.rows.values():
            for name in SAME:
                found = row["metadata"].get(name)
                if name in settings and found != settings[name]:
                    problem = f"found rows with {name} {json.dumps(found)}, expected {json.dumps(settings[name])}"
                    raise CollectError(f"{self.output}: {problem} (run with the same settings, or write another file)")

    def add(self, row: dict[str, Any]) -> None:
        """Keep a row; it is on the disk, not only in the system's cache, when this returns."""
        if self._file is None:
            self._file = self.path.open("ab")
        self._file.write(to_line(row))
        self._file.flush()
        os.fsync(self._file.fileno())
        self.rows[row["task_id"]] = row

    def close(self) -> None:
        """Close the file; without a row it is removed."""
        if self._file:
            self._file.close()
            self._file = None

    def drop(self) -> None:
        """Remove an unfinished collection."""
        self.path.unlink(missing_ok=True)

    def finish(self, order: Sequence[int | str]) -> list[Path]:
        """Write the output and its Parquet view, rows in the order of their tasks; the files.

        Raises:
            OSError: A file cannot be written; the journal stays.
        """
        self.close()
        known = set(order)
        ids = [*order, *(task for task in self.rows if task not in known)]  # those of an earlier, larger run stay
        rows = [self.rows[task] for task in ids if task in self.rows]
        write_file(self.view, to_view(rows, self.output.name))
        write_file(self.output, to_lines(rows))  # last: it stands for both
        self.drop()
        return [self.output, self.view]

    def _load(self, path: Path) -> None:
        data = path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        for number, line in enumerate(whole.split(b"\n")[:-1], start=1):
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            if not is_row(row):
                raise CollectError(f"{path}:{number}: not a row of a collection")
            self.rows[row["task_id"]] = row
        if path == self.path and len(whole) < len(data):
            os.truncate(path, len(whole))
