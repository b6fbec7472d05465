"""Lengths of traces, and the hits of a prefix cache."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentgen import _native
from agentgen._native import DECODE_TOKENS_PER_SECOND, PREFILL_TOKENS_PER_SECOND
from agentgen.analysis.figures import READINGS, Figures, assumptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import polars as pl
    from rich.console import RenderableType

    from agentgen.analysis.figures import Progress
    from agentgen.units import Count, Rate

    StrPath = str | os.PathLike[str]

_RATE = {"hit_rate": "Float64"}
_HITS = {"prompt_tokens": "UInt64", "hit_tokens": "UInt64", **_RATE}
_STATISTICS = dict.fromkeys(("mean", "std", "median", "p05", "p25", "p75", "p95", "p99"), "Float64")


class Analysis(Figures):
    """The analysis of one trace or several; `docs/reuse.md` defines every figure.

    The properties are polars frames. `str` gives the tables of the command.
    """

    def __repr__(self) -> str:
        traces = self._data["traces"]
        sessions, requests = (sum(trace[count] for trace in traces) for count in ("sessions", "requests"))
        return f"Analysis(traces={[trace['trace'] for trace in traces]!r}, sessions={sessions}, requests={requests})"

    def to_polars(self) -> pl.DataFrame:
        """A row per trace: sessions, requests and tokens."""
        counts = ("sessions", "requests", "prompt_tokens", "output_tokens")
        columns = {"trace": "String", **dict.fromkeys(counts, "UInt64")}
        return self._frame("to_polars", columns, self._data["traces"])

    def _pieces(self) -> Iterator[RenderableType]:
        from agentgen.analysis.text import pieces  # noqa: PLC0415  rich is slow to import

        return pieces(self._data)

    @property
    def rates(self) -> pl.DataFrame:
        """Hit rates of an infinite cache by reading (`linked`, `standalone`) and definition."""

        def rows() -> Iterator[dict[str, Any]]:
            for trace in self._data["traces"]:
                for reading in READINGS:
                    for definition, rate in (trace["reuse"][reading] or {}).items():
                        yield {
                            "trace": trace["trace"],
                            "reading": reading,
                            "definition": definition,
                            "hit_rate": rate,
                        }

        return self._frame("rates", {"trace": "String", "reading": "String", "definition": "String", **_RATE}, rows())

    @property
    def layers(self) -> pl.DataFrame:
        """Prompt tokens and cache hits by layer (infinite cache, reading `linked`)."""
        return self._reuse_frame("layers", "by_layer", {"layer": "String", **_HITS})

    @property
    def turns(self) -> pl.DataFrame:
        """Prompt tokens and cache hits by turn index (infinite cache, reading `linked`)."""
        return self._reuse_frame("turns", "by_turn", {"turn_index": "UInt32", "requests": "UInt64", **_HITS})

    @property
    def curve(self) -> pl.DataFrame:
        """Hit rate (blocks found / all blocks of the prompts) of an LRU cache by capacity."""
        columns = {"capacity_blocks": "UInt64", "capacity_tokens": "UInt64", **_RATE}
        return self._reuse_frame("curve", "capacity_curve", columns)

    @property
    def ttl(self) -> pl.DataFrame:
        """Hit rate (tokens found / tokens of the prompts) by time to live (null: unlimited)."""
        return self._reuse_frame("ttl", "ttl", {"ttl_ms": "Float64", **_RATE})

    @property
    def working_set(self) -> pl.DataFrame:
        """Distinct tokens used so far, used and needed again, and used in the last 5 minutes, over time."""
        columns = dict.fromkeys(("distinct_tokens", "live_tokens", "recent_tokens"), "UInt64")
        return self._reuse_frame("working_set", "working_set", {"time_ms": "Float64", **columns})

    @property
    def lengths(self) -> pl.DataFrame:
        """Count, mean, standard deviation and percentiles of each length that the trace has."""
        rows = (
            {"trace": trace["trace"], "metric": metric, **observed}
            for trace in self._data["traces"]
            for metric, observed in trace["lengths"].items()
            if observed is not None
        )
        return self._frame("lengths", {"trace": "String", "metric": "String", "count": "UInt64", **_STATISTICS}, rows)

    @property
    def distances(self) -> pl.DataFrame:
        """Two-sample Kolmogorov-Smirnov distances of the lengths, from the first trace to each other one."""
        columns = {"trace": "String", "other": "String", "metric": "String", "ks": "Float64"}
        return self._frame("distances", columns, self._data["distances"])

    def plot(self, directory: StrPath) -> list[Path]:
        """Plot capacity curve, time to live, turns and working set, each as PNG and SVG; existing files are replaced.

        Args:
            directory: Created if missing.

        Returns:
            The files.

        Raises:
            ImportError: matplotlib is missing: `pip install 'agentgen-traces[plot]'`.
            OSError: A file cannot be written.
        """
        from agentgen.analysis.plots import draw  # noqa: PLC0415  an extra

        return draw(self._data["traces"], Path(directory))

    def _reuse_frame(self, name: str, part: str, columns: dict[str, str]) -> pl.DataFrame:
        rows = ({"trace": trace["trace"], **row} for trace in self._data["traces"] for row in trace["reuse"][part])
        return self._frame(name, {"trace": "String", **columns}, rows)


def analyze(
    traces: StrPath | Sequence[StrPath],
    *,
    block_size: Count | None = None,
    cached_outputs: bool = True,
    concurrency: Count | None = None,
    prefill_tokens_per_second: Rate = PREFILL_TOKENS_PER_SECOND,
    decode_tokens_per_second: Rate = DECODE_TOKENS_PER_SECOND,
    trace_layout: str | None = None,
    trace_block_size: Count | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Analysis:
    """Analyze lengths and prefix-cache hits of one trace, or of several side by side.

    Figures that depend on request order share one reference timeline: requests at their recorded times, sessions at
    their arrivals or, where a trace has neither, in file order on `concurrency` slots.

    Args:
        traces: A JSONL (`.gz`, `.zst`) or Parquet file, a run directory or a merged set of shards; or several of
            these to compare.
        block_size: Block size of the cache, tokens (default: the trace's).
        cached_outputs: Whether the KV of outputs stays in the cache (default: true).
        concurrency: Sessions open at once (default: 50); only for traces without arrivals.
        prefill_tokens_per_second: Prefill rate for prompt tokens that are not cached (default: 20,000).
        decode_tokens_per_second: Decode rate of one request (default: 60).
        trace_layout: `incremental` or `cumulative`, for a trace that does not state it.
        trace_block_size: Tokens per hash id, for a trace that does not state it.
        threads: Worker threads (default: one per core); the figures do not depend on it.
        progress: Called with (sessions done, 0), at most ten times per second; the total is not known.

    Raises:
        TraceError: A file is not a trace, or its layout or block size cannot be inferred; or `concurrency` is given
            for a trace with its own times.
        OSError: A file cannot be read.
        ValueError: An argument is out of range.

    Examples:
        >>> manifest = agentgen.write_run(directory, sessions=10)
        >>> analysis = agentgen.analyze(directory)
        >>> analysis.to_dict()["traces"][0]["requests"] == manifest["written"]["turns"]
        True
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
    listed = [traces] if isinstance(traces, (str, os.PathLike)) else traces
    paths = [os.fspath(trace) for trace in listed]
    if not paths:
        raise ValueError("traces: found none, expected at least one file or run directory")
    for path in paths:
        if paths.count(path) > 1:
            raise ValueError(f"traces: found {path!r} twice, expected each once")
    return Analysis(_native.analyze(paths, assumed, progress=progress))
