"""Tables of figures for a person, in 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

WIDTH = 80
GAP = "  "
NONE = "-"

SECOND = 1_000
MINUTE = 60 * SECOND


def table(title: str, headings: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]]) -> Iterator[str]:
    """A title and its rows; the columns that do not fit beside the others come below, with the labels once more."""
    rows = list(rows)
    label_width = max(len(label) for label, _ in rows)
    widths = [max(map(len, column)) for column in zip(headings, *(cells for _, cells in rows), strict=True)]
    yield title
    first = 0
    while first < len(headings):
        end, used = first, len(GAP) + label_width
        while end < len(headings) and (end == first or used + len(GAP) + widths[end] <= WIDTH):
            used += len(GAP) + widths[end]
            end += 1
        shown = range(first, end)
        for label, cells in (("", headings), *rows) if any(headings) else rows:
            cut = "".join(GAP + f"{cells[column]:>{widths[column]}}" for column in shown)
            yield f"{GAP}{label:<{label_width}}{cut}".rstrip()
        first = end


def percent(share: float | None) -> str:
    """`93.1 %`."""
    return NONE if share is None else f"{100 * share:.1f} %"


def number(value: float | None) -> str:
    """`12,035`, or `15.6` of what is small and no whole number."""
    if value is None:
        return NONE
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"  # noqa: PLR2004  three digits


def short(count: int) -> str:
    """A round number: `20 k`, `5 M`."""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= size:
            return f"{count // size} {unit}"
    return str(count)


def gigabytes(count: int) -> str:
    """Decimal ones: `404.5`."""
    return f"{count / 10**9:,.1f}" if count >= 10**8 else f"{count / 10**9:.3g}"


def duration(ms: float) -> str:
    """`58 min 57 s`; the two largest units."""
    if ms < MINUTE:
        return f"{ms / SECOND:.3g} s"
    seconds = round(ms / SECOND)
    hours, minutes, rest = seconds // 3600, seconds // 60 % 60, seconds % 60
    parts = ((hours, "h"), (minutes, "min")) if hours else ((minutes, "min"), (rest, "s"))
    return " ".join(f"{count} {unit}" for count, unit in parts if count)
