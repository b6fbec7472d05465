"""What analyses, plans and simulations share: arguments, and figures as JSON and polars frames."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any

from agentgen._html import preformatted
from agentgen._native import DECODE_TOKENS_PER_SECOND, MAX_TOKENS, PREFILL_TOKENS_PER_SECOND
from agentgen.settings import LAYOUTS, MAX_THREADS, check_choice, check_integer, check_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import polars as pl
    from rich.console import RenderableType

    from agentgen._native import Assumptions
    from agentgen.units import Count, Rate

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

    def _repr_html_(self) -> str:
        """The same for notebooks."""
        return preformatted(str(self))

    def to_polars(self) -> pl.DataFrame:
        """The main frame: what the properties' frames detail."""
        raise NotImplementedError

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


def assumptions(
    *,
    block_size: Count | None = None,
    cached_outputs: bool = True,
    concurrency: Count | None = None,
    prefill_tokens_per_second: Rate = PREFILL_TOKENS_PER_SECOND,
    decode_tokens_per_second: Rate = DECODE_TOKENS_PER_SECOND,
    trace_layout: str | None = None,
    trace_block_size: Count | None = None,
    threads: int | None = None,
) -> Assumptions:
    """Check the arguments that `analyze`, `plan`, `report` and `simulate` share; return them as the core takes them.

    Raises:
        ValueError: An argument is out of range.
    """
    if trace_layout is not None:
        check_choice("trace_layout", trace_layout, LAYOUTS)
    return {
        "trace_layout": trace_layout,
        "trace_block_size": _optional("trace_block_size", trace_block_size, MAX_TOKENS),
        "block_size": _optional("block_size", block_size, MAX_TOKENS),
        "cached_outputs": bool(cached_outputs),
        "concurrency": _optional("concurrency", concurrency, MAX_CONCURRENCY),
        "prefill_tokens_per_second": check_rate("prefill_tokens_per_second", prefill_tokens_per_second),
        "decode_tokens_per_second": check_rate("decode_tokens_per_second", decode_tokens_per_second),
        "threads": _optional("threads", threads, MAX_THREADS),
    }


def check_one_of(**alternatives: object) -> None:
    """Raise TypeError unless exactly one of the alternatives is given."""
    given = [name for name, value in alternatives.items() if value is not None]
    if len(given) != 1:
        found, none = ("both", "neither") if len(alternatives) == len("ab") else (" and ".join(given), "none")
        raise TypeError(f"{', '.join(alternatives)}: found {found if given else none}, expected one of them")


def _optional(name: str, value: Count | None, high: int) -> int | None:
    return None if value is None else check_integer(name, value, 1, high)


def check_rate(name: str, value: Rate, *, zero: bool = False) -> float:
    """The value as tokens per second, at least `MIN_RATE`; or 0, for no delay, if `zero`."""
    expected = f"a number of at least {MIN_RATE}{', or 0 for no delay' if zero else ''}"
    number = check_number(name, value, expected)
    if number < MIN_RATE and not (zero and number == 0):
        raise ValueError(f"{name}: found {value!r}, expected {expected}")
    return number
