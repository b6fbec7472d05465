"""The comparison of replays as text: figures side by side, ratios to the first run, then intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentgen.replay.summary_text import figure
from agentgen.text.format import NONE, counted, percent
from agentgen.text.layout import BLANK, Table, line, paragraph

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import RenderableType

    Stated = dict[str, Any]
    Show = Callable[[float | None], str]

SHARES = ("success_share", "cache_hit_rate")
RATIO_DECIMALS = 2
UNITS = {"_ms": ", ms", "_per_second": "/s"}
DRAWN = {"runs": "of runs (repeats)", "sessions": "of sessions (single runs)"}


def pieces(comparison: Stated) -> Iterator[RenderableType]:
    """The runs, warnings about their differences, and the table."""
    groups = comparison["groups"]
    for group in groups:
        failed = f", {group['failed']:,} failed" if group["failed"] else ""
        played = f"{counted(group['succeeded'], 'request')} of {counted(group['sessions'], 'session')}{failed}"
        yield line(f"{group['label']}  {played}")
        yield from (line(f"  {directory}") for directory in group["directories"])
    for warning in comparison["warnings"]:
        yield paragraph(warning["message"], first="warning: ", rest="  ")
    if not any(group["succeeded"] or group["failed"] for group in groups):
        return  # each run has a warning about it
    yield BLANK
    yield _table(comparison)
    drawn = {group["resampled"] for group in groups}
    units = " and ".join(words for unit, words in DRAWN.items() if unit in drawn)
    share = f"{100 * comparison['confidence']:g} %"
    yield paragraph(f"In brackets: {share} bootstrap intervals from {comparison['resamples']:,} draws {units}.")


def _table(comparison: Stated) -> Table:
    """All figures, then all ratios, then all intervals, so that the first two fit side by side."""
    first, *others = (group["label"] for group in comparison["groups"])
    headings = [first, *others]
    for label in others:
        headings += [f"{label} / {first}", ""]
    headings += [f"{label}, interval" for label in (first, *others)]
    title = "full window; successful requests (lag: all requests sent)"
    rows = [(_label(row["name"]), _cells(row)) for row in comparison["figures"] if any(row["values"])]
    intervals = [2] if len(others) == 1 else [1] * (1 + len(others))
    return Table(title, headings, rows, [1 + len(others), *(2 for _ in others), *intervals])


def _label(name: str) -> str:
    for suffix, unit in UNITS.items():
        if name.endswith(suffix):
            return name.removesuffix(suffix).replace("_", " ") + unit
    return name.replace("_", " ")


def _cells(row: Stated) -> list[str]:
    show: Show = percent if row["name"] in SHARES else figure
    values = row["values"]
    cells = [show(value["value"]) if value else NONE for value in values]
    for value in values[1:]:
        cells += [_ratio(value["ratio"]), _interval(value["ratio_interval"], _ratio)] if value else [NONE, ""]
    return cells + [_interval(value["interval"], show) if value else "" for value in values]


def _ratio(value: float | None) -> str:
    return NONE if value is None else f"{value:.{RATIO_DECIMALS}f}"


def _interval(ends: list[float] | None, show: Show) -> str:
    return f"[{show(ends[0])}, {show(ends[1])}]" if ends else ""
