"""The figures that a paper published of its sessions, computed from the rows of a preset (see `presets.py`).

TraceLab (arXiv 2606.30560, release v0.0.1) publishes statistics of 4,265 sessions of Claude Code and Codex, no rows. A
figure of both agents together is a target of both presets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import polars as pl

if TYPE_CHECKING:
    from pathlib import Path

# A drop of the context by this many tokens is a compaction.
COMPACTION_TOKENS = 64_000
MINUTE_MS = 60_000


class Figure(NamedTuple):
    """A figure: its name, and what was published of Claude Code and of Codex; None if nothing is."""

    name: str
    claude: float | None
    codex: float | None
    is_share: bool = False


FIGURES = (
    Figure("human turns a session, mean", 9.2, 9.2),
    Figure("human turns a session, p50", 1, 1),
    Figure("human turns a session, p90", 18, 18),
    Figure("human turns a session, p99", 137, 137),
    Figure("calls after tools a session, mean", 73.6, 73.6),
    Figure("calls after tools a session, p50", 15, 15),
    Figure("calls after tools a session, p90", 135, 135),
    Figure("calls after tools a session, p99", 1107, 1107),
    Figure("calls after tools a human turn, p50", 1, 1),
    Figure("calls after tools a human turn, p90", 20, 20),
    Figure("calls after tools a human turn, p99", 86, 86),
    Figure("cached prefix of a call, tokens, p50", 126_000, 116_000),
    Figure("cached prefix of a call, tokens, p99", 918_000, 231_000),
    Figure("appended tokens a call, p50", 857, 886),
    Figure("appended tokens at 64k to 128k, p50", 793, None),
    Figure("appended tokens at 64k to 128k, p90", 3_700, None),
    Figure("appended tokens at 64k to 128k, p99", 12_800, None),
    Figure("appended tokens at 64k to 128k, mean", 1_600, None),
    Figure("output, tokens, p50", 252, 184),
    Figure("human wait, s, p50", 86, 86),
    Figure("human wait, s, p90", 1_236, 1_236),
    Figure("human wait of at most 5 min", 0.796, 0.698, is_share=True),
    Figure("human wait of at most 1 h", 0.964, 0.949, is_share=True),
    Figure("wait for a tool, s, p50", 0.3, 0.3),
    Figure("wait for a tool, s, p90", 13.6, 13.6),
    Figure("wait for a tool, s, p99", 216, 216),
    Figure("wait for a tool, s, mean", 18.4, 18.4),
    Figure("sessions with a compaction", 0.045, 0.184, is_share=True),
    Figure("compactions a session", 0.106, 0.777),
    Figure("compactions before a call after a tool", 0.63, 0.919, is_share=True),
    Figure("calls whose context grows", 0.996, 0.966, is_share=True),
)


def figures(rows: Path) -> list[float]:
    """The figures of a generated trace, in the order of `FIGURES`."""
    calls = pl.read_parquet(rows).filter(pl.col("agent") == "main", pl.col("trigger").is_not_null())
    sessions = calls.group_by("root_session_id", maintain_order=True)
    by_session = sessions.agg(
        human=(pl.col("trigger") == "human").sum(),
        tool=(pl.col("trigger") == "tool").sum(),
    )
    calls = calls.with_columns(
        before=pl.col("context_length").shift(1).over("root_session_id"),
        run=(pl.col("trigger") == "human").cum_sum().over("root_session_id"),
    )
    runs = calls.group_by("root_session_id", "run").agg(tool=pl.len() - 1)["tool"]
    later = calls.filter(pl.col("before").is_not_null())
    # What is cached of a call's prompt: all of the one before, or what a break keeps.
    prefix = pl.when(pl.col("turn_index") == 0).then(pl.col("kept_length")).otherwise(pl.col("before"))
    later = later.with_columns(prefix=prefix.cast(pl.Int64)).with_columns(
        appended=pl.col("context_length").cast(pl.Int64) - pl.col("prefix")
    )
    middle = later.filter(pl.col("prefix").is_between(64_000, 128_000, closed="left"))["appended"]
    is_compaction = pl.col("before").cast(pl.Int64) - pl.col("context_length").cast(pl.Int64) >= COMPACTION_TOKENS
    compactions = later.filter(is_compaction)
    human = later.filter(pl.col("trigger") == "human")["delay_ms"]
    tool = later.filter(pl.col("trigger") == "tool")["delay_ms"]
    total = len(by_session)

    def at(values: pl.Series, share: float) -> float:
        return float(values.quantile(share, "nearest") or 0)

    def mean(values: pl.Series) -> float:
        return float(values.mean() or 0)  # type: ignore[arg-type]  # of numbers

    return [
        mean(by_session["human"]),
        *(at(by_session["human"], share) for share in (0.5, 0.9, 0.99)),
        mean(by_session["tool"]),
        *(at(by_session["tool"], share) for share in (0.5, 0.9, 0.99)),
        *(at(runs, share) for share in (0.5, 0.9, 0.99)),
        *(at(later["prefix"], share) for share in (0.5, 0.99)),
        at(later["appended"], 0.5),
        *(at(middle, share) for share in (0.5, 0.9, 0.99)),
        mean(middle),
        at(calls["output_length"], 0.5),
        *(at(human, share) / 1000 for share in (0.5, 0.9)),
        *(mean(human <= minutes * MINUTE_MS) for minutes in (5, 60)),
        *(at(tool, share) / 1000 for share in (0.5, 0.9, 0.99)),
        mean(tool) / 1000,
        compactions["root_session_id"].n_unique() / total,
        len(compactions) / total,
        mean(compactions["trigger"] == "tool"),
        mean(later["context_length"] > later["before"]),
    ]
