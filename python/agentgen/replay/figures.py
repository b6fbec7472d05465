"""What replays measured, and runs side by side."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from agentgen import _native
from agentgen.analysis.figures import Figures
from agentgen.settings import MAX_SEED, check_integer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    StrPath = str | os.PathLike[str]


class Summary(Figures):
    """The figures of one replay, from the text of its `summary.json`; `docs/replay-metrics.md` defines each.

    `str` gives the tables of the command.
    """

    def __str__(self) -> str:
        from agentgen.replay.text import lines  # noqa: PLC0415  only those who print need it

        return "\n".join(lines(self._stated))


class Comparison(Figures):
    """Runs side by side; `docs/replay-metrics.md` defines each figure and interval.

    `str` gives the table of the command.
    """

    def __str__(self) -> str:
        from agentgen.replay.compare_text import lines  # noqa: PLC0415  only those who print need it

        return "\n".join(lines(self._stated))


def compare(runs: Mapping[str, Sequence[StrPath]], *, seed: int = 0) -> Comparison:
    """Compare replays by their records; others are divided by the first.

    Args:
        runs: Run directories by label; several under one label are repeats.
        seed: Of the draws that intervals come from.

    Raises:
        TraceError: A directory has no records.
        OSError: A directory cannot be read.
        ValueError: There is nothing to compare.
    """
    if len(runs) < 2 or not all(runs.values()):  # noqa: PLR2004  a pair
        raise ValueError(f"runs: found {len(runs)}, expected two labels or more with a directory or several each")
    options = {
        "groups": [{"label": label, "runs": len(directories)} for label, directories in runs.items()],
        "seed": check_integer("seed", seed, 0, MAX_SEED),
    }
    directories = [os.fspath(directory) for group in runs.values() for directory in group]
    return Comparison(_native.compare_runs(directories, json.dumps(options)))
