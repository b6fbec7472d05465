"""Writing traces in formats that other programs read."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentgen import _native
from agentgen._native import MAX_TOKENS
from agentgen.errors import RunError
from agentgen.run import check_distinct, check_target
from agentgen.settings import LAYOUTS, MAX_THREADS, check_choice, check_integer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentgen.units import Count

    StrPath = str | os.PathLike[str]

STDOUT = "-"
_SUFFIXES = (".gz", ".zst", ".jsonl", ".json", ".csv")


@dataclass(frozen=True)
class Loss:
    """A part of a trace that an export does not hold as the trace does.

    Attributes:
        part: The part: `arrivals`, `delays`, `sessions`, `restarts`, `breaks`, `sub_agents`, `joins`, `late_joins`,
            `triggers`, `groups`, `output_lengths`, `returned_outputs` or `blocks`.
        count: How often the trace has it.
        approximated: What the export has in its place; None: nothing.
    """

    part: str
    count: int
    approximated: str | None


@dataclass(frozen=True)
class Export:
    """A trace in another format.

    Attributes:
        format: Name of the format.
        title: What it is.
        sessions: Sessions written.
        requests: Requests written.
        files: Files written.
        bytes: Size of all files.
        sha256: SHA-256 of a single file; None for a directory and for standard output.
        block_size: Tokens of a block in the export; None for formats without blocks.
        block_size_option: The option by which the reader learns that size, if it takes one.
        losses: What the export does not hold as the trace does; empty if it holds everything.
    """

    format: str
    title: str
    sessions: int
    requests: int
    files: int
    bytes: int
    sha256: str | None
    block_size: int | None
    block_size_option: str | None
    losses: tuple[Loss, ...]


def export_formats() -> dict[str, str]:
    """The formats that `export` writes: name and title."""
    return {one["name"]: one["title"] for one in formats_table()}


def formats_table() -> list[dict[str, Any]]:
    """The table of formats: names, readers, and how each part of a trace is held."""
    table: list[dict[str, Any]] = json.loads(_native.export_formats())
    return table


def result_path(target: Path) -> Path:
    """Where the result of an export is written: `NAME.export.json` beside the target."""
    name = target.name
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    return target.with_name(f"{name or target.name}.export.json")


def export(
    paths: StrPath | Sequence[StrPath],
    target: StrPath,
    *,
    to: str,
    trace_block_size: Count | None = None,
    text: bool = False,
    tokenizer: StrPath | None = None,
    strict: bool = False,
    source_layout: str | None = None,
    source_block_size: Count | None = None,
    threads: int | None = None,
    force: bool = False,
) -> Export:
    """Write a trace in a format that another program reads (`docs/formats.md`).

    `convert` writes the formats of agentgen itself.

    Args:
        paths: What `read` takes.
        target: File to write (`.gz` and `.zst` compress it), or directory, for formats of many files; `-` for standard
            output. The result is also written beside it, as `NAME.export.json`.
        to: Name of the format.
        trace_block_size: Tokens of a block in `target` (default: as in the trace). A divisor of that keeps all that
            prompts share.
        text: Make prompts of words, for formats that hold text: those that `replay` sends with an empty salt.
        tokenizer: A `tokenizer.json`; prompts are made of words of one token each, so that they have exact lengths.
        strict: Write nothing if the format does not hold all that the trace says.
        source_layout: As `trace_layout` of `read`.
        source_block_size: As `trace_block_size` of `read`.
        threads: Worker threads (default: one per core).
        force: Replace an existing file.

    Returns:
        What was written, and what the format does not hold.

    Raises:
        TraceError: A source is not a trace; or, with `strict`, the format does not hold all of it.
        UsageError: `to` is unknown, or another argument does not go with it.
        RunError: `target` exists, or is a source or a file of a run (even with `force`).
        OSError: A file cannot be read or written; no partial target is left behind.

    Examples:
        >>> manifest = agentgen.write_run(directory / "run", sessions=10)
        >>> exported = agentgen.export(directory / "run", directory / "trace.jsonl", to="mooncake")
        >>> exported.requests == manifest["written"]["turns"], exported.block_size
        (True, 512)
    """
    if threads is not None:
        check_integer("threads", threads, 1, MAX_THREADS)
    if source_layout is not None:
        check_choice("source_layout", source_layout, LAYOUTS)
    sizes = {"trace_block_size": trace_block_size, "source_block_size": source_block_size}
    checked = {name: None if size is None else check_integer(name, size, 1, MAX_TOKENS) for name, size in sizes.items()}
    sources = [os.fspath(path) for path in ([paths] if isinstance(paths, (str, os.PathLike)) else paths)]
    if not sources:
        raise ValueError("paths: found none, expected at least one file or run directory")
    check_distinct(sources)
    path = None if os.fspath(target) == STDOUT else Path(target)
    if path is not None:
        check_export_target(path, sources, to, force=force)
    words = None
    if tokenizer is not None:
        from agentgen.replay.tokenizer_words import single_token_words  # noqa: PLC0415  needs an optional dependency

        words = list(single_token_words(Path(tokenizer)).words)
    result = _native.export_trace(
        sources,
        None if path is None else os.fspath(path),
        to=to,
        source_layout=source_layout,
        text=text,
        words=words,
        strict=strict,
        threads=threads,
        **checked,
    )
    fields = json.loads(result)
    if path is not None:
        _native.write_file(result_path(path), (json.dumps(fields, indent=2) + "\n").encode())
    return Export(**{**fields, "losses": tuple(Loss(**loss) for loss in fields["losses"])})


def check_export_target(
    path: Path, sources: Sequence[str], to: str, *, force: bool, option: str = "force=True"
) -> None:
    """Raise RunError if the target or the file of the result is in the way."""
    is_directory = any(one["name"] == to and one["is_directory"] for one in formats_table())
    if not is_directory:
        check_target(os.fspath(path), sources, force=force, option=option)
    elif path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise RunError(f"{path}: found a file or directory, expected a new name for a directory")
    beside = result_path(path)
    if beside.exists() and not force:
        raise RunError(f"{beside}: found a file, expected none; choose another name or give {option}")
