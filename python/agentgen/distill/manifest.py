"""`manifest.json`, `report.html` and the data card: what a run was told, what it made, and what it cost."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict
from importlib import metadata
from typing import TYPE_CHECKING, Any

from agentgen import _native
from agentgen.distill import card, dataset
from agentgen.distill.masking import DETECTOR, Masked
from agentgen.replay.urls import shown
from agentgen.settings import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from agentgen.distill.result import Distilled
    from agentgen.distill.settings import DistillSettings, Endpoint

FORMAT = 1
MILLION = 1_000_000
MAX_PROBLEMS = 100  # that are listed


def summary(made: Distilled) -> dict[str, Any]:
    """Everything that is said of a run, as plain data."""
    rows, rated = made.rows, made.rated
    masked = Masked()
    for row in rows:
        masked.add(row.session.masked)
    cut = [row.session.cut_characters for row in rows if row.session.cut_characters]
    return {
        "format_version": FORMAT,
        "program": f"agentgen {_native.__version__} distill",
        "created": made.created.isoformat(timespec="seconds"),
        "dataset_name": made.settings.dataset_name,
        "settings": _settings(made.settings),
        "rows": {
            "asked": made.settings.rows,
            "in_dataset": len(rows),
            "distilled": sum(row.is_distilled for row in rows),
            "failed": sum(row.failed_column is not None for row in rows),
            "recommended": sum(rating.is_recommended for rating in rated),
            "near_duplicates": sum(rating.duplicate_of is not None for rating in rated),
        },
        "failures": dict(Counter(row.failed_column for row in rows if row.failed_column).most_common()),
        "secrets": {
            "detector": f"{DETECTOR} {metadata.version(DETECTOR)}",
            "masked": masked.secrets,
            "rows": sum(bool(row.session.masked.rules) for row in rows),
            "by_rule": dict(sorted(masked.rules.items())),
        },
        "cut": {"rows": len(cut), "characters": sum(cut)},
        "calls": {
            "new": made.new_calls,
            "retries": made.retries,
            "corrections": made.corrections,
            "fresh_tries": made.fresh,
            "by_model": {name: asdict(totals) for name, totals in made.totals.items()},
        },
        "cost": cost(made),
        "duration_s": round(made.duration_s, 3),
        "problems": [asdict(problem) for problem in made.problems[:MAX_PROBLEMS]],
        "problem_count": len(made.problems),
        "records": made.files,
    }


def cost(made: Distilled) -> float | None:
    """What all calls cost at the prices given, in the currency of the prices; None without prices."""
    settings = made.settings
    if settings.price_in is None and settings.price_out is None:
        return None
    prompt = sum(totals.prompt_tokens for totals in made.totals.values())
    completion = sum(totals.completion_tokens for totals in made.totals.values())
    return (prompt * (settings.price_in or 0) + completion * (settings.price_out or 0)) / MILLION


def write(made: Distilled, directory: Path) -> dict[str, Any]:
    """Write the data card and the manifest; returns the manifest.

    Raises:
        OSError: A file cannot be written.
    """
    said = summary(made)
    _native.write_file(directory / card.NAME, card.text(said).encode())
    names = [dataset.DATASET, *made.files, card.NAME]
    written = {**said, "files": _files(directory, names)}
    _native.write_file(directory / MANIFEST, (json.dumps(written, indent=2) + "\n").encode())
    return written


def _files(directory: Path, names: Sequence[str]) -> list[dict[str, Any]]:
    files = []
    for name in names:
        with (directory / name).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            files.append({"name": name, "bytes": file.tell(), "sha256": digest})
    return files


def _settings(settings: DistillSettings) -> dict[str, Any]:
    """The settings; of endpoints neither keys nor parts of URLs that may be keys."""
    return {
        "selection": {name: value for name, value in settings.selection.items() if name != "threads"},
        "model": _endpoint(settings.writer),
        "judge": _endpoint(settings.judge),
        "request_json": settings.request_fields,
        "context_tokens": settings.context_tokens,
        "min_score": settings.min_score,
        "test_share": settings.test_share,
        "price_in": settings.price_in,
        "price_out": settings.price_out,
    }


def _endpoint(endpoint: Endpoint) -> dict[str, str]:
    return {"url": shown(endpoint.url), "model": endpoint.model}
