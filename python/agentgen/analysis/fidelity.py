"""How far a trace is from the traces that it should look like."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from agentgen import _native
from agentgen.analysis.figures import Figures, assumptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import polars as pl
    from rich.console import RenderableType

    from agentgen._native import Assumptions
    from agentgen.units import Count

    StrPath = str | os.PathLike[str]


class Fidelity(Figures):
    """Distances of distributions; `docs/fit.md` defines every quantity.

    `str` gives the tables of the command.

    Attributes:
        far: Names of the quantities whose distance is more than 1.5 times that of the source's own two halves.
    """

    far: tuple[str, ...]

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.far = tuple(quantity["quantity"] for quantity in self._data["quantities"] if quantity["is_far"])

    def __repr__(self) -> str:
        return f"Fidelity(quantities={len(self._data['quantities'])}, far={self.far!r})"

    def _pieces(self) -> Iterator[RenderableType]:
        from agentgen.analysis.fidelity_text import pieces  # noqa: PLC0415  rich is slow to import

        return pieces(self._data)

    def write_page(self, directory: StrPath) -> Path:
        """Write `fidelity.html` into a directory, made if missing: both traces laid over each other.

        Raises:
            AgentgenError: The chart library is missing.
            OSError: The file cannot be written.
        """
        from agentgen.pages.fidelity import write  # noqa: PLC0415  pages are for those who want them

        return write(self._data, directory)

    def to_polars(self) -> pl.DataFrame:
        """One row a quantity: both distances, and p50 and p90 of both traces."""
        columns = {
            "quantity": "String",
            "ks": "Float64",
            "ks_of_halves": "Float64",
            "is_far": "Boolean",
            "p50_source": "Float64",
            "p50_generated": "Float64",
            "p90_source": "Float64",
            "p90_generated": "Float64",
        }
        return self._frame("to_polars", columns, (_row(quantity) for quantity in self._data["quantities"]))


def _row(quantity: dict[str, Any]) -> dict[str, Any]:
    pairs = {f"{share}_{side}": quantity[share][side] for share in ("p50", "p90") for side in ("source", "generated")}
    return {**quantity, **pairs}


def fidelity(
    source: StrPath | Sequence[StrPath],
    generated: StrPath,
    *,
    half: bool = False,
    trace_layout: str | None = None,
    trace_block_size: Count | None = None,
    threads: int | None = None,
) -> Fidelity:
    """How far a trace is from its source: traces that it should look like.

    Args:
        source: One trace or several: run directories, JSONL or Parquet files.
        generated: The other trace.
        half: Compare with the half of the source's sessions that `fit` with `half` leaves out.
        trace_layout: Layout of traces that do not state it.
        trace_block_size: Tokens per hash id of traces that do not state it.
        threads: Worker threads (default: one per core); they change no figure.

    Returns:
        The distance of each quantity that both have, beside the distance of the source's own two halves.

    Raises:
        TraceError: A trace cannot be read, or has no session.
        OSError: A file cannot be read.
        ValueError: Another argument is out of range.
    """
    assumed = assumptions(trace_layout=trace_layout, trace_block_size=trace_block_size, threads=threads)
    return compared(paths(source), os.fspath(generated), assumed, half=half)


def compared(source: Sequence[str], generated: str, assumed: Assumptions, *, half: bool = False) -> Fidelity:
    """`fidelity` with assumptions that were checked."""
    return Fidelity(_native.compare_traces(list(source), generated, assumed, odd=True if half else None))


def paths(traces: StrPath | Sequence[StrPath]) -> list[str]:
    """One path or several as text."""
    listed = [traces] if isinstance(traces, (str, os.PathLike)) else traces
    return [os.fspath(trace) for trace in listed]
