"""Tables that are generated or read on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentgen._html import preformatted
from agentgen._suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import polars as pl

    from agentgen._native import Batch, BatchStream

    Open = Callable[[Sequence[str] | None], BatchStream]

SHOWN_ROWS = 10  # in notebooks

# Columns of the canonical table, in its order.
COLUMNS = (
    "session_id",
    "turn_index",
    "group_id",
    "input_length",
    "context_length",
    "output_length",
    "delay_ms",
    "timestamp_ms",
    "hash_ids",
    "is_restart",
    "parent_session_id",
    "end_reason",
)


class Batches:
    """Rows of the canonical table in order, one per request, as Arrow record batches.

    Each iteration, and each Arrow library that it is passed to (`polars.DataFrame(batches)`, `pyarrow.table(batches)`,
    DuckDB by name), produces the rows again in bounded memory. Batches are passed zero-copy.
    """

    def __init__(
        self,
        open_stream: Open,
        columns: Sequence[str] | None,
        origin_fields: Mapping[str, Any],
        *,
        check_now: bool = False,
    ) -> None:
        if columns is not None:
            check_columns(columns)
        self._open_stream = open_stream
        # Errors surface here, not at the first batch; the first reader gets this stream.
        self._opened = open_stream(columns) if check_now else None
        self._columns = None if columns is None else tuple(columns)
        self._origin_fields = origin_fields

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in the table's order."""
        return tuple(name for name in COLUMNS if self._columns is None or name in self._columns)

    def select(self, columns: Sequence[str]) -> Batches:
        """The same rows with these columns only, in the table's order; others are not produced."""
        return Batches(self._open_stream, columns, self._origin_fields)

    def __repr__(self) -> str:
        fields = {**self._origin_fields, "columns": self.columns}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in fields.items())})"

    def _repr_html_(self) -> str:
        """The first rows, for notebooks."""
        shown = repr(self)
        first = next(iter(self), None)
        if first is not None:
            try:
                import polars as pl  # noqa: PLC0415  an extra
            except ImportError:
                return preformatted(shown)
            return preformatted(shown) + pl.DataFrame(first).head(SHOWN_ROWS)._repr_html_()
        return preformatted(shown)

    def to_polars(self) -> pl.DataFrame:
        """All rows as a polars frame; `scan` is lazy."""
        try:
            import polars as pl  # noqa: PLC0415  an extra
        except ImportError as error:
            raise ImportError("to_polars needs polars: pip install 'agentgen-traces[polars]'") from error
        return pl.DataFrame(self)

    def __iter__(self) -> Iterator[Batch]:
        stream = self._open()
        try:
            yield from stream
        finally:
            stream.close()

    def __arrow_c_schema__(self) -> object:
        stream = self._open()
        try:
            return stream.__arrow_c_schema__()
        finally:
            stream.close()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._open().__arrow_c_stream__(requested_schema)

    def _open(self) -> BatchStream:
        opened, self._opened = self._opened, None
        return opened or self._open_stream(self._columns)


class Trace(Batches):
    """A trace read from files: its rows and metadata.

    Attributes:
        layout: `incremental` (`hash_ids` cover the row's new tokens) or `cumulative` (the whole prompt).
        block_size: Block size of the trace, tokens.
        layout_from: How the layout is known: `manifest`, `metadata`, `option` or `inferred`.
        block_size_from: How the block size is known, likewise.
        files: The data files, in order.
        origin: Inputs of a generated trace: `config`, `overrides`, `seed`, `sessions`; None for other traces.
    """

    def __init__(self, open_stream: Open, columns: Sequence[str] | None, about: dict[str, Any]) -> None:
        origin_fields = {name: about[name] for name in ("layout", "block_size", "files")}
        super().__init__(open_stream, columns, origin_fields)
        self.layout: str = about["layout"]
        self.block_size: int = about["block_size"]
        self.layout_from: str = about["layout_from"]
        self.block_size_from: str = about["block_size_from"]
        self.files: list[str] = about["files"]
        self.origin: dict[str, Any] | None = about["origin"]


def check_columns(columns: Sequence[str]) -> None:
    """Raise TypeError or ValueError unless these are columns of the table."""
    if isinstance(columns, str):
        raise TypeError(f"columns: found {columns!r}, expected a list of names")
    for name in columns:
        if name not in COLUMNS:
            raise ValueError(
                f"columns: found {name!r}, expected some of {', '.join(COLUMNS)}{did_you_mean(str(name), COLUMNS)}"
            )
