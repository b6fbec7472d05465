"""The recorded sessions of a run, one after the other, without secrets."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from agentgen import _native
from agentgen._import import ImportProblem
from agentgen.distill import digest
from agentgen.distill.excerpt import excerpt

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

    from agentgen._native import Batch, RolloutSelection
    from agentgen.distill.masking import Masked, Masker

SLICE_BYTES = 1 << 20  # of rows that are Python objects at a time


@dataclass(frozen=True)
class Session:
    """One recorded session.

    Attributes:
        index: Its place in the run, from 0.
        trace_id: Its id.
        root: The root session that it shares with its sub-agents and copies.
        key: What names it in the journal: a digest of its prompt, and which of those with the same prompt it is.
        prompt: The prompt of its digest.
        is_empty: Whether it has no message.
        cut_characters: Characters of the shown messages that the prompt leaves out.
        masked: Secrets that were masked in it.
    """

    index: int
    trace_id: str
    root: str
    key: str
    prompt: str
    is_empty: bool
    cut_characters: int
    masked: Masked


def check(selection: RolloutSelection) -> None:
    """Open the sources, so that what is wrong with them is said before anything is made.

    Raises:
        TraceError: There is no file, or a named one has another format.
        OSError: A file cannot be read.
    """
    batches, _ = _native.open_rollouts(selection)
    batches.close()


class Rows:
    """The rows of a selection as frames without secrets.

    Attributes:
        problems: Parts of the sources that could not be used, as they are read.
    """

    def __init__(self, selection: RolloutSelection, masker: Masker) -> None:
        self._selection = selection
        self._masker = masker
        self.problems: list[ImportProblem] = []

    def frames(self) -> Iterator[tuple[pl.DataFrame, list[dict[str, Any]], list[Masked]]]:
        """Frames, the same rows as plain data, and what was masked in each.

        Raises:
            TraceError: There is no file, or a named one has another format.
            OSError: A file cannot be read.
        """
        batches, problems = _native.open_rollouts(self._selection)
        try:
            while (batch := next(batches, None)) is not None:
                yield from self._slices(batch)
                del batch  # before the next one is read
        finally:
            batches.close()
        self.problems = [ImportProblem(**problem) for problem in json.loads(problems.take())]

    def _slices(self, batch: Batch) -> Iterator[tuple[pl.DataFrame, list[dict[str, Any]], list[Masked]]]:
        import polars as pl  # noqa: PLC0415  an extra

        whole = pl.DataFrame(batch)
        at_once = SLICE_BYTES * whole.height // max(1, int(whole.estimated_size()))
        for frame in whole.iter_slices(max(1, at_once)):
            pairs = [self._masker.mask(row) for row in frame.iter_rows(named=True)]
            rows, masked = [row for row, _ in pairs], [found for _, found in pairs]
            is_changed = any(found.rules for found in masked)
            yield (pl.DataFrame(rows, schema=frame.schema) if is_changed else frame), rows, masked

    def sessions(self, budget: int) -> Iterator[Session]:
        """Sessions with prompts of at most `budget` bytes."""
        seen: dict[str, int] = {}
        index = 0
        for _, rows, masked in self.frames():
            for row, found in zip(rows, masked, strict=True):
                shown = excerpt(row, budget)
                prompt = digest.prompt(shown.text)
                name = blake2b(prompt.encode(), digest_size=16).hexdigest()
                number = seen[name] = seen.get(name, -1) + 1
                key = f"{name}-{number}" if number else name
                is_empty = not row["messages"]
                root = row["root_session_id"] or row["trace_id"]
                yield Session(index, row["trace_id"], root, key, prompt, is_empty, shown.cut_characters, found)
                index += 1
