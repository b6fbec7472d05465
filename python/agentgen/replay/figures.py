"""Results of replays: the summary of one run, and the comparison of several."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from agentgen import _native
from agentgen.analysis.figures import Figures
from agentgen.settings import MAX_SEED, check_integer
from agentgen.text.format import trace_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import polars as pl
    from rich.console import RenderableType

    StrPath = str | os.PathLike[str]


_STATISTICS = dict.fromkeys(("mean", "min", "p50", "p90", "p95", "p99", "max"), "Float64")
_VALUE = dict.fromkeys(("value", "low", "high", "ratio", "ratio_low", "ratio_high"), "Float64")


class Summary(Figures):
    """The figures of one replay, from `summary.json`; `docs/replay-metrics.md` defines them.

    `str` gives the tables that `agentgen replay` prints.
    """

    def __repr__(self) -> str:
        counts = self._data["run"]["counters"]
        return f"Summary(trace={self._data['trace']['path']!r}, {', '.join(f'{k}={v}' for k, v in counts.items())})"

    def to_polars(self) -> pl.DataFrame:
        """A row per latency of the measured phase (`ttft_ms`, `tpot_ms`, `e2e_ms`, ...)."""
        rows = [{"metric": metric, **times} for metric, times in self._data["run"]["latency"].items() if times]
        return self._frame("to_polars", {"metric": "String", "count": "UInt64", **_STATISTICS}, rows)

    def _pieces(self) -> Iterator[RenderableType]:
        from agentgen.replay.summary_text import pieces  # noqa: PLC0415  rich is slow to import

        return pieces(self._data)


class Comparison(Figures):
    """Several runs side by side; `docs/replay-metrics.md` defines the figures and intervals.

    `str` gives the table that `agentgen compare` prints.
    """

    def __repr__(self) -> str:
        counts = ", ".join(f"{group['label']}={group['succeeded']}" for group in self._data["groups"])
        return f"Comparison(succeeded: {counts})"

    def to_polars(self) -> pl.DataFrame:
        """A row per figure and run: value, ratio to the first run, and their intervals."""
        rows = [
            {"figure": figure["name"], "run": group["label"], **_flat(value or {})}
            for figure in self._data["figures"]
            for group, value in zip(self._data["groups"], figure["values"], strict=True)
        ]
        return self._frame("to_polars", {"figure": "String", "run": "String", **_VALUE}, rows)

    def _pieces(self) -> Iterator[RenderableType]:
        from agentgen.replay.compare_text import pieces  # noqa: PLC0415  rich is slow to import

        return pieces(self._data)


def _flat(value: Mapping[str, Any]) -> dict[str, float | None]:
    """A value with its intervals as columns."""
    (low, high), (ratio_low, ratio_high) = (value.get(name) or (None, None) for name in ("interval", "ratio_interval"))
    numbers = (value.get("value"), low, high, value.get("ratio"), ratio_low, ratio_high)
    return dict(zip(_VALUE, numbers, strict=True))


def compare(runs: Mapping[str, StrPath | Sequence[StrPath]] | Sequence[StrPath], *, seed: int = 0) -> Comparison:
    """Compare replays by their record files; the first run is the baseline of the ratios.

    Args:
        runs: Run directories, which get the labels A, B, ...; or by label, where several under one are repeats.
        seed: Seed of the bootstrap draws that give the intervals.

    Raises:
        TraceError: A directory has no records.
        OSError: A directory cannot be read.
        ValueError: There is nothing to compare.
    """
    if isinstance(runs, (str, os.PathLike)):
        raise TypeError(f"runs: found {str(runs)!r}, expected a list of run directories")
    labelled = runs if isinstance(runs, Mapping) else dict(zip(trace_names(len(runs)), runs, strict=True))
    groups = {
        label: [os.fspath(one) for one in ([stated] if isinstance(stated, (str, os.PathLike)) else stated)]
        for label, stated in labelled.items()
    }
    if len(groups) < 2 or not all(groups.values()):  # noqa: PLR2004  a pair
        raise ValueError(f"runs: found {len(groups)} runs, expected two or more, each with one directory or more")
    options = {
        "groups": [{"label": label, "runs": len(directories)} for label, directories in groups.items()],
        "seed": check_integer("seed", seed, 0, MAX_SEED),
    }
    directories = [directory for group in groups.values() for directory in group]
    return Comparison(_native.compare_runs(directories, json.dumps(options)))
