"""Which rows are recommended, which repeat another, and which part each is in."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from agentgen.distill.duplicates import near_duplicates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentgen.distill.pipeline import Row

HIGH = "high"
TRAIN, TEST = "train", "test"


@dataclass(frozen=True)
class Rating:
    """What is said of a row.

    Attributes:
        is_recommended: All five scores are high enough and the training value is high.
        duplicate_of: The trace whose record it nearly repeats, if there is one.
    """

    is_recommended: bool
    duplicate_of: str | None

    @property
    def is_kept(self) -> bool:
        """Whether the row is in the files for fine-tuning."""
        return self.is_recommended and self.duplicate_of is None


def ratings(rows: Sequence[Row], min_score: int) -> list[Rating]:
    """Rate all rows; of nearly equal records a recommended one is the one that the others repeat."""
    recommended = [_is_recommended(row, min_score) for row in rows]
    first = sorted(range(len(rows)), key=lambda index: (not recommended[index], index))
    texts = ((index, f"{record.instruction}\n{record.response}") for index in first if (record := rows[index].record))
    repeated = near_duplicates(texts)
    return [
        Rating(is_good, rows[repeated[index]].session.trace_id if index in repeated else None)
        for index, is_good in enumerate(recommended)
    ]


def part_of(root_session_id: str, test_share: float) -> str:
    """The part of a root session: by a hash of its id, so that a longer run moves none."""
    place = int.from_bytes(blake2b(root_session_id.encode(), digest_size=8).digest()) / 2**64
    return TEST if place < test_share else TRAIN


def _is_recommended(row: Row, min_score: int) -> bool:
    if row.digest is None or row.judgement is None:
        return False
    return row.digest.training_value == HIGH and min(row.judgement.scores().values()) >= min_score
