"""The comparison of replays as text: what changed, figures side by side with ratios and verdicts, then intervals."""

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
LARGE = 100
VERDICTS = {"better": "better", "worse": "worse", "within_noise": "within noise", "unknown": "unknown", None: ""}
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
    for at, group in enumerate(groups[1:], 1):
        yield paragraph(_verdicts(comparison, group["label"], at), rest="  ")
    yield BLANK
    yield _table(comparison)
    drawn = {group["resampled"] for group in groups}
    units = " and ".join(words for unit, words in DRAWN.items() if unit in drawn)
    share = f"{100 * comparison['confidence']:g} %"
    yield paragraph(
        f"In brackets: {share} bootstrap intervals from {comparison['resamples']:,} draws {units}. A ratio whose "
        "interval holds 1 is within noise."
    )
    if any(value and value["verdict"] == "unknown" for row in comparison["figures"] for value in row["values"]):
        yield paragraph("unknown: only repeats show how much a figure varies from run to run (LABEL=DIR,DIR...).")


def _verdicts(comparison: Stated, label: str, at: int) -> str:
    """What changed from the first run to this one, in a sentence."""
    rows = [(row["name"], row["values"][at]) for row in comparison["figures"] if row["values"][at]]
    first = comparison["groups"][0]["label"]
    clear = []
    for verdict in ("better", "worse"):
        found = [
            f"{_label(name)} ({shown_ratio(value['ratio'])})" for name, value in rows if value["verdict"] == verdict
        ]
        if found:
            clear.append(f"{verdict} in {'; '.join(found)}")
    noise = sum(value["verdict"] == "within_noise" for _, value in rows)
    if noise and clear:
        clear.append(f"{counted(noise, 'figure')} within noise")
    return f"{label} against {first}: {'. '.join(clear) or 'no difference is more than noise'}"


def _table(comparison: Stated) -> Table:
    """All figures with ratios and verdicts, then all intervals, so that the first fit side by side."""
    first, *others = (group["label"] for group in comparison["groups"])
    headings = [first, *others]
    for label in others:
        headings += [f"{label} / {first}", "" if len(others) == 1 else label]
    for label in others:
        headings.append(f"{label} / {first}, interval")
    headings += [f"{label}, interval" for label in (first, *others)]
    title = "full window; successful requests (lag: all requests sent)"
    rows = [(_label(row["name"]), _cells(row)) for row in comparison["figures"] if any(row["values"])]
    # Values stay side by side, and each ratio with its verdict; intervals move alone.
    intervals = len(headings) - 1 - 3 * len(others)
    return Table(title, headings, rows, [1 + len(others), *(2 for _ in others), *(1 for _ in range(intervals))])


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
        cells += [shown_ratio(value["ratio"]), VERDICTS[value["verdict"]]] if value else [NONE, ""]
    cells += [_interval(value["ratio_interval"], shown_ratio) if value else "" for value in values[1:]]
    return cells + [_interval(value["interval"], show) if value else "" for value in values]


def shown_ratio(value: float | None) -> str:
    """Three significant digits, however small: `0.00123`, `1.02`, `15.3`."""
    if value is None:
        return NONE
    return f"{value:,.0f}" if abs(value) >= LARGE else f"{value:#.3g}".removesuffix(".")


def _interval(ends: list[float] | None, show: Show) -> str:
    return f"[{show(ends[0])}, {show(ends[1])}]" if ends else ""
