"""Times, sizes, counts and rates with units: the only parsers of them (`docs/units.md`).

Each returns None for a text that it does not understand, so that the caller can name the argument.
"""

from __future__ import annotations

import math
import re

Count = int | str
Size = int | str
Time = float | str
Rate = float | str

MAX_CHARACTERS = 40  # of a number
SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
MULTIPLES = {
    "": 1,
    **{letter: 1000**power for power, letter in enumerate("kMGTP", 1)},
    **{f"{letter}i": 1024**power for power, letter in enumerate("KMGTP", 1)},
    "K": 1000,
}
_BYTES = {f"{prefix}{suffix}".lower(): multiple for prefix, multiple in MULTIPLES.items() for suffix in ("", "b")}
_NUMBER = re.compile(r"([0-9]+(?:_[0-9]+)*)?(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]{1,3}))? ?([A-Za-z]*)")
_TARGET = re.compile(r"(ttft|e2e):(mean|p50|p75|p95|p99)=(.+)")
_GPUS = re.compile(r"(?:([0-9]{1,6}) ?x ?)?([^x*-]+?)(?: ?\* ?([0-9.]+%?))?(?: ?- ?([^x*-]+))?")


def parse_count(text: str) -> int | None:
    """A whole number: `10_000`, `10k`, `1.5M`, `64Ki`."""
    parts = _parts(text)
    if parts is None or parts[2] not in MULTIPLES:
        return None
    digits, places, prefix = parts
    whole, rest = divmod(digits * MULTIPLES[prefix], 10**places)
    return None if rest else whole


def parse_size(text: str, *, unit_needed: bool = True) -> int | None:
    """Bytes, rounded down: `300GB`, `300G`, `64GiB`; of GPUs `8x80GB`, of which a share is used, less weights."""
    match = _GPUS.fullmatch(text.strip()) if len(text) <= MAX_CHARACTERS else None
    if match is None:
        return None
    each, weights = _bytes(match[2], unit_needed=unit_needed), _bytes(match[4] or "0", unit_needed=False)
    used = parse_share(match[3] or "1")
    if each is None or weights is None or used is None:
        return None
    of_gpus = int(match[1] or 1) * each
    left = (of_gpus if used == 1 else int(of_gpus * used)) - weights
    return left if left >= 0 else None


def parse_time_s(text: str, *, unit_needed: bool = False) -> float | None:
    """Seconds: `30`, `500ms`, `5m`, `1.5h`."""
    match = _NUMBER.fullmatch(text.strip()) if len(text) <= MAX_CHARACTERS else None
    value = decimal(text.strip().removesuffix(match[4]).rstrip()) if match else None
    unit = (match[4] or ("" if unit_needed else "s")) if match else ""
    return None if value is None or unit not in SECONDS else value * SECONDS[unit]


def parse_rate(text: str) -> float | None:
    """A number, such as tokens per second: `20_000`, `0.5`, `20k`."""
    match = _NUMBER.fullmatch(text.strip()) if len(text) <= MAX_CHARACTERS else None
    value = decimal(text.strip().removesuffix(match[4]).rstrip()) if match else None
    return None if match is None or value is None or match[4] not in MULTIPLES else value * MULTIPLES[match[4]]


def parse_share(text: str) -> float | None:
    """A fraction: `0.9` or `90%`."""
    number = decimal(text.strip().removesuffix("%").rstrip())
    return None if number is None else number / 100 if text.strip().endswith("%") else number


def parse_targets(text: str) -> list[tuple[str, str, float]] | None:
    """Metric, statistic and limit in ms of each of `ttft:p95=2s,e2e:p99=1m`."""
    found = []
    for part in text.split(","):
        match = _TARGET.fullmatch(part.strip())
        limit_s = parse_time_s(match[3]) if match else None
        if match is None or limit_s is None:
            return None
        found.append((match[1], match[2], 1_000 * limit_s))
    return found


def decimal(text: str) -> float | None:
    """A finite number of plain digits, with a fraction or an exponent."""
    match = _NUMBER.fullmatch(text) if len(text) <= MAX_CHARACTERS else None
    if match is None or not (match[1] or match[2]) or match[4] or text.endswith(" "):
        return None
    number = float(text)
    return number if math.isfinite(number) else None


def _bytes(text: str, *, unit_needed: bool) -> int | None:
    parts = _parts(text)
    multiple = _BYTES.get(parts[2].lower()) if parts else None
    if parts is None or multiple is None or (unit_needed and not parts[2]):
        return None
    digits, places, _ = parts
    return int(digits * multiple // 10**places)


def _parts(text: str) -> tuple[int, int, str] | None:
    """All digits, how many of them are after the point, and the unit; no exponent."""
    match = _NUMBER.fullmatch(text.strip()) if len(text) <= MAX_CHARACTERS else None
    if match is None or match[3] or not (match[1] or match[2]):
        return None
    fraction = match[2] or ""
    return int((match[1] or "0").replace("_", "") + fraction), len(fraction), match[4]
