"""A polars LazyFrame over generated or stored rows."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentgen import _native
from agentgen._api import generate, read
from agentgen._batches import Batches
from agentgen.settings import CONFIG_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import polars as pl
    from typing_extensions import TypeIs

    from agentgen._api import ConfigLike, StrPath
    from agentgen.units import Count


def scan(
    source: Batches | ConfigLike | Sequence[StrPath] = "default",
    *,
    sessions: Count | None = None,
    seed: int | None = None,
    layout: str | None = None,
    shard: tuple[int, int] | None = None,
    trace_layout: str | None = None,
    trace_block_size: Count | None = None,
    threads: int | None = None,
    max_isl: Count | None = None,
    max_osl: Count | None = None,
) -> pl.LazyFrame:
    """A lazy polars frame of a trace to generate or to read; only the columns of a query are produced.

    Args:
        source: A run directory, a trace file, or a list of these is *read*. The name of a preset, a `.json`, `.yaml`
            or `.toml` file (including a manifest), or a mapping is a configuration to *generate* from. The result of
            `generate` or `read` is used directly.
        sessions: As for `generate`.
        seed: As for `generate`.
        layout: As for `generate`.
        shard: As for `generate`.
        trace_layout: As for `read`.
        trace_block_size: As for `read`.
        threads: As for `generate`, or `read`.
        max_isl: As for `generate`.
        max_osl: As for `generate`.

    Raises:
        ImportError: polars is missing: `pip install 'agentgen-traces[polars]'`.
        TypeError: An argument of `generate` is given for a source that is read, or one of `read` for a configuration.
        ConfigError, TraceError, OSError, ValueError: As `generate` and `read`.

    Examples:
        >>> import agentgen, polars as pl
        >>> first_turns = agentgen.scan("default", sessions=10).filter(pl.col("turn_index") == 0)
        >>> first_turns.select(pl.len()).collect().item()
        10
    """
    generating = {"sessions": sessions, "seed": seed, "layout": layout, "shard": shard}
    generating |= {"max_isl": max_isl, "max_osl": max_osl}
    reading = {"trace_layout": trace_layout, "trace_block_size": trace_block_size}
    if isinstance(source, Batches):
        _refuse({**generating, **reading, "threads": threads}, "the source already defines its rows")
        return _lazy_frame(source)
    if _is_trace(source):
        _refuse(generating, "a trace is read, not generated")
        return _lazy_frame(read(source, trace_layout=trace_layout, trace_block_size=trace_block_size, threads=threads))
    _refuse(reading, "the configuration defines it")
    return _lazy_frame(generate(source, threads=threads, **generating))  # type: ignore[arg-type]


def _is_trace(source: ConfigLike | Sequence[StrPath]) -> TypeIs[StrPath | Sequence[StrPath]]:
    if isinstance(source, Mapping):
        return False
    if not isinstance(source, (str, os.PathLike)):
        return True
    path = Path(source)
    return str(source) not in _native.preset_names() and path.exists() and path.suffix not in CONFIG_SUFFIXES


def _refuse(arguments: Mapping[str, Any], reason: str) -> None:
    for name, value in arguments.items():
        if value is not None:
            raise TypeError(f"{name}: found {value!r}, expected nothing: {reason}")


def _lazy_frame(batches: Batches) -> pl.LazyFrame:
    try:
        import polars as pl  # noqa: PLC0415  an extra
        from polars.io.plugins import register_io_source  # noqa: PLC0415
    except ImportError as error:
        raise ImportError("scan needs polars: pip install 'agentgen-traces[polars]'") from error

    def frames(
        with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, _batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        made = batches
        if with_columns is not None:
            tested = predicate.meta.root_names() if predicate is not None else []
            # A frame without columns has no height, so a row count needs one cheap column.
            made = batches.select([*with_columns, *tested] or ["turn_index"])
        for batch in made:
            frame = pl.DataFrame(batch)
            if n_rows is not None:
                frame = frame.head(n_rows)
                n_rows -= frame.height
            if predicate is not None:
                frame = frame.filter(predicate)
            yield frame if with_columns is None else frame.select(with_columns or frame.columns)
            if n_rows == 0:
                return

    return register_io_source(frames, schema=pl.Schema(batches), is_pure=True)
