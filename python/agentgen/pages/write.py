"""The pages of a trace, in a directory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from agentgen.analysis.figures import (
    CONCURRENCY,
    DECODE_TOKENS_PER_SECOND,
    PREFILL_TOKENS_PER_SECOND,
    assumptions,
)
from agentgen.pages import explorer, simulation
from agentgen.pages import report as overview
from agentgen.pages.render import render
from agentgen.pages.survey import SESSIONS, survey

if TYPE_CHECKING:
    from agentgen.analysis.figures import Progress
    from agentgen.pages.survey import Survey

    StrPath = str | os.PathLike[str]

SIBLINGS = tuple((part.NAME, part.TITLE) for part in (overview, explorer, simulation))


def report(
    trace: StrPath,
    *,
    compare: StrPath | None = None,
    output: StrPath | None = None,
    block_size: int | None = None,
    cached_outputs: bool = True,
    concurrency: int = CONCURRENCY,
    prefill_tokens_per_second: float = PREFILL_TOKENS_PER_SECOND,
    decode_tokens_per_second: float = DECODE_TOKENS_PER_SECOND,
    layout: str | None = None,
    trace_block_size: int | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """Write the pages of a trace: each one HTML file that needs no network; those that are there are replaced.

    Of a trace with more than 100,000 sessions the first 100,000 are looked at, and the pages say so.

    Args:
        trace: A JSONL (`.gz`, `.zst`) or Parquet file, a run directory or a merged set of shards.
        compare: Another trace, which the report lays over the first.
        output: Where the pages go, made if missing (default: the run directory, else the working directory).
        block_size: Tokens a block of the cache, as `agentgen.analyze` has it; so are the arguments that follow.
        cached_outputs: Whether the KV of outputs stays in the cache.
        concurrency: Sessions open at once, of a trace without arrivals.
        prefill_tokens_per_second: How fast new tokens of a prompt are computed.
        decode_tokens_per_second: How fast an output's tokens follow each other.
        layout: `incremental` or `cumulative`, for a trace that does not say.
        trace_block_size: Tokens a hash id, for a trace that does not say.
        threads: Threads that parse (default: one a core).
        progress: Called with (sessions done, 0), at most ten times a second.

    Returns:
        The pages' files.

    Raises:
        TraceError: A file is not a trace, or its layout or block size cannot be told.
        OSError: A file cannot be read or written.
        ValueError: Another argument is out of its range.
    """
    assumed = assumptions(
        block_size=block_size,
        cached_outputs=cached_outputs,
        concurrency=concurrency,
        prefill_tokens_per_second=prefill_tokens_per_second,
        decode_tokens_per_second=decode_tokens_per_second,
        layout=layout,
        trace_block_size=trace_block_size,
        threads=threads,
    )
    traces = [os.fspath(trace)] + ([] if compare is None else [os.fspath(compare)])
    if len(set(traces)) < len(traces):
        raise ValueError(f"compare: found {traces[0]!r} twice, expected another trace")
    found = survey(traces, assumed, progress=progress)
    pages = [part.page(found, SIBLINGS, sample=SESSIONS) for part in (overview, explorer)]
    pages.append(simulation.page(trace, assumed, SIBLINGS, sessions=_sessions(found)))
    if output is None:
        output = trace if compare is None and Path(trace).is_dir() else Path()
    directory = Path(output)
    directory.mkdir(parents=True, exist_ok=True)
    return [write_file(directory / page.name, render(page)) for page in pages]


def _sessions(found: Survey) -> str:
    """How many sessions the first trace has, in words; requests if it names no sessions."""
    if run := found.runs[0]:
        return f"{run['manifest']['written']['sessions']:,}"
    if found.cut[0]:
        return f"more than {SESSIONS:,}"
    trace = found.analysis["traces"][0]
    return f"{trace['sessions'] or trace['requests']:,}"


def write_file(path: Path, content: bytes) -> Path:
    """A file that has its name only when it is complete."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path
