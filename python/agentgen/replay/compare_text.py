"""Runs side by side for a person, in 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentgen.analysis.tables import NONE, counted, fold, percent, table
from agentgen.replay.summary_text import figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    Stated = dict[str, Any]

SHARES = ("success_share", "cache_hit_rate")
RATIO_DIGITS = 2


def lines(comparison: Stated) -> Iterator[str]:
    """What is compared, and the table."""
    groups = comparison["groups"]
    for group in groups:
        failed = f", {group['failed']:,} failed" if group["failed"] else ""
        told = f"{counted(group['succeeded'], 'request')} of {counted(group['sessions'], 'session')}{failed}"
        yield f"{group['label']}  {told}"
        yield from (f"  {directory}" for directory in group["directories"])
    for warning in comparison["warnings"]:
        yield from fold(warning["message"].split(" "), first="warning: ", rest="  ")
    if not any(group["succeeded"] or group["failed"] for group in groups):
        return  # a warning of each says so
    yield ""
    headings = [groups[0]["label"], ""]
    for group in groups[1:]:
        headings += [group["label"], "", f"/ {groups[0]['label']}", ""]
    rows = [
        (_words(row["name"]), [cell for at, value in enumerate(row["values"]) for cell in _cells(row, value, at)])
        for row in comparison["figures"]
        if any(row["values"])
    ]
    title = "full window; requests that succeeded (lag: all that were sent)"
    yield from table(title, headings, rows, [2] + [4] * (len(groups) - 1))
    drawn = {group["resampled"] for group in groups}
    of = {"runs": "of runs, where there are repeats", "sessions": "of sessions, where there is one run"}
    what = ", and ".join(words for unit, words in of.items() if unit in drawn)
    share = f"{100 * comparison['confidence']:g} %"
    yield from fold(f"In brackets: {share} intervals of {comparison['resamples']:,} draws {what}.".split(" "))


def _words(name: str) -> str:
    for unit, words in {"_ms": ", ms", "_per_second": "/s"}.items():
        if name.endswith(unit):
            return name.removesuffix(unit).replace("_", " ") + words
    return name.replace("_", " ")


def _cells(row: Stated, value: Stated | None, at: int) -> list[str]:
    if value is None:
        return [NONE, ""] + ([NONE, ""] if at else [])
    show = percent if row["name"] in SHARES else figure
    cells = [show(value["value"]), _interval(value["interval"], show)]
    if at:
        ratio = value["ratio"]
        cells += [NONE if ratio is None else _ratio(ratio), _interval(value["ratio_interval"], _ratio)]
    return cells


def _ratio(value: float | None) -> str:
    return NONE if value is None else f"{value:.{RATIO_DIGITS}f}"


def _interval(ends: list[float] | None, show: Any) -> str:
    return f"[{show(ends[0])}, {show(ends[1])}]" if ends else ""
