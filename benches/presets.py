"""Compare presets with the sessions they stand for; write the tables of docs/realism.md (`make presets`).

The source of most tables is that of recorded calls, `weka/calls_odd.parquet`. It has no block ids, so no import reads
it. Here it becomes rows of the canonical table: `agentgen.fidelity` needs lengths, waits, triggers and kept prefixes.
The presets of TraceLab are compared with published figures (`published.py`), `swe-bench` with its 20 trajectories.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import agentgen
import polars as pl
import pyarrow.parquet as pq

from presets_tables import FITTED, ILLUSTRATION, PRESETS, Found, far_figures, markdown, misses
from published import figures

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("AGENTGEN_SHARED_DATA", ROOT / "../shared/data"))
PAGE = ROOT / "docs/realism.md"
BEGIN, END = "<!-- presets: begin -->\n", "<!-- presets: end -->\n"
BLOCK = 64
# A call whose prompt keeps less of the previous one follows a break; two blocks are lost at the end of any prompt.
KEPT_SHARE, LOST_BLOCKS = 0.98, 2
TRAJECTORIES = "mlperf/agentic_coding_2.5h.jsonl"


def previous(column: str) -> pl.Expr:
    """The value of the conversation's call before."""
    return pl.col(column).shift(1).over("conversation")


def waits() -> pl.Expr:
    """Seconds between the end of the call before and this one.

    Calls that were not timed get the duration that lengths predict: the recorded think times count from the last timed
    call, which makes them wrong there.
    """
    uncached = (previous("prompt_tokens") - BLOCK * previous("blocks_kept_from_previous").fill_null(0)).clip(0)
    predicted = 1.18 + 0.0159 * previous("output_tokens") + 12.4e-6 * uncached + 10.4e-6 * previous("prompt_tokens")
    timed = previous("api_time_s")
    return (pl.col("t_s") - previous("t_s") - pl.when(timed > 0).then(timed).otherwise(predicted)).clip(0).round()


def break_kind() -> pl.Expr:
    """The kind of a break by what is kept and by the size of the new prompt, else null."""
    blocks, kept = previous("prompt_blocks"), pl.col("blocks_kept_from_previous")
    ratio = pl.col("prompt_tokens") / previous("prompt_tokens")
    kind = (
        pl.when(kept / blocks >= 0.5)
        .then(pl.lit("edit_near_the_end"))
        .when(ratio < 0.5)
        .then(pl.lit("compaction"))
        .when(ratio < 0.95)
        .then(pl.lit("shrink"))
        .when(ratio <= 1.05)
        .then(pl.lit("rewrite_in_place"))
        .otherwise(pl.lit("growing_rewrite"))
    )
    return pl.when((blocks - kept > LOST_BLOCKS) & (kept / blocks < KEPT_SHARE)).then(kind)


def convert(calls: Path, rows: Path) -> None:
    """Write a table of calls as rows of the canonical table: each break begins a linked session."""
    table = pl.read_parquet(calls).filter(pl.col("agent") == "main").sort("conversation", "call")
    table = table.with_columns(wait=waits(), break_kind=break_kind())
    table = table.with_columns(part=pl.col("break_kind").is_not_null().cum_sum().over("conversation"))
    part = pl.col("part")

    def name(number: pl.Expr) -> pl.Expr:
        root = pl.col("conversation")
        return pl.when(number == 0).then(root).otherwise(pl.format("{}.{}", root, number))

    is_break = pl.col("break_kind").is_not_null()
    whole = pl.UInt32
    prompt = pl.col("prompt_tokens").cast(whole)
    written = table.with_columns(session_id=name(part)).select(
        "session_id",
        pl.int_range(pl.len()).over("session_id").cast(whole).alias("turn_index"),
        pl.lit(None, whole).alias("group_id"),
        prompt.alias("input_length"),
        prompt.alias("context_length"),
        pl.col("output_tokens").cast(whole).alias("output_length"),
        (pl.col("wait") * 1000).alias("delay_ms"),
        pl.lit(None, pl.Float64).alias("timestamp_ms"),
        pl.lit([], pl.List(pl.Int64)).alias("hash_ids"),
        pl.lit(value=False).alias("is_restart"),
        pl.when(part > 0).then(name(part - 1)).alias("parent_session_id"),
        pl.lit(None, pl.String).alias("end_reason"),
        pl.when(part > 0).then(pl.lit("break")).alias("link"),
        pl.lit(None, whole).alias("parent_turn"),
        pl.lit(None, whole).alias("join_turn"),
        pl.when(is_break).then(BLOCK * pl.col("blocks_kept_from_previous")).cast(whole).alias("kept_length"),
        pl.lit(None, whole).alias("returned_length"),
        pl.lit("main").alias("agent"),
        "trigger",
        pl.col("conversation").alias("root_session_id"),
        "break_kind",
    )
    meta = json.dumps({"layout": "cumulative", "block_size": BLOCK, "linked": True})
    pq.write_table(written.to_arrow().replace_schema_metadata({"agentgen": meta}), rows)


def compare(calls: Path, sessions: int, seed: int) -> Found:
    """The distances of each preset from its source."""
    found = Found({}, {}, {})
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "recorded.parquet"
        convert(calls, source)
        for preset in PRESETS:
            run = Path(folder) / preset
            manifest = agentgen.write_run(run, preset, sessions=sessions, seed=seed, formats=("parquet",))
            found.fidelity[preset] = agentgen.fidelity(source, run).to_dict()
            if manifest["config"].get("triggers"):
                found.published[preset] = figures(run / "dataset.parquet")
        agentgen.import_sessions(DATA / TRAJECTORIES, Path(folder) / "trajectories")
        run = Path(folder) / ILLUSTRATION
        agentgen.write_run(run, ILLUSTRATION, sessions=sessions, seed=seed, formats=("parquet",))
        found.illustration.update(agentgen.fidelity(Path(folder) / "trajectories", run).to_dict())
    return found


def main() -> None:
    """Print the tables, write the page, fail if a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, default=20_000, help="sessions of each preset")
    parser.add_argument("--seed", type=int, default=1, help="seed of each preset")
    parser.add_argument("--no-page", action="store_true", help="print the tables only")
    options = parser.parse_args()
    calls = DATA / "weka/calls_odd.parquet"
    if not calls.exists():
        sys.exit(f"presets: {calls}: no such file (set AGENTGEN_SHARED_DATA to the folder of the shared traces)")
    found = compare(calls, options.sessions, options.seed)
    tables = markdown(found, options.sessions)
    print(tables)
    if not options.no_page:
        before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
        _, after = rest.split(END)
        PAGE.write_text(f"{before}{BEGIN}\n{tables}\n{END}{after}", encoding="utf-8")
    if beyond := [f"{FITTED}: {text}" for text in misses(found.fidelity[FITTED])] + far_figures(found.published):
        sys.exit("presets: beyond the limits: " + "; ".join(beyond))


if __name__ == "__main__":
    main()
