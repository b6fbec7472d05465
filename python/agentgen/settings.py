"""Settings of a run beside its configuration, and checks of arguments."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from agentgen._native import MAX_SESSIONS, MAX_TOKENS, MIN_ISL
from agentgen.units import parse_count, parse_rate, parse_share, parse_size, parse_targets, parse_time_s

if TYPE_CHECKING:
    from collections.abc import Sequence

Layout = Literal["incremental", "cumulative"]
Format = Literal["jsonl", "parquet"]
Compression = Literal["none", "zstd"]

LAYOUTS: tuple[Layout, ...] = get_args(Layout)
FORMATS: tuple[Format, ...] = get_args(Format)
COMPRESSIONS: tuple[Compression, ...] = get_args(Compression)

MANIFEST = "manifest.json"
CONFIG_SUFFIXES = {".json", ".yaml", ".yml", ".toml"}
TRACE_SUFFIXES = {".jsonl", ".parquet", ".gz", ".zst"}

MAX_SEED = 2**64 - 1
MAX_THREADS = 1024
TARGETS = "limits such as ttft:p95=2s,e2e:p99=1m (mean, p50, p75, p95, p99)"


@dataclass(frozen=True)
class Settings:
    """The settings that, with a configuration, determine a run's rows and files.

    Attributes:
        sessions: Root sessions of the whole data set.
        seed: Seed of the random numbers.
        layout: `hash_ids` cover the new tokens of a row (`incremental`) or its whole prompt (`cumulative`).
        formats: The data files to write.
        compression: Compression of the JSONL file.
        max_isl: Overrides `max_prompt_tokens` of the configuration, tokens.
        max_osl: Overrides `generation_length.max` of the configuration, tokens.
        shard: (index, count) of the shard, from 0.
    """

    sessions: int = 1000
    seed: int = 42
    layout: str = "incremental"
    formats: tuple[str, ...] = FORMATS
    compression: str = "none"
    max_isl: int | None = None
    max_osl: int | None = None
    shard: tuple[int, int] = (0, 1)

    def __post_init__(self) -> None:
        self._set("sessions", check_integer("sessions", self.sessions, 1, MAX_SESSIONS))
        self._set("seed", check_integer("seed", self.seed, 0, MAX_SEED))
        if self.max_isl is not None:
            self._set("max_isl", check_integer("max_isl", self.max_isl, MIN_ISL, MAX_TOKENS))
        if self.max_osl is not None:
            self._set("max_osl", check_integer("max_osl", self.max_osl, 1, MAX_TOKENS))
        check_choice("layout", self.layout, LAYOUTS)
        check_choice("compression", self.compression, COMPRESSIONS)
        if isinstance(self.formats, str):
            raise TypeError(f"formats: found {self.formats!r}, expected a list of names")
        if not self.formats:
            raise ValueError(f"formats: found none, expected some of {', '.join(FORMATS)}")
        for name in self.formats:
            check_choice("formats", name, FORMATS)
        if not isinstance(self.shard, tuple) or len(self.shard) != len(("index", "count")):
            raise TypeError(f"shard: found {self.shard!r}, expected (index, count), such as (0, 4)")
        index, count = self.shard
        count = check_integer("shard count", count, 1, MAX_SESSIONS)
        self._set("shard", (check_integer("shard index", index, 0, count - 1), count))

    def _set(self, name: str, value: object) -> None:
        """Replace the integer of another library by a plain one."""
        object.__setattr__(self, name, value)

    def updated(self, **changes: Any) -> Settings:
        """A copy with the changes that are not None."""
        chosen = replace(self, **{name: value for name, value in changes.items() if value is not None})
        if changes.get("compression") == "zstd" and "jsonl" not in chosen.formats:
            raise ValueError("compression: found zstd, expected jsonl among the formats")
        return chosen


def check_integer(name: str, value: Any, low: int, high: int) -> int:
    """The value as an int; raises unless it is a whole number from `low` to `high`: any integer type, or `10k`."""
    return _integer(name, value, parse_count(value) if isinstance(value, str) else None, low, high)


def check_size(name: str, value: Any, high: int) -> int:
    """The value as bytes, from 1 to `high`: an integer, or text such as `80GB`."""
    return _integer(name, value, parse_size(value, unit_needed=False) if isinstance(value, str) else None, 1, high)


def check_number(name: str, value: Any, expected: str) -> float:
    """The value as a float; raises ValueError unless it is a finite number, or text such as `20k`."""
    number: float | None
    try:
        number = parse_rate(value) if isinstance(value, str) else None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = None
    if number is None or not math.isfinite(number):
        raise ValueError(f"{name}: found {value!r}, expected {expected}")
    return number


def check_share(name: str, value: Any) -> float:
    """The value as a fraction above 0, at most 1: a number, or text such as `90%`."""
    expected = "a number above 0, at most 1"
    number = parse_share(value) if isinstance(value, str) else check_number(name, value, expected)
    if number is None or not 0 < number <= 1:
        raise ValueError(f"{name}: found {value!r}, expected {expected}")
    return number


def check_time_ms(name: str, value: Any) -> float:
    """The value as ms, at least 0: a number of ms, or text with a unit such as `5m`."""
    expected = "a number of ms from 0, or a time with a unit such as 5m"
    if isinstance(value, str):
        time_s = parse_time_s(value, unit_needed=True)
        if time_s is None:
            raise ValueError(f"{name}: found {value!r}, expected {expected}")
        return 1_000 * time_s
    time_ms = check_number(name, value, expected)
    if time_ms < 0:
        raise ValueError(f"{name}: found {value!r}, expected {expected}")
    return time_ms


def check_targets(name: str, value: Any) -> list[tuple[str, str, float]]:
    """The value as limits: metric, statistic, ms."""
    targets = parse_targets(value) if isinstance(value, str) else None
    if targets is None:
        raise ValueError(f"{name}: found {value!r}, expected {TARGETS}")
    return targets


def _integer(name: str, value: Any, parsed: int | None, low: int, high: int) -> int:
    expected = f"expected a whole number from {low} to {high}"
    if isinstance(value, bool) or not (isinstance(value, str) or hasattr(value, "__index__")):
        raise TypeError(f"{name}: found {value!r}, {expected}")
    number = parsed if isinstance(value, str) else operator.index(value)
    if number is None or not low <= number <= high:
        raise ValueError(f"{name}: found {value!r}, {expected}")
    return number


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Raise ValueError unless the value is one of `choices`."""
    if value not in choices:
        raise ValueError(f"{name}: found {value!r}, expected one of {', '.join(choices)}")
