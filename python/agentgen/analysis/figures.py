"""What analyses and plans share: how they are asked for, and figures as JSON and as polars frames."""

from __future__ import annotations

import json
import math
from functools import cached_property
from typing import TYPE_CHECKING, Any

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


def assumptions(
    *,
    block_size: int | None,
    cached_outputs: bool,
    concurrency: int,
    prefill_tokens_per_second: float,
    decode_tokens_per_second: float,
    layout: str | None,
    trace_block_size: int | None,
    threads: int | None,
) -> Assumptions:
    """The arguments, checked, as the compiled core takes them."""
    if layout is not None:
        check_choice("layout", layout, LAYOUTS)
    return {
        "layout": layout,
        "trace_block_size": _optional("trace_block_size", trace_block_size, MAX_TOKENS),
        "block_size": _optional("block_size", block_size, MAX_TOKENS),
        "cached_outputs": bool(cached_outputs),
        "concurrency": check_integer("concurrency", concurrency, 1, MAX_CONCURRENCY),
        "prefill_tokens_per_second": _rate("prefill_tokens_per_second", prefill_tokens_per_second),
        "decode_tokens_per_second": _rate("decode_tokens_per_second", decode_tokens_per_second),
        "threads": _optional("threads", threads, MAX_THREADS),
    }


def check_number(name: str, value: Any, expected: str) -> float:
    """The value as a float; refuses what is no finite number."""
    try:
        number = math.nan if isinstance(value, (bool, str)) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{name}: found {value!r}, expected {expected}")
    return number


def _optional(name: str, value: int | None, high: int) -> int | None:
    return None if value is None else check_integer(name, value, 1, high)


def _rate(name: str, value: Any) -> float:
    expected = f"a number from {LEAST_RATE} on"
    number = check_number(name, value, expected)
    if number < LEAST_RATE:
        raise ValueError(f"{name}: found {value!r}, expected {expected}")
    return number
