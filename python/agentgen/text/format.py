"""Numbers, sizes and durations as people read them."""

from __future__ import annotations

NONE = "-"
BYTES = {"GB": 10**9, "TB": 10**12}
MOST_GB = 10_000
DECIMALS = {"GB": 1, "TB": 2}
KILO = 1000

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS


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


def memory(count: int, unit: str) -> str:
    """Bytes as a number of `unit`: `404.5` (GB), `20.62` (TB)."""
    size = count / BYTES[unit]
    return f"{size:,.{DECIMALS[unit]}f}" if size >= 0.1 else f"{size:#.3g}"  # noqa: PLR2004  three digits


def file_size(count: float) -> str:
    """Bytes of a file with a unit: `812 B`, `1.4 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < KILO:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= KILO
    return f"{count:.1f} TB"


def duration(ms: float) -> str:
    """The two largest units: `58 min 57 s`."""
    if ms < MINUTE_MS:
        return f"{ms / SECOND_MS:.3g} s"
    seconds = round(ms / SECOND_MS)
    hours, minutes, rest = seconds // 3600, seconds // 60 % 60, seconds % 60
    parts = ((hours, "h"), (minutes, "min")) if hours else ((minutes, "min"), (rest, "s"))
    return " ".join(f"{count} {unit}" for count, unit in parts if count)
