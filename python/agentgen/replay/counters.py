"""A worker's counters in shared memory, which its parent reads during the run and after the worker has died."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

FIELDS = (
    "sessions_opened",
    "sessions_closed",
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
OPENED, CLOSED, PLANNED, ISSUED, IN_FLIGHT, SUCCEEDED, FAILED, CANCELLED, SKIPPED, NEVER_ISSUED, RETRIES, LATE = range(
    len(FIELDS)
)
PHASES = ("warmup", "run")
RECENT = 1024  # times to first token kept for the progress line; a power of two
CELLS = len(PHASES) * len(FIELDS) + RECENT


class Counters:
    """The counters of one phase of a worker.

    Each planned request, that is each request of an opened session, ends in exactly one of `succeeded`, `failed`,
    `cancelled` (in flight when the run stopped), `skipped` (after a failed turn) and `never_issued` (not due when the
    run stopped). `late` counts responses that arrived after their request had ended.

    Attributes:
        counts: The counters in the order of `FIELDS`.
        recent_us: Ring buffer of the latest times to first token, microseconds.
    """

    def __init__(self, cells: memoryview, phase: str) -> None:
        first = PHASES.index(phase) * len(FIELDS)
        self.counts = cells[first : first + len(FIELDS)]
        self.recent_us = cells[len(PHASES) * len(FIELDS) :]

    def balanced(self) -> bool:
        """No session is open, and every planned request has ended in one of the five ways."""
        counts = self.counts
        ends = counts[SUCCEEDED] + counts[FAILED] + counts[CANCELLED] + counts[SKIPPED] + counts[NEVER_ISSUED]
        return counts[PLANNED] == ends and counts[IN_FLIGHT] == 0 and counts[OPENED] == counts[CLOSED]

    def to_dict(self) -> dict[str, int]:
        """The counters by name."""
        return dict(zip(FIELDS, self.counts, strict=True))


def recent_us(workers: Iterable[memoryview]) -> list[int]:
    """The latest times to first token of several workers, sorted, microseconds."""
    return sorted(value for cells in workers for value in cells[len(PHASES) * len(FIELDS) :] if value)
