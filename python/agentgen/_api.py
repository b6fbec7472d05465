"""Functions that generate, read, validate, convert and merge traces."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from agentgen import _native
from agentgen._batches import Batches, Trace
from agentgen._native import MAX_TOKENS
from agentgen._validation import ValidationReport
from agentgen.config import load_config
from agentgen.errors import UsageError
from agentgen.run import check_distinct, check_is_shard, check_target, utc_now
from agentgen.settings import LAYOUTS, MAX_THREADS, check_choice, check_integer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agentgen.units import Count

    StrPath = str | os.PathLike[str]
    ConfigLike = StrPath | Mapping[str, Any]


def presets() -> dict[str, dict[str, Any]]:
    """The bundled configurations by name, default first; a modified copy is a valid argument of `generate`."""
    return {name: json.loads(_native.preset(name)) for name in _native.preset_names()}


def generate(
    config: ConfigLike = "default",
    *,
    sessions: Count | None = None,
    seed: int | None = None,
    layout: str | None = None,
    shard: tuple[int, int] | None = None,
    threads: int | None = None,
    columns: Sequence[str] | None = None,
    max_isl: Count | None = None,
    max_osl: Count | None = None,
) -> Batches:
    """Generate a trace as Arrow batches; equal arguments always give equal rows.

    Sessions are drawn turn by turn from the configuration's distributions until a reset, a restart, the context limit
    or their turn count ends them (`docs/trace-model.md`).

    Args:
        config: Name of a preset, a configuration file, a run's `manifest.json` or directory, or a mapping of fields;
            missing fields have the values of the default preset.
        sessions: Sessions to generate, continuations not counted (default 1000, or the manifest's).
        seed: 0 to 2^64 - 1 (default 42, or the manifest's).
        layout: `incremental` or `cumulative`: whether `hash_ids` cover a row's new tokens or the whole prompt
            (default `incremental`, or the manifest's).
        shard: (index, count): shard `index` (from 0) of `count`; together they are the data set.
        threads: Worker threads (default: one per core); the rows do not depend on it.
        columns: Columns to generate (default: all).
        max_isl: Overrides `max_prompt_tokens`, tokens.
        max_osl: Overrides `generation_length.max`, tokens.

    Returns:
        The rows, generated on demand in bounded memory, with the GIL released.

    Raises:
        ConfigError: The configuration is invalid.
        OSError: The configuration file cannot be read.
        ValueError: Another argument is out of range, or `columns` has an unknown name.

    Examples:
        >>> import agentgen
        >>> batches = agentgen.generate(sessions=10, seed=1, columns=["input_length", "output_length"])
        >>> next(iter(batches)).column_names
        ['input_length', 'output_length']
    """
    loaded = load_config(config)
    chosen = loaded.settings.updated(
        sessions=sessions, seed=seed, layout=layout, shard=shard, max_isl=max_isl, max_osl=max_osl
    )
    _check_threads(threads)
    text = loaded.json

    def open_stream(wanted: Sequence[str] | None) -> _native.BatchStream:
        with loaded.source_in_errors():
            return _native.generate(
                text,
                seed=chosen.seed,
                sessions=chosen.sessions,
                layout=chosen.layout,
                shard=chosen.shard,
                threads=threads,
                columns=wanted,
                max_isl=chosen.max_isl,
                max_osl=chosen.max_osl,
            )

    origin_fields = {
        "config": loaded.source,
        "sessions": chosen.sessions,
        "seed": chosen.seed,
        "layout": chosen.layout,
        "shard": chosen.shard,
    }
    return Batches(open_stream, columns, origin_fields, check_now=True)


def read(
    paths: StrPath | Sequence[StrPath],
    *,
    trace_layout: str | None = None,
    trace_block_size: Count | None = None,
    columns: Sequence[str] | None = None,
    threads: int | None = None,
) -> Trace:
    """Read a trace as the canonical table, whatever its format and layout.

    Args:
        paths: A JSONL (`.gz`, `.zst`) or Parquet file, a run directory, a merged set of shards, or several of these
            that form one data set.
        trace_layout: `incremental` or `cumulative`, for a trace that does not state it (default: inferred).
        trace_block_size: Block size in tokens, for a trace that does not state it (default: inferred).
        columns: Columns to read (default: all).
        threads: Worker threads (default: one per core).

    Returns:
        The rows, read on demand with the GIL released; and the trace's layout, block size and origin.

    Raises:
        TraceError: A file is not a trace, or its layout or block size cannot be inferred.
        OSError: A file cannot be read.

    Examples:
        >>> manifest = agentgen.write_run(directory, sessions=10)
        >>> trace = agentgen.read(directory)
        >>> sum(len(batch) for batch in trace) == manifest["written"]["turns"]
        True
        >>> trace.layout, trace.block_size
        ('incremental', 512)
    """
    block_size = _check_reading(trace_layout, trace_block_size, threads)
    sources = _sources(paths)
    about = json.loads(_native.inspect(sources, trace_layout=trace_layout, trace_block_size=block_size))

    def open_stream(wanted: Sequence[str] | None) -> _native.BatchStream:
        return _native.read(
            sources, trace_layout=trace_layout, trace_block_size=block_size, columns=wanted, threads=threads
        )

    trace = Trace(open_stream, columns, about)
    open_stream(columns).close()
    return trace


def validate(
    paths: StrPath | Sequence[StrPath],
    *,
    trace_layout: str | None = None,
    trace_block_size: Count | None = None,
    max_errors: Count = 20,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ValidationReport:
    """Check that a trace follows the rules of its format: each row, and all rows together.

    Args:
        paths: What `read` takes, or files of multi-turn messages (`docs/messages.md`).
        trace_layout: As for `read`; not for multi-turn messages, which have no layout.
        trace_block_size: As for `read`; not for multi-turn messages, which have no blocks.
        max_errors: Maximum number of findings to keep; all are counted.
        threads: Worker threads (default: one per core).
        progress: Called with (bytes done, total bytes), at most ten times per second.

    Returns:
        What was checked and the findings; `ok` is true for a valid trace.

    Raises:
        TraceError: A file is not readable as a trace.
        OSError: A file cannot be read.

    Examples:
        >>> manifest = agentgen.write_run(directory, sessions=10)
        >>> agentgen.validate(directory).ok
        True
    """
    block_size = _check_reading(trace_layout, trace_block_size, threads)
    max_errors = check_integer("max_errors", max_errors, 1, MAX_TOKENS)
    text = _native.validate(
        _sources(paths),
        trace_layout=trace_layout,
        trace_block_size=block_size,
        max_errors=max_errors,
        threads=threads,
        progress=progress,
    )
    return ValidationReport.from_json(text)


def convert(
    paths: StrPath | Sequence[StrPath],
    target: StrPath,
    *,
    layout: str | None = None,
    trace_layout: str | None = None,
    trace_block_size: Count | None = None,
    sort: bool = False,
    group: bool = False,
    renumber_ids: bool = False,
    threads: int | None = None,
    force: bool = False,
) -> dict[str, Any]:
    """Convert a trace to another format or layout; `export` writes the formats of other programs.

    Args:
        paths: What `read` takes.
        target: The file to write: `.jsonl`, `.jsonl.zst` or `.parquet`.
        layout: Layout of `target` (default: that of the trace); `cumulative` writes the hash ids of whole prompts.
        trace_layout: As for `read`.
        trace_block_size: As for `read`.
        sort: Sort the rows by time.
        group: Put the rows of each session where its first row stands; of one JSONL file, which memory holds.
        renumber_ids: Number the hash ids in the order in which they appear, whatever they are (strings, negative, of 64
            bits); of one JSONL file.
        threads: Worker threads (default: one per core).
        force: Replace an existing `target`.

    Returns:
        `rows`, `sessions`, `layout`, `bytes` and `sha256` of what was written.

    Raises:
        TraceError: A source is not a trace, or cannot be converted to that layout or sorted.
        RunError: `target` exists, or is a source or a file of a run (even with `force`).
        OSError: A file cannot be read or written; no partial target is left behind.
    """
    block_size = _check_reading(trace_layout, trace_block_size, threads)
    if layout is not None:
        check_choice("layout", layout, LAYOUTS)
    sources = _sources(paths)
    check_target(os.fspath(target), sources, force=force)
    if (group or renumber_ids) and (len(sources) != 1 or sources[0].endswith(".parquet") or os.path.isdir(sources[0])):  # noqa: PTH112
        raise UsageError("found another source, expected one JSONL file", field="group" if group else "renumber_ids")
    text = _native.convert(
        sources,
        os.fspath(target),
        trace_layout=trace_layout,
        trace_block_size=block_size,
        layout=layout,
        sort=sort,
        group=group,
        renumber_ids=renumber_ids,
        threads=threads,
    )
    written: dict[str, Any] = json.loads(text)
    return written


def merge(runs: Sequence[StrPath], directory: StrPath) -> dict[str, Any]:
    """Merge the shards of one data set: write its manifest, quality and comparison into `directory`.

    No rows are copied; `read`, `scan` and `validate` accept `directory` as one data set.

    Args:
        runs: The run directories of all shards, in any order.
        directory: Directory of the merged set, created if missing.

    Returns:
        The manifest of the merged set.

    Raises:
        RunError: A shard is missing, damaged, or of another data set.
        OSError: A file cannot be read or written.

    Examples:
        >>> runs = [directory / f"part-{index}" for index in range(2)]
        >>> for index, run in enumerate(runs):
        ...     manifest = agentgen.write_run(run, sessions=10, shard=(index, 2))
        >>> agentgen.merge(runs, directory)["sessions"]
        10
    """
    if isinstance(runs, (str, os.PathLike)):
        raise TypeError(f"runs: found {str(runs)!r}, expected a list of run directories")
    shards = [os.fspath(run) for run in runs]
    for shard in shards:
        check_is_shard(shard)
    text = _native.merge(shards, os.fspath(directory), created=utc_now())
    manifest: dict[str, Any] = json.loads(text)
    return manifest


def _sources(paths: StrPath | Sequence[StrPath]) -> list[str]:
    listed = [paths] if isinstance(paths, (str, os.PathLike)) else paths
    sources = [os.fspath(path) for path in listed]
    if not sources:
        raise ValueError("paths: found none, expected at least one file or run directory")
    check_distinct(sources)
    return sources


def _check_threads(threads: int | None) -> None:
    if threads is not None:
        check_integer("threads", threads, 1, MAX_THREADS)


def _check_reading(trace_layout: str | None, trace_block_size: Count | None, threads: int | None) -> int | None:
    """Raise for arguments out of range; return the block size as a number."""
    _check_threads(threads)
    if trace_layout is not None:
        check_choice("trace_layout", trace_layout, LAYOUTS)
    return None if trace_block_size is None else check_integer("trace_block_size", trace_block_size, 1, MAX_TOKENS)
