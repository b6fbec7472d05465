"""What a data set is made from beside its configuration, and how to write it down: one set of defaults for all."""

from __future__ import annotations

import operator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

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
MAX_SESSIONS = 2**47
MIN_ISL = 3
MAX_TOKENS = 2**31 - 1
MAX_THREADS = 1024


@dataclass(frozen=True)
class Settings:
    """The arguments that, with a configuration, determine a run's rows and files.

    Attributes:
        sessions: Primary sessions of the whole data set.
        seed: Seed of all draws.
        layout: What `hash_ids` cover: the row's new tokens, or the whole prompt.
        formats: The data files to write.
        compression: Of the JSONL file.
        max_isl: Replaces the configuration's `max_prompt_tokens`.
        max_osl: Replaces the configuration's `generation_length.max`.
        shard: (index, count): which part of the data set, from 0.
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
        """Put the plain integer in place of another library's."""
        object.__setattr__(self, name, value)

    def updated(self, **stated: Any) -> Settings:
        """These settings with those that are not None put in place."""
        chosen = replace(self, **{name: value for name, value in stated.items() if value is not None})
        if stated.get("compression") == "zstd" and "jsonl" not in chosen.formats:
            raise ValueError("compression: found zstd, which is of the JSONL file; expected jsonl in the formats")
        return chosen


def check_integer(name: str, value: Any, low: int, high: int) -> int:
    """The whole number, of whatever integer type; refuses what is none from `low` to `high`."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name}: found {value!r}, expected a whole number from {low} to {high}")
    number = operator.index(value)
    if not low <= number <= high:
        raise ValueError(f"{name}: found {number}, expected a whole number from {low} to {high}")
    return number


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Refuse what is not one of `choices`."""
    if value not in choices:
        raise ValueError(f"{name}: found {value!r}, expected one of {', '.join(choices)}")
