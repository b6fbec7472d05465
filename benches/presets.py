"""Compare presets with the sessions they stand for; write the tables of docs/realism.md (`make presets`).

The source is the table of recorded calls `weka/calls_odd.parquet`. It has no block ids, so no import reads it. Here it
becomes rows of the canonical table: `agentgen.fidelity` needs lengths, waits, triggers and kept prefixes only.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import agentgen
import polars as pl
import pyarrow.parquet as pq
from agentgen.analysis.fidelity_text import NAMES

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("AGENTGEN_SHARED_DATA", ROOT / "../shared/data"))
PAGE = ROOT / "docs/realism.md"
BEGIN, END = "<!-- presets: begin -->\n", "<!-- presets: end -->\n"
BLOCK = 64
# A call whose prompt keeps less of the previous one follows a break; two blocks are lost at the end of any prompt.
KEPT_SHARE, LOST_BLOCKS = 0.98, 2

FITTED = "weka-claude-code"
PRESETS = (FITTED, "default", "aiperf-0.13-default")


class Limit(NamedTuple):
    """Largest KS distance, and largest ratios less 1 of the medians and 90th percentiles."""

    ks: float
    p50: float = 0.15
    p90: float = 0.20


# KS: 1.5 times the distance between two halves of all 710 recorded conversations. Percentiles: 15 and 20 %, or
# 1.5 times their sampling noise at 350 conversations where that is more.
LIMITS = {
    "calls": Limit(0.14),
    "human_turns": Limit(0.10, 0.18, 0.24),
    "first_prompt": Limit(0.07, 0.225),
    "last_prompt": Limit(0.14),
    "prompt": Limit(0.10),
    "output": Limit(0.03),
    "growth": Limit(0.04),
    "new_tool": Limit(0.04),
    "new_human": Limit(0.04, 0.255, 0.255),
    "wait_s": Limit(0.03),
    "wait_tool_s": Limit(0.03),
    "wait_human_s": Limit(0.09, 0.315, 0.48),
    "calls_per_human_turn": Limit(0.09),
    "session_mean_log_growth": Limit(0.16, 1, 1),
    "session_mean_log_output": Limit(0.16, 1, 1),
    "session_mean_log_wait": Limit(0.16, 1, 1),
}
BREAK_LIMITS = {"lost": 0.15}
KIND_LIMIT = 0.40
SHARE_NAMES = {
    "lost": "all that keep less than half",
    "rewrite_in_place": "rewrite in place",
    "growing_rewrite": "growing rewrite",
    "shrink": "shrinking rewrite",
    "edit_near_the_end": "edit near the end",
    "infinite": "nothing evicted",
    **{f"ttl_{minutes:02}_min": f"evicted after {minutes} min" for minutes in (1, 5, 10, 30, 60)},
}
REUSE_LIMITS = {"infinite": 0.01, "ttl_01_min": 0.03}
TTL_LIMIT = 0.02


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


def compare(calls: Path, sessions: int, seed: int) -> dict[str, dict[str, Any]]:
    """The distances of each preset from the recorded sessions."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "recorded.parquet"
        convert(calls, source)
        for preset in PRESETS:
            run = Path(folder) / preset
            agentgen.write_run(run, preset, sessions=sessions, seed=seed, formats=("parquet",))
            found[preset] = agentgen.fidelity(source, run).to_dict()
    return found


def figure(value: float) -> str:
    """At least three digits."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def is_off(pair: dict[str, float], limit: float) -> bool:
    """Whether a figure is further from the source's than this share of it."""
    return abs(pair["generated"] - pair["source"]) > limit * abs(pair["source"])


def reuse_limit(name: str) -> float:
    """The largest difference of a hit rate."""
    return REUSE_LIMITS.get(name, TTL_LIMIT)


def misses(found: dict[str, Any]) -> list[str]:
    """The figures of the fitted preset beyond their limits."""
    beyond = []
    for quantity in found["quantities"]:
        name = quantity["quantity"]
        if quantity["ks"] > LIMITS[name].ks:
            beyond.append(f"{NAMES[name]}: KS {quantity['ks']:.3f}, at most {LIMITS[name].ks}")
        for share, limit in (("p50", LIMITS[name].p50), ("p90", LIMITS[name].p90)):
            if is_off(quantity[share], limit):
                pair = quantity[share]
                texts = (figure(pair["generated"]), figure(pair["source"]))
                beyond.append(f"{NAMES[name]}: {share} {texts[0]}, source {texts[1]} (within {limit:.0%})")
    for name, pair in found["breaks"].items():
        limit = BREAK_LIMITS.get(name, KIND_LIMIT)
        if is_off(pair, limit):
            rates = (100 * pair["generated"], 100 * pair["source"])
            beyond.append(f"breaks, {name}: {rates[0]:.2f} per 100 calls, source {rates[1]:.2f} (within {limit:.0%})")
    for name, pair in found["reuse"].items():
        if abs(pair["generated"] - pair["source"]) > reuse_limit(name):
            beyond.append(f"reuse, {name}: {pair['generated']:.1%}, source {pair['source']:.1%}")
    return beyond


def markdown(found: dict[str, dict[str, Any]], sessions: int) -> str:
    """The tables."""
    fitted = found[FITTED]
    size = fitted["source"]
    recorded = f"{size['conversations']} recorded ones ({size['calls']:,} calls)"
    lines = [
        f"`{FITTED}`, {sessions:,} sessions, against {recorded}:",
        "",
        "| quantity | KS | at most | halves | p50 | recorded | p90 | recorded |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for quantity in fitted["quantities"]:
        name = quantity["quantity"]
        pairs = [figure(quantity[share][side]) for share in ("p50", "p90") for side in ("generated", "source")]
        ks = f"{quantity['ks']:.3f} | {LIMITS[name].ks:.2f} | {quantity['ks_of_halves']:.3f}"
        lines.append(f"| {NAMES[name]} | {ks} | {' | '.join(pairs)} |")
    beyond = misses(fitted)
    lines += ["", "Beyond the limits: " + "; ".join(beyond) + "." if beyond else "Nothing is beyond its limit.", ""]
    lines += [
        "All presets, KS distance from the recorded sessions (0: the same distribution, 1: no overlap):",
        "",
        "| quantity | " + " | ".join(f"`{preset}`" for preset in PRESETS) + " |",
        "|---|" + "--:|" * len(PRESETS),
    ]
    distances = {
        preset: {quantity["quantity"]: quantity["ks"] for quantity in data["quantities"]}
        for preset, data in found.items()
    }
    for name, text in NAMES.items():
        row = [f"{distances[preset][name]:.3f}" if name in distances[preset] else "-" for preset in PRESETS]
        if any(cell != "-" for cell in row):
            lines.append(f"| {text} | {' | '.join(row)} |")
    for title, section, scale, digits in (
        ("Breaks, per 100 calls", "breaks", 100, 2),
        ("Prompt tokens found in a cache, percent", "reuse", 100, 1),
    ):
        lines += ["", f"{title}:", "", "| | recorded | " + " | ".join(f"`{preset}`" for preset in PRESETS) + " |"]
        lines.append("|---|--:|" + "--:|" * len(PRESETS))
        for name, pair in fitted[section].items():
            values = [pair["source"], *(found[preset][section][name]["generated"] for preset in PRESETS)]
            lines.append(
                f"| {SHARE_NAMES.get(name, name)} | {' | '.join(f'{scale * value:.{digits}f}' for value in values)} |"
            )
    return "\n".join([*lines, ""])


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
    if beyond := misses(found[FITTED]):
        sys.exit(f"presets: {FITTED}: beyond the limits: " + "; ".join(beyond))


if __name__ == "__main__":
    main()
