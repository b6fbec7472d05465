"""Results of replays: the summary of one run, and the comparison of several."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from agentgen import _native
from agentgen.analysis.figures import Figures
from agentgen.settings import MAX_SEED, check_integer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import RenderableType

    StrPath = str | os.PathLike[str]


class Summary(Figures):
    """The figures of one replay, from `summary.json`; `docs/replay-metrics.md` defines them.

    `str` gives the tables that `agentgen replay` prints.
    """

    def _pieces(self) -> Iterator[RenderableType]:
        from agentgen.replay.summary_text import pieces  # noqa: PLC0415  rich is slow to import

        return pieces(self._data)


class Comparison(Figures):
    """Several runs side by side; `docs/replay-metrics.md` defines the figures and intervals.

    `str` gives the table that `agentgen compare` prints.
    """

    def _pieces(self) -> Iterator[RenderableType]:
        from agentgen.replay.compare_text import pieces  # noqa: PLC0415  rich is slow to import

        return pieces(self._data)


def compare(runs: Mapping[str, Sequence[StrPath]], *, seed: int = 0) -> Comparison:
    """Compare replays by their record files; the first label is the baseline of the ratios.

    Args:
        runs: Run directories by label; several under one label are repeats.
        seed: Seed of the bootstrap draws that give the intervals.

    Raises:
        TraceError: A directory has no records.
        OSError: A directory cannot be read.
        ValueError: There is nothing to compare.
    """
    if len(runs) < 2 or not all(runs.values()):  # noqa: PLR2004  a pair
        raise ValueError(f"runs: found {len(runs)} labels, expected two or more, each with one directory or more")
    options = {
        "groups": [{"label": label, "runs": len(directories)} for label, directories in runs.items()],
        "seed": check_integer("seed", seed, 0, MAX_SEED),
    }
    directories = [os.fspath(directory) for group in runs.values() for directory in group]
    return Comparison(_native.compare_runs(directories, json.dumps(options)))
