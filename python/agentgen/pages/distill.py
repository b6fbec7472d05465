"""`report.html` of distilled sessions: scores, why rows are not recommended, and samples beside their digests."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from agentgen.distill.dataset import PAGE
from agentgen.distill.judge import CRITERIA
from agentgen.pages.render import Page, render, write_file
from agentgen.pages.survey import LONGEST, clipped

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from agentgen.distill.pipeline import Row
    from agentgen.distill.rating import Rating
    from agentgen.distill.result import Distilled

SAMPLES = 40  # rows of each kind that are shown
MAX_TEXT = 3_000  # characters of a text
MAX_REASONS = 20
RECOMMENDED, OTHER, FAILED = "recommended", "not recommended", "failed"


def page(made: Distilled, said: dict[str, Any]) -> Page:
    """The page of a run."""
    judged = [row.judgement.scores() for row in made.rows if row.judgement is not None]
    return Page(
        name=PAGE,
        title=f"Distilled: {clipped(said['dataset_name'], LONGEST)}",
        lead="What became of recorded sessions: scores, reasons of rejection, and records beside their digests.",
        modules=("report/plots.js", "distill/samples.js", "distill/main.js"),
        data={
            **{name: said[name] for name in ("rows", "secrets", "cut", "calls", "cost", "records", "duration_s")},
            "settings": {
                "model": clipped(said["settings"]["model"]["model"], LONGEST),
                "judge": clipped(said["settings"]["judge"]["model"], LONGEST),
                "min_score": said["settings"]["min_score"],
            },
            "criteria": list(CRITERIA),
            "scores": {name: [Counter(one[name] for one in judged)[score] for score in range(5)] for name in CRITERIA},
            "values": dict(Counter(row.digest.training_value for row in made.rows if row.digest is not None)),
            "rejections": list(_rejections(made)),
            "failures": [
                {"reason": clipped(reason, MAX_TEXT), "rows": count}
                for reason, count in Counter(
                    f"{row.failed_column}: {row.failure}" for row in made.rows if row.failed_column
                ).most_common(MAX_REASONS)
            ],
            "samples": _samples(made.rows, made.rated),
            "kinds": [RECOMMENDED, OTHER, FAILED],
        },
    )


def write(made: Distilled, said: dict[str, Any], directory: Path) -> Path:
    """Write the page next to the data.

    Raises:
        AgentgenError: The chart library is missing.
        OSError: The file cannot be written.
    """
    return write_file(directory / PAGE, render(page(made, said)))


def _rejections(made: Distilled) -> Iterator[dict[str, Any]]:
    """Reasons why rows are not in the files for fine-tuning; a row may have several."""
    least = made.settings.min_score
    yield {"reason": "failed", "rows": sum(row.failed_column is not None for row in made.rows)}
    for level in ("medium", "low"):
        found = sum(bool(row.judgement and row.digest and row.digest.training_value == level) for row in made.rows)
        yield {"reason": f"training value {level}", "rows": found}
    for name in CRITERIA:
        count = sum(row.judgement is not None and row.judgement.scores()[name] < least for row in made.rows)
        yield {"reason": f"{name.replace('_', ' ')} below {least}", "rows": count}
    count = sum(rating.is_recommended and rating.duplicate_of is not None for rating in made.rated)
    yield {"reason": "repeats another recommended record", "rows": count}


def _samples(rows: Sequence[Row], rated: Sequence[Rating]) -> list[dict[str, Any]]:
    """The first rows of each kind, in order."""
    shown: Counter[str] = Counter()
    samples = []
    for row, rating in zip(rows, rated, strict=True):
        kind = FAILED if row.failed_column else RECOMMENDED if rating.is_recommended else OTHER
        shown[kind] += 1
        if shown[kind] <= SAMPLES:
            samples.append(_sample(row, rating, kind))
    return samples


def _sample(row: Row, rating: Rating, kind: str) -> dict[str, Any]:
    parts = {
        "digest": row.digest and row.digest.model_dump(),
        "record": row.record and row.record.model_dump(),
        "judgement": row.judgement and row.judgement.model_dump(),
        "failure": row.failed_column and f"{row.failed_column}: {row.failure}",
        "duplicate_of": rating.duplicate_of,
    }
    return {"index": row.session.index, "id": clipped(row.session.trace_id), "kind": kind, **_short(parts)}


def _short(value: Any) -> Any:
    """The same with texts of a bounded length."""
    if isinstance(value, dict):
        return {name: _short(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_short(one) for one in value]
    if isinstance(value, str) and len(value) > MAX_TEXT:
        return f"{value[:MAX_TEXT]}…"
    return value
