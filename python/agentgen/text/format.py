"""Numbers, sizes and durations as people read them."""

from __future__ import annotations

import math

NONE = "-"
BYTES = {"GB": 10**9, "TB": 10**12}
MOST_GB = 10_000
DECIMALS = {"GB": 1, "TB": 2}
KILO = 1000

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
SHOWN_DAYS = 2  # shorter times are hours
MANY = 100  # of a unit, from which a column has that unit
TIME_UNITS = ((HOUR_MS, "hours"), (SECOND_MS, "seconds"), (1, "ms"))


def printable(text: str) -> str:
    """The text with characters that would break or colour a line (controls, lone surrogates) as escapes."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text
    )


def trace_names(count: int) -> list[str]:
    """Names of traces side by side: A to Z, or numbers for more than 26."""
    return [chr(ord("A") + index) if count <= 26 else str(index + 1) for index in range(count)]  # noqa: PLR2004  A-Z


def counted(count: int, noun: str) -> str:
    """`1 session`, `1,066 sessions`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def percent(share: float | None) -> str:
    """`93.1 %`."""
    return NONE if share is None else f"{100 * share:.1f} %"


def number(value: float | None) -> str:
    """`12,035`; below 100 with one decimal unless whole: `15.6`."""
    if value is None:
        return NONE
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"  # noqa: PLR2004  three digits


def short(count: int) -> str:
    """A round number with a unit: `20 k`, `5 M`."""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= size:
            return f"{count // size} {unit}"
    return str(count)


def memory_unit(largest: int) -> str:
    """The decimal unit for sizes up to `largest` bytes."""
    return "TB" if largest > MOST_GB * BYTES["GB"] else "GB"


def memory(count: int, unit: str, *, up: bool = False) -> str:
    """Bytes as a number of `unit`: `404.5` (GB), `20.62` (TB); `up` rounds up, for what is needed at least."""
    size = count / BYTES[unit]
    if up:
        size = math.ceil(size * 10 ** DECIMALS[unit]) / 10 ** DECIMALS[unit]
    return f"{size:,.{DECIMALS[unit]}f}" if size >= 0.1 else f"{size:#.3g}"  # noqa: PLR2004  three digits


def file_size(count: float) -> str:
    """Bytes of a file with a unit: `812 B`, `1.4 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < KILO:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= KILO
    return f"{count:.1f} TB"


def duration(ms: float) -> str:
    """The two largest units: `58 min 57 s`, `43 d 8 h`."""
    if ms < MINUTE_MS:
        return f"{ms / SECOND_MS:.3g} s"
    seconds = round(ms / SECOND_MS)
    days, hours, minutes, rest = seconds // 86400, seconds // 3600, seconds // 60 % 60, seconds % 60
    if days >= SHOWN_DAYS:
        parts = ((days, "d"), (hours % 24, "h"))
    else:
        parts = ((hours, "h"), (minutes, "min")) if hours else ((minutes, "min"), (rest, "s"))
    return " ".join(f"{count:,} {unit}" for count, unit in parts if count)


def time_unit(largest_ms: float) -> tuple[float, str]:
    """The unit for times up to this one, in ms, and its name: whole columns have one unit."""
    return next(((ms, name) for ms, name in TIME_UNITS if largest_ms >= MANY * ms), TIME_UNITS[-1])


def scaled(ms: float | None, unit_ms: float) -> str:
    """A time in a unit, with three significant digits or whole: `1,234`, `56.7`, `0.0123`."""
    if ms is None:
        return NONE
    value = ms / unit_ms
    return number(value) if unit_ms == 1 else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004
