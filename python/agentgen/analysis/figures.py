"""What analyses and plans share: how they are asked for, and figures as JSON and as polars frames."""

from __future__ import annotations

import json
import math
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypedDict

from agentgen.settings import LAYOUTS, MAX_THREADS, MAX_TOKENS, check_choice, check_integer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import polars as pl

    from agentgen._native import Assumptions

    Progress = Callable[[int, int], None]

# As in the compiled module, which the command does not load for its help; a test keeps them equal.
CONCURRENCY = 50
PREFILL_TOKENS_PER_SECOND = 20_000.0
DECODE_TOKENS_PER_SECOND = 60.0
# Tokens a second; below it times grow beyond what a number can say.
LEAST_RATE = 0.001
MAX_CONCURRENCY = 1_000_000
MAX_BYTES = 2**53 - 1
MAX_CAPACITIES = 1_000


class Figures:
    """What the compiled core found out, which nobody can change."""

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def _stated(self) -> dict[str, Any]:
        return self.to_dict()

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def to_dict(self) -> dict[str, Any]:
        """All figures as plain data of the caller's own."""
        stated: dict[str, Any] = json.loads(self._text)
        return stated

    def to_json(self) -> str:
        """All figures as the JSON that the command prints."""
        return json.dumps(self._stated, indent=2)

    def _frame(self, name: str, columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
        """A polars frame; `columns` gives each its polars type by name."""
        try:
            import polars as pl  # noqa: PLC0415  an extra
        except ImportError as error:
            raise ImportError(
                f"{type(self).__name__}.{name} needs polars: pip install 'agentgen-traces[polars]'"
            ) from error
        schema = {column: getattr(pl, kind) for column, kind in columns.items()}
        return pl.DataFrame([[row[column] for column in columns] for row in rows], schema=schema, orient="row")


class Reading(TypedDict, total=False):
    """How a trace is read, what the cache keeps, and how fast time goes; what is left out is as documented."""

    block_size: int | None
    cached_outputs: bool
    prefill_tokens_per_second: float
    decode_tokens_per_second: float
    layout: str | None
    trace_block_size: int | None


class Playing(Reading, total=False):
    """The same, and how a trace is played."""

    concurrency: int | None
    threads: int | None


def assumptions(stated: Mapping[str, Any], names: Iterable[str] = Playing.__annotations__) -> Assumptions:
    """The arguments that `analyze`, `plan`, `report` and `simulate` share, checked, as the compiled core takes them.

    Raises:
        TypeError: One has a name that is not among `names`.
        ValueError: One is out of its range.
    """
    if unknown := set(stated).difference(names):
        raise TypeError(f"{min(unknown)}: found an argument of this name, expected one of {', '.join(names)}")
    layout = stated.get("layout")
    if layout is not None:
        check_choice("layout", layout, LAYOUTS)
    return {
        "layout": layout,
        "trace_block_size": _optional(stated, "trace_block_size", MAX_TOKENS),
        "block_size": _optional(stated, "block_size", MAX_TOKENS),
        "cached_outputs": bool(stated.get("cached_outputs", True)),
        "concurrency": _optional(stated, "concurrency", MAX_CONCURRENCY),
        "prefill_tokens_per_second": _rate(stated, "prefill_tokens_per_second", PREFILL_TOKENS_PER_SECOND),
        "decode_tokens_per_second": _rate(stated, "decode_tokens_per_second", DECODE_TOKENS_PER_SECOND),
        "threads": _optional(stated, "threads", MAX_THREADS),
    }


def check_one_of(**alternatives: object) -> None:
    """Refuse what is stated in neither of two ways, or in both."""
    stated = sum(value is not None for value in alternatives.values())
    if stated != 1:
        found = "both" if stated else "neither"
        raise TypeError(f"{' and '.join(alternatives)}: found {found}, expected one of them")


def check_number(name: str, value: Any, expected: str) -> float:
    """The value as a float; refuses what is no finite number."""
    try:
        number = math.nan if isinstance(value, (bool, str)) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{name}: found {value!r}, expected {expected}")
    return number


def _optional(stated: Mapping[str, Any], name: str, high: int) -> int | None:
    value = stated.get(name)
    return None if value is None else check_integer(name, value, 1, high)


def _rate(stated: Mapping[str, Any], name: str, default: float) -> float:
    expected = f"a number from {LEAST_RATE} on"
    number = check_number(name, stated.get(name, default), expected)
    if number < LEAST_RATE:
        raise ValueError(f"{name}: found {stated[name]!r}, expected {expected}")
    return number
