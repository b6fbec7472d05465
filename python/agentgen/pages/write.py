"""The pages of a trace, in a directory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from agentgen._native import DECODE_TOKENS_PER_SECOND, PREFILL_TOKENS_PER_SECOND
from agentgen.analysis.fidelity import compared
from agentgen.analysis.figures import assumptions
from agentgen.pages import explorer, fidelity, simulation
from agentgen.pages import report as overview
from agentgen.pages.render import render, write_file
from agentgen.pages.survey import SESSIONS, refuse_changed, survey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentgen._native import Assumptions
    from agentgen.analysis.figures import Progress
    from agentgen.pages.survey import Survey
    from agentgen.units import Count, Rate

    StrPath = str | os.PathLike[str]

SIBLINGS = tuple((part.NAME, part.TITLE) for part in (overview, explorer, simulation))


def report(
    trace: StrPath,
    *,
    compare: StrPath | None = None,
    output: StrPath | None = None,
    block_size: Count | None = None,
    cached_outputs: bool = True,
    concurrency: Count | None = None,
    prefill_tokens_per_second: Rate = PREFILL_TOKENS_PER_SECOND,
    decode_tokens_per_second: Rate = DECODE_TOKENS_PER_SECOND,
    trace_layout: str | None = None,
    trace_block_size: Count | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """Write the pages of a trace: each one HTML file that needs no network; those that are there are replaced.

    Of a trace with more than 100,000 sessions the first 100,000 are looked at, and the pages say so.

    Args:
        trace: A JSONL (`.gz`, `.zst`) or Parquet file, a run directory or a merged set of shards.
        compare: Another trace, which the report lays over the first; `fidelity.html` then compares their sessions.
        output: Where the pages go, made if missing (default: the run directory, else the working directory).
        block_size: Tokens per block of the cache, as for `agentgen.analyze`; so are the arguments that follow.
        cached_outputs: Whether the KV of outputs stays in the cache.
        concurrency: Sessions open at once (default: 50), of traces without arrivals; refused of one that has them.
        prefill_tokens_per_second: How fast new tokens of a prompt are computed.
        decode_tokens_per_second: How fast an output's tokens follow each other.
        trace_layout: `incremental` or `cumulative`, for a trace that does not say.
        trace_block_size: Tokens per hash id, for a trace that does not say.
        threads: Threads that parse (default: one a core).
        progress: Called with (sessions done, 0), at most ten times per second.

    Returns:
        The pages' files.

    Raises:
        TraceError: A file is not a trace, or its layout or block size is unknown; the rows or the quality.json of a
            run are not those that its manifest describes; or `concurrency` is given for one with times of its own.
        OSError: A file cannot be read or written.
        ValueError: Another argument is out of its range.
    """
    assumed = assumptions(
        block_size=block_size,
        cached_outputs=cached_outputs,
        concurrency=concurrency,
        prefill_tokens_per_second=prefill_tokens_per_second,
        decode_tokens_per_second=decode_tokens_per_second,
        trace_layout=trace_layout,
        trace_block_size=trace_block_size,
        threads=threads,
    )
    pages = rendered(trace, assumed, compare=compare, progress=progress)
    return write(pages, output or home(trace, compare))


def rendered(
    trace: StrPath, assumed: Assumptions, *, compare: StrPath | None = None, progress: Progress | None = None
) -> dict[str, bytes]:
    """The pages of a trace by the names of their files, as `report` writes them."""
    traces = [os.fspath(trace)] + ([] if compare is None else [os.fspath(compare)])
    if len(set(traces)) < len(traces):
        raise ValueError(f"compare: found {traces[0]!r} twice, expected another trace")
    for one in traces:
        refuse_changed(one)
    return _rendered(traces, assumed, progress=progress)


def report_new(run: StrPath, *, threads: int | None) -> list[Path]:
    """Write the pages of a run right after its rows; they cannot have changed, so no file is hashed again."""
    return write(_rendered([os.fspath(run)], assumptions(threads=threads)), run)


def _rendered(traces: Sequence[str], assumed: Assumptions, *, progress: Progress | None = None) -> dict[str, bytes]:
    found = survey(traces, assumed, progress=progress)
    # Only sessions can be compared: a trace of single requests has none.
    laid_over = len(traces) > 1 and all(trace["sessions"] for trace in found.analysis["traces"])
    siblings = (*SIBLINGS, (fidelity.NAME, fidelity.TITLE)) if laid_over else SIBLINGS
    pages = [part.page(found, siblings, sample=SESSIONS) for part in (overview, explorer)]
    pages.append(simulation.page(traces[0], assumed, siblings, sessions=_sessions(found)))
    if laid_over:
        pages.append(fidelity.page(compared(traces[1:], traces[0], assumed).to_dict(), siblings))
    return {page.name: render(page) for page in pages}


def home(trace: StrPath, compare: StrPath | None) -> StrPath:
    """The default directory of pages."""
    return trace if compare is None and Path(trace).is_dir() else Path()


def write(pages: Mapping[str, bytes], directory: StrPath) -> list[Path]:
    """Files in a directory, which is made if missing."""
    Path(directory).mkdir(parents=True, exist_ok=True)
    return [write_file(Path(directory) / name, content) for name, content in pages.items()]


def _sessions(found: Survey) -> str:
    """How many sessions the first trace has, in words; requests if it names no sessions."""
    if run := found.runs[0]:
        return f"{run['manifest']['written']['sessions']:,}"
    if found.cut[0]:
        return f"more than {SESSIONS:,}"
    trace = found.analysis["traces"][0]
    return f"{trace['sessions'] or trace['requests']:,}"
