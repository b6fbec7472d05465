"""Importing sessions that real agents recorded."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentgen import _native
from agentgen._native import MAX_TOKENS
from agentgen.errors import TraceError
from agentgen.run import check_empty, utc_now
from agentgen.settings import MAX_THREADS, check_choice, check_integer
from agentgen.text.format import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentgen.units import Count

    StrPath = str | os.PathLike[str]

HIDDEN = ("tools", "models", "agents")


@dataclass(frozen=True)
class ImportProblem:
    """A part of a source that could not be used.

    Attributes:
        file: The file, as it was found.
        line: Its line, from 1; None for the whole file.
        reason: What is wrong with it; holds no text of the file.
    """

    file: str
    line: int | None
    reason: str

    def __str__(self) -> str:
        """`file:line: reason`."""
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.reason}"


@dataclass(frozen=True)
class ImportedRun:
    """A run directory of recorded sessions.

    Attributes:
        directory: The run directory.
        manifest: Its manifest; `manifest["import"]` says what each source held, and what was estimated or left out.
        summary: Counts of sessions, calls, breaks, sub-agents and estimates, as in `quality.json`.
        names: All names in the run, by kind: `tools`, `agents`, `models`.
        problems: Parts of the sources that could not be used.
    """

    directory: Path
    manifest: dict[str, Any]
    summary: dict[str, Any]
    names: dict[str, list[str]]
    problems: tuple[ImportProblem, ...]


def import_formats() -> dict[str, str]:
    """The formats that can be imported: name and title."""
    return dict(_native.import_formats())


def import_sessions(
    sources: StrPath | Sequence[StrPath],
    directory: StrPath,
    *,
    format: str = "auto",  # noqa: A002  the option's name
    block_size: Count | None = None,
    keep: Sequence[str] = (),
    hide: Sequence[str] = (),
    strict: bool = False,
    threads: int | None = None,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ImportedRun:
    """Import recorded sessions into a run directory: data files, `calls.parquet`, `manifest.json`, `quality.json`.

    The run holds no text, path or name of the sources (`docs/import.md`).

    Args:
        sources: Files, folders or patterns; an empty list for the default directories of all tools.
        directory: The run directory; created if missing.
        format: Format of all files (default: `auto`, each file's own); `import_formats` has the names.
        block_size: Tokens per block, for sources without block ids (default: 64).
        keep: Names of tools, sub-agents and models that are written as they are.
        hide: `tools`, `models` or `agents`: kinds of names that become numbers although they are well-known.
        strict: Write nothing if a part of a source cannot be used.
        threads: Worker threads (default: one per core); the rows do not depend on it.
        force: Replace the run in a directory that is not empty.
        progress: Called with (bytes read, total bytes), at most ten times per second.

    Returns:
        What was imported, and what could not be.

    Raises:
        TraceError: A named file has no known format, no source holds a model call, the sources have different block
            sizes; or, with `strict`, a part of a source cannot be used.
        RunError: The directory is not empty.
        OSError: A file cannot be read or written; no incomplete file is left behind.
        ValueError: Another argument is out of range.
    """
    listed = [sources] if isinstance(sources, (str, os.PathLike)) else sources
    if format != "auto":
        check_choice("format", format, ("auto", *import_formats()))
    for kind in hide:
        check_choice("hide", kind, HIDDEN)
    if threads is not None:
        check_integer("threads", threads, 1, MAX_THREADS)
    size = None if block_size is None else check_integer("block_size", block_size, 1, MAX_TOKENS)
    check_empty(Path(directory), force=force)
    text = _native.import_sessions(
        [os.fspath(source) for source in listed],
        os.fspath(directory),
        created=utc_now(),
        format=None if format == "auto" else format,
        block_size=size,
        keep=list(keep),
        hide=list(hide),
        strict=strict,
        threads=threads,
        progress=progress,
    )
    data = json.loads(text)
    problems = tuple(ImportProblem(**problem) for problem in data["problems"])
    if data["manifest"] is None:
        raise strict_error(problems)
    return ImportedRun(Path(directory), data["manifest"], data["summary"], data["names"], problems)


def strict_error(problems: Sequence[ImportProblem]) -> TraceError:
    """The error of an import that had to be complete."""
    more = f" (and {counted(len(problems) - 1, 'other problem')})" if problems[1:] else ""
    return TraceError(f"{problems[0]}{more}; nothing was written (strict)")
