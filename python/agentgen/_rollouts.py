"""Recorded sessions of agents as rows of messages, with their text."""

from __future__ import annotations

import json
import os
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentgen import _native
from agentgen._import import ImportProblem, strict_error
from agentgen._native import rollout_formats
from agentgen.settings import MAX_SEED, MAX_THREADS, check_choice, check_integer
from agentgen.text.format import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import polars as pl

    from agentgen._import import StrPath
    from agentgen._native import RolloutSelection
    from agentgen.units import Count

MAX_ROWS = 2**63 - 1


@dataclass(frozen=True)
class WrittenRollouts:
    """A file of rollout rows.

    Attributes:
        rows: Sessions of agents.
        messages: Messages of all rows.
        tool_calls: Tool calls of all rows.
        files: Files that were read.
        files_of_other_formats: Files that were left out.
        bytes: Size of the file.
        left_out: What was left out on purpose, by reason.
        problems: Parts of the sources that could not be used.
    """

    rows: int
    messages: int
    tool_calls: int
    files: int
    files_of_other_formats: int
    bytes: int
    left_out: dict[str, int]
    problems: tuple[ImportProblem, ...]


def rollouts(
    sources: StrPath | Sequence[StrPath] = (),
    *,
    format: str = "auto",  # noqa: A002  the option's name
    partition: tuple[int, int] | None = None,
    shuffle: bool = False,
    seed: int = 0,
    limit: Count | None = None,
    threads: int | None = None,
) -> pl.LazyFrame:
    """A lazy polars frame of recorded sessions with their messages: one row per agent's session of a file.

    The columns are those that agents are distilled from (`docs/import.md`). The rows hold the texts, paths and names of
    the sources. Files are read when the frame is collected; parts that cannot be used give one warning.

    Args:
        sources: Files, folders or patterns; by default the directories where the tools keep their logs.
        format: Format of all files: `claude-code`, `codex`, `pi`, `atif`, `hermes`, or `auto`, each file's own.
        partition: (index, number) of contiguous parts of the sorted list of files; the last part has the rest.
        shuffle: Read the files in a random order.
        seed: Seed of that order.
        limit: At most so many rows.
        threads: Worker threads (default: one per core); the rows do not depend on it.

    Raises:
        ImportError: polars is missing: `pip install 'agentgen-traces[polars]'`.
        TraceError: There is no file, or a named one has another format.
        OSError: A file cannot be read.
        ValueError: Another argument is out of range.
    """
    try:
        import polars as pl  # noqa: PLC0415  an extra
        from polars.io.plugins import register_io_source  # noqa: PLC0415
    except ImportError as error:
        raise ImportError("rollouts needs polars: pip install 'agentgen-traces[polars]'") from error
    rows = None if limit is None else check_integer("limit", limit, 1, MAX_ROWS)
    chosen = selection(
        sources, format=format, partition=partition, seed=seed if shuffle else None, limit=rows, threads=threads
    )
    # Errors surface here, not at the first batch.
    stream, _ = _native.open_rollouts(chosen)
    schema = pl.Schema(stream)
    stream.close()

    def frames(
        with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, _batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        needed = rows if n_rows is None else min(n_rows, rows or n_rows)
        batches, problems = _native.open_rollouts({**chosen, "limit": needed})
        try:
            for batch in batches:
                frame = pl.DataFrame(batch)
                if predicate is not None:
                    frame = frame.filter(predicate)
                yield frame if with_columns is None else frame.select(with_columns)
        finally:
            batches.close()
        _warn([ImportProblem(**problem) for problem in json.loads(problems.take())])

    return register_io_source(frames, schema=schema, is_pure=True)


def _warn(problems: list[ImportProblem]) -> None:
    if problems:
        text = f"{counted(len(problems), 'part')} of the sources could not be used: {problems[0]}"
        warnings.warn(text, stacklevel=2)


def write_rollouts(
    chosen: RolloutSelection,
    path: StrPath,
    *,
    strict: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> WrittenRollouts:
    """Write the rows of a selection as a Parquet file; with `strict`, only if all parts of the sources can be used."""
    text = _native.write_rollouts(chosen, os.fspath(path), strict=strict, progress=progress)
    data: dict[str, Any] = json.loads(text)
    problems = tuple(ImportProblem(**problem) for problem in data.pop("problems"))
    if not data.pop("is_written"):
        raise strict_error(problems)
    return WrittenRollouts(**data, problems=problems)


def selection(
    sources: StrPath | Sequence[StrPath],
    *,
    format: str,  # noqa: A002  the option's name
    partition: tuple[int, int] | None,
    seed: int | None,
    limit: int | None,
    threads: int | None,
) -> RolloutSelection:
    """The checked arguments of a selection; a seed shuffles."""
    listed = [sources] if isinstance(sources, (str, os.PathLike)) else sources
    if format != "auto":
        check_choice("format", format, ("auto", *rollout_formats()))
    if threads is not None:
        check_integer("threads", threads, 1, MAX_THREADS)
    if partition is not None:
        index, count = partition
        check_integer("partition", count, 1, MAX_ROWS)
        check_integer("partition", index, 0, count - 1)
    return {
        "sources": [os.fspath(source) for source in listed],
        "format": None if format == "auto" else format,
        "partition": partition,
        "shuffle_seed": None if seed is None else check_integer("seed", seed, 0, MAX_SEED),
        "limit": limit,
        "threads": threads,
    }
