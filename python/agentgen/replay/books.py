"""Counters of a worker, in memory that its parent reads as it goes, and still reads when the worker has been killed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

FIELDS = (
    "sessions_opened",
    "sessions_over",
    "planned",
    "issued",
    "in_flight",
    "succeeded",
    "failed",
    "cancelled",
    "skipped",
    "never_issued",
    "retries",
    "late",
)
OPENED, OVER, PLANNED, ISSUED, IN_FLIGHT, SUCCEEDED, FAILED, CANCELLED, SKIPPED, NEVER_ISSUED, RETRIES, LATE = range(
    len(FIELDS)
)
PHASES = ("warmup", "run")
RECENT = 1024  # first-token times kept for the progress line, a power of two
CELLS = len(PHASES) * len(FIELDS) + RECENT


class Books:
    """The counters of one phase, in a worker's cells.

    Every planned request ends up in exactly one of `succeeded`, `failed`, `cancelled` (in flight when the run was
    stopped), `skipped` (behind a failed turn) and `never_issued` (not begun when the run was stopped).

    Attributes:
        counts: The counters, in the order of `FIELDS`.
        recent_us: The last first-token times, microseconds, as a ring.
    """

    def __init__(self, cells: memoryview, phase: str) -> None:
        first = PHASES.index(phase) * len(FIELDS)
        self.counts = cells[first : first + len(FIELDS)]
        self.recent_us = cells[len(PHASES) * len(FIELDS) :]

    def closed(self) -> bool:
        """Nothing is open, and every planned request is accounted for."""
        counts = self.counts
        ends = counts[SUCCEEDED] + counts[FAILED] + counts[CANCELLED] + counts[SKIPPED] + counts[NEVER_ISSUED]
        return counts[PLANNED] == ends and counts[IN_FLIGHT] == 0 and counts[OPENED] == counts[OVER]

    def to_dict(self) -> dict[str, int]:
        """The counters by name."""
        return dict(zip(FIELDS, self.counts, strict=True))


def recent_us(blocks: Iterable[memoryview]) -> list[int]:
    """The last first-token times of several workers, sorted, microseconds."""
    return sorted(value for block in blocks for value in block[len(PHASES) * len(FIELDS) :] if value)
