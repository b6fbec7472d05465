"""Option types of quantities: rates, shares, sizes, capacities, durations."""

from __future__ import annotations

import math
import re
from typing import Any, Literal, NamedTuple

import click

from agentgen.analysis.figures import MAX_BYTES, MAX_CAPACITIES, MIN_RATE
from agentgen.settings import TARGETS
from agentgen.units import parse_count, parse_rate, parse_share, parse_size, parse_targets, parse_time_s


class Rate(click.ParamType[float]):
    """Tokens per second; with `zero_allowed` also 0, for no delay."""

    name = "rate"

    def __init__(self, *, zero_allowed: bool = False) -> None:
        self.zero_allowed = zero_allowed

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parse a number of at least `MIN_RATE`."""
        rate = parse_rate(str(value))
        if rate is None or not (rate >= MIN_RATE or (self.zero_allowed and rate == 0)):
            zero = ", or 0 for no delay" if self.zero_allowed else ""
            self.fail(f"found {value}, expected a number of at least {MIN_RATE}{zero}.", param, ctx)
        return rate


class Share(click.ParamType[float]):
    """A fraction: `0.9` or `90%`."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parse a number above 0 and at most 1 or 100 %."""
        share = parse_share(str(value))
        if share is None or not 0 < share <= 1:
            self.fail(f"found {value}, expected a number above 0, at most 1 (or 100%).", param, ctx)
        return share


class ByteSize(click.ParamType[int]):
    """Bytes with a unit (`80GB`, `64GiB`), or a number of them if `plain_allowed`."""

    name = "size"

    def __init__(self, high: int = MAX_BYTES, *, plain_allowed: bool = False) -> None:
        self.high = high
        self.plain_allowed = plain_allowed

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Parse a number with a unit to whole bytes."""
        count = parse_size(str(value), unit_needed=not self.plain_allowed)
        if not count or count > self.high:
            example = "131072 or 128KiB" if self.plain_allowed else "80GB or 64GiB"
            self.fail(f"found {value!r}, expected a size such as {example}.", param, ctx)
        return count


class Capacity(NamedTuple):
    """KV memory of a replica."""

    size: int
    unit: Literal["bytes", "blocks", "tokens"]

    def __str__(self) -> str:
        """The capacity as an option value."""
        return f"{self.size}{'B' if self.unit == 'bytes' else self.unit}"


class CapacityType(click.ParamType[Capacity]):
    """KV memory: bytes with a unit, or at least one block or token."""

    name = "capacity"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Capacity:
        """Parse `300GB`, `5000blocks` or `2Mtokens`."""
        if isinstance(value, Capacity):
            return value
        text = str(value)
        match = re.fullmatch(r"(.+?) ?(block|token)s?", text)
        count = parse_count(match[1]) if match else parse_size(text)
        if not count or count > MAX_BYTES:
            self.fail(f"found {value!r}, expected a size such as 300GB, 5000blocks or 2Mtokens.", param, ctx)
        if match is None:
            return Capacity(count, "bytes")
        return Capacity(count, "blocks" if match[2] == "block" else "tokens")


class CapacitiesType(click.ParamType[list[Capacity]]):
    """Capacities separated by commas, all in one unit."""

    name = "capacities"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[Capacity]:
        """Parse `100GB,200GB`, keeping the order."""
        if isinstance(value, list):
            return value
        found = [CapacityType().convert(part.strip(), param, ctx) for part in str(value).split(",")]
        if len(found) > MAX_CAPACITIES:
            self.fail(f"found {len(found):,} capacities, expected at most {MAX_CAPACITIES:,}.", param, ctx)
        if len({capacity.unit for capacity in found}) > 1:
            self.fail(f"found {value!r}, expected all in bytes, all in blocks or all in tokens.", param, ctx)
        return found


class Targets(click.ParamType[str]):
    """Limits on times: `ttft:p95=2s,e2e:p99=1m`."""

    name = "limits"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check the form; the function parses it."""
        if parse_targets(str(value)) is None:
            self.fail(f"found {value!r}, expected {TARGETS}.", param, ctx)
        return str(value)


class Duration(click.ParamType[float]):
    """A time, as milliseconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parse a number of seconds, or a number with a unit, to milliseconds."""
        time_s = parse_time_s(str(value))
        if time_s is None or not math.isfinite(1_000 * time_s):
            self.fail(f"found {value}, expected a time such as 500ms, 30s, 5m or 1h.", param, ctx)
        return 1_000 * time_s
