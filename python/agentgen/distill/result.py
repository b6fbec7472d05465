"""What a run made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from agentgen._import import ImportProblem
    from agentgen.distill.journal import Totals
    from agentgen.distill.pipeline import Row
    from agentgen.distill.rating import Rating
    from agentgen.distill.settings import DistillSettings


@dataclass(frozen=True)
class Distilled:
    """What a run made.

    Attributes:
        settings: What it was told.
        rows: All rows, in the order of the sources.
        rated: Which are recommended and which repeat another.
        problems: Parts of the sources that could not be used.
        totals: What was paid for, by model, earlier runs of the directory included.
        new_calls: Answers of this run.
        retries: Requests that were repeated because the server was busy or away.
        corrections: Answers that went back with what was wrong.
        fresh: Fresh tries.
        duration_s: How long this run took.
        created: When it began.
        files: Number of records by file.
    """

    settings: DistillSettings
    rows: Sequence[Row]
    rated: Sequence[Rating]
    problems: Sequence[ImportProblem]
    totals: dict[str, Totals]
    new_calls: int
    retries: int
    corrections: int
    fresh: int
    duration_s: float
    created: datetime
    files: dict[str, int]
