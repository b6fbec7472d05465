"""What a trace is made of, and what a prefix cache would find of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from agentgen import _native
from agentgen.analysis.figures import Figures, assumptions
from agentgen.analysis.text import READINGS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import polars as pl

    from agentgen.analysis.figures import Playing, Progress

    StrPath = str | os.PathLike[str]

_RATE = {"hit_rate": "Float64"}
_FOUND = {"prompt_tokens": "UInt64", "hit_tokens": "UInt64", **_RATE}
_STATISTICS = dict.fromkeys(("mean", "std", "median", "p05", "p25", "p75", "p95", "p99"), "Float64")


class Analysis(Figures):
    """The analyses of one trace or several; `docs/reuse.md` defines every figure.

    Frames need polars. `str` gives the tables of the command.
    """

    def __repr__(self) -> str:
        return f"Analysis(traces={[trace['trace'] for trace in self._stated['traces']]!r})"

    def __str__(self) -> str:
        from agentgen.analysis.text import lines  # noqa: PLC0415  only those who print need it

        return "\n".join(lines(self._stated))

    @property
    def rates(self) -> pl.DataFrame:
        """Hit rates of an infinite cache by reading (`linked`, `standalone`) and definition."""

        def rows() -> Iterator[dict[str, Any]]:
            for trace in self._stated["traces"]:
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
        """Tokens of the prompts by layer, and those found (infinite cache, linked)."""
        return self._of_reuse("layers", "by_layer", {"layer": "String", **_FOUND})

    @property
    def turns(self) -> pl.DataFrame:
        """Tokens of the prompts by turn index, and those found (infinite cache, linked)."""
        return self._of_reuse("turns", "by_turn", {"turn_index": "UInt32", "requests": "UInt64", **_FOUND})

    @property
    def curve(self) -> pl.DataFrame:
        """Blocks found / all blocks of the prompts, by the capacity of the cache."""
        columns = {"capacity_blocks": "UInt64", "capacity_tokens": "UInt64", **_RATE}
        return self._of_reuse("curve", "capacity_curve", columns)

    @property
    def ttl(self) -> pl.DataFrame:
        """Tokens found / tokens of the prompts, by how long blocks are kept (null: forever)."""
        return self._of_reuse("ttl", "ttl", {"ttl_ms": "Float64", **_RATE})

    @property
    def working_set(self) -> pl.DataFrame:
        """Tokens used so far, still needed, and used in the last 5 minutes, over time."""
        columns = dict.fromkeys(("distinct_tokens", "live_tokens", "recent_tokens"), "UInt64")
        return self._of_reuse("working_set", "working_set", {"time_ms": "Float64", **columns})

    @property
    def lengths(self) -> pl.DataFrame:
        """Count, mean, deviation and percentiles of each length; of those that a trace has."""
        rows = (
            {"trace": trace["trace"], "metric": metric, **observed}
            for trace in self._stated["traces"]
            for metric, observed in trace["lengths"].items()
            if observed is not None
        )
        return self._frame("lengths", {"trace": "String", "metric": "String", "count": "UInt64", **_STATISTICS}, rows)

    @property
    def distances(self) -> pl.DataFrame:
        """Two-sample Kolmogorov-Smirnov distances of the lengths, from the first trace to each other one."""
        columns = {"trace": "String", "other": "String", "metric": "String", "ks": "Float64"}
        return self._frame("distances", columns, self._stated["distances"])

    def plot(self, directory: StrPath) -> list[Path]:
        """Draw capacity curve, time to live, turns and working set, each as PNG and SVG; files there are replaced.

        Args:
            directory: Made if missing.

        Returns:
            The files.

        Raises:
            ImportError: matplotlib is missing: `pip install 'agentgen-traces[plot]'`.
            OSError: A file cannot be written.
        """
        from agentgen.analysis.plots import draw  # noqa: PLC0415  an extra

        return draw(self._stated["traces"], Path(directory))

    def _of_reuse(self, name: str, part: str, columns: dict[str, str]) -> pl.DataFrame:
        rows = ({"trace": trace["trace"], **row} for trace in self._stated["traces"] for row in trace["reuse"][part])
        return self._frame(name, {"trace": "String", **columns}, rows)


def analyze(
    traces: StrPath | Sequence[StrPath],
    *,
    progress: Progress | None = None,
    **stated: Unpack[Playing],
) -> Analysis:
    """Lengths, and what a prefix cache finds, of one trace or of several side by side.

    Figures that depend on the order of requests across sessions are of the reference timeline: requests at their own
    times, sessions at their arrivals or, where a trace has neither, in file order on `concurrency` slots.

    Args:
        traces: A JSONL (`.gz`, `.zst`) or Parquet file, a run directory or a merged set of shards; or several of
            these, each a trace of its own.
        block_size: Tokens a block of the cache (default: of the trace).
        cached_outputs: Whether the KV of outputs stays in the cache (default: true).
        concurrency: Sessions open at once (default: 50), of traces without arrivals; refused of one that has them.
        prefill_tokens_per_second: How fast new tokens of a prompt are computed (default: 20,000).
        decode_tokens_per_second: How fast an output's tokens follow each other (default: 60).
        layout: `incremental` or `cumulative`, for a trace that does not say.
        trace_block_size: Tokens a hash id, for a trace that does not say.
        threads: Threads that parse (default: one a core); the figures do not depend on it.
        progress: Called with (sessions done, 0: how many there are is not known), at most ten times a second.

    Raises:
        TraceError: A file is not a trace, or its layout or block size cannot be told; or `concurrency` is given for a
            trace with times of its own.
        OSError: A file cannot be read.
        ValueError: Another argument is out of its range.

    Examples:
        >>> manifest = agentgen.write_run(directory, sessions=10)
        >>> analysis = agentgen.analyze(directory)
        >>> analysis.to_dict()["traces"][0]["requests"] == manifest["written"]["turns"]
        True
    """
    assumed = assumptions(stated)
    several = [traces] if isinstance(traces, (str, os.PathLike)) else traces
    paths = [os.fspath(trace) for trace in several]
    if not paths:
        raise ValueError("traces: found none, expected at least one file or run directory")
    for path in paths:
        if paths.count(path) > 1:
            raise ValueError(f"traces: found {path!r} twice, expected each once")
    return Analysis(_native.analyze(paths, assumed, progress=progress))
