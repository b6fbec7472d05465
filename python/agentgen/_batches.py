"""Tables that are made while they are read, as often as they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from agentgen._native import Batch, BatchStream

    Open = Callable[[Sequence[str] | None], BatchStream]


class Batches:
    """Rows of the canonical table in order, one a request, as Arrow record batches.

    Every iteration, and every Arrow library it is handed to (`polars.DataFrame(batches)`, `pyarrow.table(batches)`,
    DuckDB by name), makes the rows anew with bounded memory. Batches cross without a copy, and no library is needed.
    """

    def __init__(self, open_stream: Open, columns: Sequence[str] | None = None) -> None:
        self._open_stream = open_stream
        self._columns = None if columns is None else tuple(columns)

    def select(self, columns: Sequence[str]) -> Batches:
        """The same rows with these columns only, in the table's order; the others are never made."""
        return Batches(self._open_stream, columns)

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
        return self._open_stream(self._columns)


class Trace(Batches):
    """A trace read from files: its rows, and what it says about itself.

    Attributes:
        layout: `incremental` (`hash_ids` cover the row's new tokens) or `cumulative` (the whole prompt).
        block_size: Tokens a block.
        layout_from: How the layout is known: `manifest`, `metadata`, `option` or `inferred`.
        block_size_from: How the block size is known, likewise.
        files: The data files, in order.
        origin: What a generated trace was made from: `config`, `overrides`, `seed`, `sessions`; None for others.
    """

    def __init__(self, open_stream: Open, columns: Sequence[str] | None, about: dict[str, Any]) -> None:
        super().__init__(open_stream, columns)
        self.layout: str = about["layout"]
        self.block_size: int = about["block_size"]
        self.layout_from: str = about["layout_from"]
        self.block_size_from: str = about["block_size_from"]
        self.files: list[str] = about["files"]
        self.origin: dict[str, Any] | None = about["origin"]

    def __repr__(self) -> str:
        return f"Trace(layout={self.layout!r}, block_size={self.block_size}, files={self.files!r})"
