"""What analyses, plans and simulations share: arguments, and figures as JSON and polars frames."""

from __future__ import annotations

import json
import math
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypedDict

from agentgen._native import DECODE_TOKENS_PER_SECOND, PREFILL_TOKENS_PER_SECOND
from agentgen.settings import LAYOUTS, MAX_THREADS, MAX_TOKENS, check_choice, check_integer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import polars as pl
    from rich.console import RenderableType

    from agentgen._native import Assumptions

    Progress = Callable[[int, int], None]

MIN_RATE = 0.001  # tokens per second; below it, times overflow
MAX_CONCURRENCY = 1_000_000
MAX_BYTES = 2**53 - 1
MAX_CAPACITIES = 1_000
READINGS = ("linked", "standalone")  # of restart sessions


class Figures:
    """Immutable figures computed by the core; `str` and rich print the tables of the command."""

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def _data(self) -> dict[str, Any]:
        return self.to_dict()

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def to_dict(self) -> dict[str, Any]:
        """All figures as plain data, a new copy with each call."""
        data: dict[str, Any] = json.loads(self._text)
        return data

    def to_json(self) -> str:
        """All figures as the JSON that the command prints."""
        return json.dumps(self._data, indent=2)

    def __str__(self) -> str:
        """The tables of the command, in 80 columns."""
        from agentgen.text.layout import plain  # noqa: PLC0415  rich is slow to import

        return plain(self)

    def __rich__(self) -> RenderableType:
        from rich.console import Group  # noqa: PLC0415  slow to import

        return Group(*self._pieces())

    def _pieces(self) -> Iterator[RenderableType]:
        raise NotImplementedError

    def _frame(self, name: str, columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
        """A polars frame; `columns` maps each name to its polars type."""
        try:
            import polars as pl  # noqa: PLC0415  an extra
        except ImportError as error:
            raise ImportError(
                f"{type(self).__name__}.{name} needs polars: pip install 'agentgen-traces[polars]'"
            ) from error
        schema = {column: getattr(pl, kind) for column, kind in columns.items()}
        return pl.DataFrame([[row[column] for column in columns] for row in rows], schema=schema, orient="row")


class PlanArguments(TypedDict, total=False):
    """Keyword arguments of `plan`: how the trace is read, the cache and the reference timeline."""

    block_size: int | None
    cached_outputs: bool
    concurrency: int | None
    prefill_tokens_per_second: float
    decode_tokens_per_second: float
    trace_layout: str | None
    trace_block_size: int | None


class AnalysisArguments(PlanArguments, total=False):
    """Keyword arguments of `analyze`, `report` and `simulate`: those of `plan`, and threads."""

    threads: int | None


def assumptions(arguments: Mapping[str, Any], names: Iterable[str] = AnalysisArguments.__annotations__) -> Assumptions:
    """Check the arguments that `analyze`, `plan`, `report` and `simulate` share; return them as the core takes them.

    Raises:
        TypeError: An argument is not among `names`.
        ValueError: An argument is out of range.
    """
    if unknown := set(arguments).difference(names):
        raise TypeError(f"{min(unknown)}: found an unknown argument, expected one of {', '.join(names)}")
    trace_layout = arguments.get("trace_layout")
    if trace_layout is not None:
        check_choice("trace_layout", trace_layout, LAYOUTS)
    return {
        "trace_layout": trace_layout,
        "trace_block_size": _optional(arguments, "trace_block_size", MAX_TOKENS),
        "block_size": _optional(arguments, "block_size", MAX_TOKENS),
        "cached_outputs": bool(arguments.get("cached_outputs", True)),
        "concurrency": _optional(arguments, "concurrency", MAX_CONCURRENCY),
        "prefill_tokens_per_second": _rate(arguments, "prefill_tokens_per_second", PREFILL_TOKENS_PER_SECOND),
        "decode_tokens_per_second": _rate(arguments, "decode_tokens_per_second", DECODE_TOKENS_PER_SECOND),
        "threads": _optional(arguments, "threads", MAX_THREADS),
    }


def check_one_of(**alternatives: object) -> None:
    """Raise TypeError unless exactly one of the alternatives is given."""
    given = sum(value is not None for value in alternatives.values())
    if given != 1:
        found = "both" if given else "neither"
        raise TypeError(f"{' and '.join(alternatives)}: found {found}, expected one of them")


def check_number(name: str, value: Any, expected: str) -> float:
    """The value as a float; raises ValueError unless it is a finite number."""
    try:
        number = math.nan if isinstance(value, (bool, str)) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{name}: found {value!r}, expected {expected}")
    return number


def _optional(arguments: Mapping[str, Any], name: str, high: int) -> int | None:
    value = arguments.get(name)
    return None if value is None else check_integer(name, value, 1, high)


def _rate(arguments: Mapping[str, Any], name: str, default: float) -> float:
    expected = f"a number of at least {MIN_RATE}"
    number = check_number(name, arguments.get(name, default), expected)
    if number < MIN_RATE:
        raise ValueError(f"{name}: found {arguments[name]!r}, expected {expected}")
    return number
