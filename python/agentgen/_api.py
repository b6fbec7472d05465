"""The functions that make and take tables."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from agentgen import _native
from agentgen._batches import Batches, Trace
from agentgen._report import Report
from agentgen.config import load_config
from agentgen.run import refuse_target, refuse_twice, refuse_whole, utc_now
from agentgen.settings import LAYOUTS, MAX_THREADS, MAX_TOKENS, check_choice, check_integer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    StrPath = str | os.PathLike[str]
    ConfigLike = StrPath | Mapping[str, Any]


def presets() -> dict[str, dict[str, Any]]:
    """The bundled configurations by name, the default one first; a changed copy is a configuration, too."""
    return {name: json.loads(_native.preset(name)) for name in _native.preset_names()}


def generate(
    config: ConfigLike = "default",
    *,
    sessions: int | None = None,
    seed: int | None = None,
    layout: str | None = None,
    shard: tuple[int, int] | None = None,
    threads: int | None = None,
    columns: Sequence[str] | None = None,
    max_isl: int | None = None,
    max_osl: int | None = None,
) -> Batches:
    """Generate a data set as Arrow batches; the same arguments always give the same rows.

    Sessions are drawn turn by turn from the configuration's distributions until a reset, a restart, the context limit
    or their turn count ends them (`docs/trace-model.md` has the model).

    Args:
        config: A bundled preset's name, a configuration file, a run's `manifest.json` or directory, or a mapping of
            fields; fields not stated have the default preset's values.
        sessions: Sessions to generate, beside the continuations after restarts (default 1000, or the manifest's).
        seed: 0 to 2^64 - 1 (default 42, or the manifest's).
        layout: `incremental` or `cumulative`: whether `hash_ids` cover a row's new tokens or the whole prompt
            (default `incremental`, or the manifest's).
        shard: (index, count), from (0, count): one of `count` parts that together are the data set.
        threads: Worker threads (default: one a core); the rows do not depend on it.
        columns: Columns to make (default all).
        max_isl: Replaces `max_prompt_tokens`, tokens.
        max_osl: Replaces `generation_length.max`, tokens.

    Returns:
        The rows, made while they are taken, in bounded memory, with the GIL released.

    Raises:
        ConfigError: The configuration breaks a rule.
        OSError: The configuration file cannot be read.
        ValueError: Another argument is out of its range, or there is no column of a name in `columns`.

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
        with loaded.named_in_errors():
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

    made_from = {
        "config": loaded.source,
        "sessions": chosen.sessions,
        "seed": chosen.seed,
        "layout": chosen.layout,
        "shard": chosen.shard,
    }
    return Batches(open_stream, columns, made_from, check_now=True)


def read(
    paths: StrPath | Sequence[StrPath],
    *,
    layout: str | None = None,
    block_size: int | None = None,
    columns: Sequence[str] | None = None,
    threads: int | None = None,
) -> Trace:
    """Read a trace as the canonical table, whatever its format and layout.

    Args:
        paths: A JSONL (`.gz`, `.zst`) or Parquet file, a run directory, a merged set of shards, or several of these
            that are one data set.
        layout: `incremental` or `cumulative`, for a trace that does not say (default: infer it, or refuse).
        block_size: Tokens a block, for a trace that does not say (default: infer it, or refuse).
        columns: Columns to read (default all).
        threads: Worker threads (default: one a core).

    Returns:
        The rows, read while they are taken, with the GIL released; and the trace's layout, block size and origin.

    Raises:
        TraceError: A file is not a trace, or its layout or block size cannot be told.
        OSError: A file cannot be read.

    Examples:
        >>> manifest = agentgen.write_run(directory, sessions=10)
        >>> trace = agentgen.read(directory)
        >>> sum(len(batch) for batch in trace) == manifest["written"]["turns"]
        True
        >>> trace.layout, trace.block_size
        ('incremental', 512)
    """
    _check_reading(layout, block_size, threads)
    sources = _sources(paths)
    about = json.loads(_native.inspect(sources, layout=layout, block_size=block_size))

    def open_stream(wanted: Sequence[str] | None) -> _native.BatchStream:
        return _native.read(sources, layout=layout, block_size=block_size, columns=wanted, threads=threads)

    trace = Trace(open_stream, columns, about)
    open_stream(columns).close()
    return trace


def validate(
    paths: StrPath | Sequence[StrPath],
    *,
    layout: str | None = None,
    block_size: int | None = None,
    max_errors: int = 20,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Check that a trace can be replayed: each row, and all of them together.

    Args:
        paths: What `read` takes, or files of multi-turn messages (`docs/messages.md`).
        layout: As for `read`; not for multi-turn messages, which have none.
        block_size: Likewise.
        max_errors: Findings to keep; all are counted.
        threads: Worker threads (default: one a core).
        progress: Called with (bytes done, bytes in all), at most ten times a second.

    Returns:
        What was checked and what was found; `report.ok` says whether the trace is sound.

    Raises:
        TraceError: A file cannot be read as a trace at all.
        OSError: A file cannot be read.

    Examples:
        >>> manifest = agentgen.write_run(directory, sessions=10)
        >>> agentgen.validate(directory).ok
        True
    """
    _check_reading(layout, block_size, threads)
    check_integer("max_errors", max_errors, 1, MAX_TOKENS)
    text = _native.validate(
        _sources(paths),
        layout=layout,
        block_size=block_size,
        max_errors=max_errors,
        threads=threads,
        progress=progress,
    )
    return Report.from_json(text)


def convert(
    paths: StrPath | Sequence[StrPath],
    target: StrPath,
    *,
    layout: str | None = None,
    from_layout: str | None = None,
    block_size: int | None = None,
    sort: bool = False,
    threads: int | None = None,
    force: bool = False,
) -> dict[str, Any]:
    """Rewrite a trace in another format or layout.

    Args:
        paths: What `read` takes.
        target: The file to write: `.jsonl`, `.jsonl.zst` or `.parquet`.
        layout: `cumulative` to write whole prompts from an incremental trace (default: the trace's own layout).
        from_layout: The layout of a trace that does not say.
        block_size: As for `read`.
        sort: Order the rows by time.
        threads: Worker threads (default: one a core).
        force: Replace a `target` that exists.

    Returns:
        `rows`, `sessions`, `layout`, `bytes` and `sha256` of what was written.

    Raises:
        TraceError: A source is not a trace, or cannot be had in that layout or order.
        RunError: `target` exists, or is a source or a file of a run (`force` or not).
        OSError: A file cannot be read or written; no partial target is left.
    """
    _check_reading(from_layout, block_size, threads)
    if layout is not None:
        check_choice("layout", layout, LAYOUTS)
    sources = _sources(paths)
    refuse_target(os.fspath(target), sources, force=force)
    text = _native.convert(
        sources,
        os.fspath(target),
        layout=from_layout,
        block_size=block_size,
        to_layout=layout,
        sort=sort,
        threads=threads,
    )
    written: dict[str, Any] = json.loads(text)
    return written


def merge(runs: Sequence[StrPath], directory: StrPath) -> dict[str, Any]:
    """Join the shards of one data set: writes the manifest, quality and comparison of the whole into `directory`.

    The shards stay where they are; `read`, `scan` and `validate` take `directory` as one data set.

    Args:
        runs: The run directories of all shards, in any order.
        directory: Where the whole is described (made if missing).

    Returns:
        The manifest of the whole.

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
        refuse_whole(shard)
    text = _native.merge(shards, os.fspath(directory), created=utc_now())
    manifest: dict[str, Any] = json.loads(text)
    return manifest


def _sources(paths: StrPath | Sequence[StrPath]) -> list[str]:
    several = [paths] if isinstance(paths, (str, os.PathLike)) else paths
    sources = [os.fspath(path) for path in several]
    if not sources:
        raise ValueError("paths: found none, expected at least one file or run directory")
    refuse_twice(sources)
    return sources


def _check_threads(threads: int | None) -> None:
    if threads is not None:
        check_integer("threads", threads, 1, MAX_THREADS)


def _check_reading(layout: str | None, block_size: int | None, threads: int | None) -> None:
    _check_threads(threads)
    if layout is not None:
        check_choice("layout", layout, LAYOUTS)
    if block_size is not None:
        check_integer("block_size", block_size, 1, MAX_TOKENS)
