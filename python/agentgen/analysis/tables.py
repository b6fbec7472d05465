"""Tables of figures for a person, in 80 columns."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

WIDTH = 80
GAP = "  "
NONE = "-"
BYTES = {"GB": 10**9, "TB": 10**12}
MOST_GB = 10_000
DIGITS = {"GB": 1, "TB": 2}  # after the point

SECOND = 1_000
MINUTE = 60 * SECOND


def table(
    title: str,
    headings: Sequence[str],
    rows: Iterable[tuple[str, Sequence[str]]],
    groups: Sequence[int] | None = None,
) -> Iterator[str]:
    """A title and its rows; the columns that do not fit beside the others come below, with the labels once more.

    `groups` are the numbers of columns that stay together; by default each may stand alone.
    """
    rows = list(rows)
    label_width = max(len(label) for label, _ in rows)
    widths = [max(map(len, column)) for column in zip(headings, *(cells for _, cells in rows), strict=True)]
    yield title
    first = end = used = 0
    for group in [*(groups or [1] * len(headings)), 0]:
        more = sum(len(GAP) + width for width in widths[end : end + group])
        if end > first and (not group or len(GAP) + label_width + used + more > WIDTH):
            for label, cells in (("", headings), *rows) if any(headings) else rows:
                cut = "".join(GAP + f"{cells[column]:>{widths[column]}}" for column in range(first, end))
                yield f"{GAP}{label:<{label_width}}{cut}".rstrip()
            first, used = end, 0
        end, used = end + group, used + more


def fold(clauses: Iterable[str], *, first: str = "", rest: str = "") -> Iterator[str]:
    """Clauses on as few lines as hold them, broken between clauses; one that no line holds is broken between words."""
    room = WIDTH - len(rest)
    whole = " ".join(clause.replace(" ", "\N{NO-BREAK SPACE}") if len(clause) <= room else clause for clause in clauses)
    for line in wrap(
        whole, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False, break_long_words=False
    ):
        yield line.replace("\N{NO-BREAK SPACE}", " ")


def trace_names(count: int) -> list[str]:
    """Letters that stand for traces side by side."""
    return [chr(ord("A") + index) if count <= 26 else str(index + 1) for index in range(count)]  # noqa: PLR2004  A-Z


def counted(count: int, noun: str) -> str:
    """`1 session`, `1,066 sessions`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


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


def memory_unit(largest: int) -> str:
    """The decimal unit in which a person reads sizes up to this."""
    return "TB" if largest > MOST_GB * BYTES["GB"] else "GB"


def memory(count: int, unit: str) -> str:
    """`404.5` GB, `20.62` TB."""
    size = count / BYTES[unit]
    return f"{size:,.{DIGITS[unit]}f}" if size >= 0.1 else f"{size:#.3g}"  # noqa: PLR2004  three digits


def duration(ms: float) -> str:
    """`58 min 57 s`; the two largest units."""
    if ms < MINUTE:
        return f"{ms / SECOND:.3g} s"
    seconds = round(ms / SECOND)
    hours, minutes, rest = seconds // 3600, seconds // 60 % 60, seconds % 60
    parts = ((hours, "h"), (minutes, "min")) if hours else ((minutes, "min"), (rest, "s"))
    return " ".join(f"{count} {unit}" for count, unit in parts if count)
