"""Option types of quantities: rates, shares, sizes, capacities, durations."""

from __future__ import annotations

import math
import re
from typing import Any, NamedTuple

import click

from agentgen.analysis.figures import MAX_BYTES, MAX_CAPACITIES, MIN_RATE
from agentgen.cli._options import MAX_CHARACTERS

UNITS = {
    "b": 1,
    **{f"{letter}b": 1000**power for power, letter in enumerate("kmgtp", 1)},
    **{f"{letter}ib": 1024**power for power, letter in enumerate("kmgtp", 1)},
}


class Rate(click.ParamType[float]):
    """Tokens per second; with `zero_allowed` also 0, for no delay."""

    name = "rate"

    def __init__(self, *, zero_allowed: bool = False) -> None:
        self.zero_allowed = zero_allowed

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parse a decimal number of at least `MIN_RATE`."""
        rate = _decimal(str(value))
        if not (MIN_RATE <= rate < math.inf or (self.zero_allowed and rate == 0)):
            zero = ", or 0 for no delay" if self.zero_allowed else ""
            self.fail(f"found {value}, expected a number of at least {MIN_RATE}{zero}.", param, ctx)
        return rate


class Share(click.ParamType[float]):
    """A fraction: `0.9` or `90%`."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parse a decimal number above 0 and at most 1 or 100 %."""
        text, whole = str(value), 1
        if text.endswith("%"):
            text, whole = text.removesuffix("%").rstrip(), 100
        share = _decimal(text) / whole
        if not 0 < share <= 1:
            self.fail(f"found {value}, expected a number above 0, at most 1 (or 100%).", param, ctx)
        return share


class ByteSize(click.ParamType[int]):
    """Bytes, with a decimal (`80GB`) or binary (`64GiB`) unit."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Parse a number with a unit to whole bytes."""
        if not (count := _bytes(str(value))):
            self.fail(f"found {value!r}, expected a size such as 80GB or 64GiB.", param, ctx)
        return count


class Capacity(NamedTuple):
    """KV memory of a replica."""

    size: int
    in_blocks: bool


class CapacityType(click.ParamType[Capacity]):
    """KV memory: bytes with a unit, or at least one block."""

    name = "capacity"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Capacity:
        """Parse `300GB` or `5000blocks`."""
        if isinstance(value, Capacity):
            return value
        text = str(value)
        if (match := re.fullmatch(r"([0-9]{1,15}) ?blocks?", text)) and int(match[1]):
            return Capacity(int(match[1]), in_blocks=True)
        if not (count := _bytes(text)):
            self.fail(f"found {value!r}, expected a size such as 300GB or 5000blocks.", param, ctx)
        return Capacity(count, in_blocks=False)


class CapacitiesType(click.ParamType[list[Capacity]]):
    """Capacities separated by commas, all in bytes or all in blocks."""

    name = "capacities"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[Capacity]:
        """Parse `100GB,200GB`, keeping the order."""
        if isinstance(value, list):
            return value
        found = [CapacityType().convert(part.strip(), param, ctx) for part in str(value).split(",")]
        if len(found) > MAX_CAPACITIES:
            self.fail(f"found {len(found):,} capacities, expected at most {MAX_CAPACITIES:,}.", param, ctx)
        if len({capacity.in_blocks for capacity in found}) > 1:
            self.fail(f"found {value!r}, expected all in bytes or all in blocks.", param, ctx)
        return found


class Seconds(click.ParamType[float]):
    """A duration in seconds, as milliseconds."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parse a decimal number of seconds to milliseconds."""
        seconds = _decimal(str(value))
        if not 0 <= seconds < math.inf:
            self.fail(f"found {value}, expected a number of seconds.", param, ctx)
        return 1_000 * seconds


def _bytes(text: str) -> int:
    """The bytes of a number with a unit; 0 if it is malformed or too large."""
    match = re.fullmatch(r"([0-9]+)(?:\.([0-9]+))? ?([A-Za-z]+)", text) if len(text) <= MAX_CHARACTERS else None
    unit = UNITS.get(match[3].lower()) if match else None
    if not match or not unit:
        return 0
    part = match[2] or ""
    count = int(match[1] + part) * unit // 10 ** len(part)
    return count if count <= MAX_BYTES else 0


def _decimal(text: str) -> float:
    """The number of plain digits; NaN if it is malformed."""
    plain = len(text) <= MAX_CHARACTERS and re.fullmatch(r"([0-9]+(\.[0-9]+)?|\.[0-9]+)([eE][+-]?[0-9]+)?", text)
    return float(text) if plain else math.nan
