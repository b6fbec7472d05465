"""Traces that look like recorded ones: random sessions with triggers and breaks, as rows of the canonical table."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow.parquet as pq  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from pathlib import Path

BLOCK = 64
KINDS = ("compaction", "rewrite", "edit")

Call = dict[str, Any]


def conversations(seed: int, count: int, scale: float) -> list[list[Call]]:
    """Random sessions: each call with its trigger, lengths, kept tokens of the previous prompt, kind of break, wait."""
    rng = random.Random(seed)  # noqa: S311  reproducible
    made = []
    for _ in range(count):
        first: Call = {"trigger": "human", "prompt": rng.randint(5_000, 40_000)}
        first["output"] = int(rng.lognormvariate(5 * scale, 1))
        calls = [first | {"kept": None, "kind": None, "wait": None}]
        while rng.random() > 0.1:
            before = calls[-1]
            call: Call = {"trigger": rng.choice(("human", "tool", "tool"))}
            call["output"] = int(rng.lognormvariate(5 * scale, 1))
            call["wait"] = 1_000.0 * int(rng.lognormvariate(2 * scale, 1))
            call["kind"] = rng.choice(KINDS) if rng.random() < 0.2 else None
            if call["kind"] is None:
                growth = int(rng.lognormvariate(5 * scale, 2))
                call["prompt"] = before["prompt"] + rng.choice((before["output"], before["output"] // 2)) + growth
                call["kept"] = before["prompt"]
            else:
                call["prompt"] = int(before["prompt"] * rng.uniform(0.2, 1.2)) + 1
                call["kept"] = int(min(before["prompt"], call["prompt"]) * rng.random()) // BLOCK * BLOCK
            calls.append(call)
        made.append(calls)
    return made


def write(path: Path, made: list[list[Call]]) -> Path:
    """Rows of the canonical table: a break begins a session; a sub-agent's rows lie between those of each session."""
    rows: list[dict[str, Any]] = []
    for number, calls in enumerate(made):
        root = name = f"sess-{number}"
        link, parent, turn = None, None, 0
        for index, call in enumerate(calls):
            if call["kind"] is not None:
                name, link, parent, turn = f"{root}.{index}", "break", name, 0
            rows.append(
                {
                    "session_id": name,
                    "turn_index": turn,
                    "input_length": call["prompt"],
                    "context_length": call["prompt"],
                    "output_length": call["output"],
                    "delay_ms": call["wait"],
                    "parent_session_id": parent,
                    "link": link,
                    "kept_length": call["kept"] if call["kind"] else None,
                    "agent": "main",
                    "trigger": call["trigger"],
                    "root_session_id": root,
                    "break_kind": call["kind"],
                }
            )
            turn += 1
        other = {"session_id": f"{root}.a", "link": "subagent", "agent": "helper", "parent_turn": 0, "trigger": None}
        other |= {"parent_session_id": root, "turn_index": 0, "break_kind": None, "kept_length": None}
        rows.append({**rows[-1], **other})
    whole, text = pl.UInt32, pl.String
    columns: dict[str, Any] = {
        "session_id": text,
        "turn_index": whole,
        "group_id": whole,
        "input_length": whole,
        "context_length": whole,
        "output_length": whole,
        "delay_ms": pl.Float64,
        "timestamp_ms": pl.Float64,
        "hash_ids": pl.List(pl.Int64),
        "is_restart": pl.Boolean,
        "parent_session_id": text,
        "end_reason": text,
        "link": text,
        "parent_turn": whole,
        "join_turn": whole,
        "kept_length": whole,
        "returned_length": whole,
        "agent": text,
        "trigger": text,
        "root_session_id": text,
        "break_kind": text,
    }
    fixed = {"hash_ids": [], "is_restart": False}
    filled = [{column: {**fixed, **row}.get(column) for column in columns} for row in rows]
    table = pl.DataFrame(filled, schema=columns).to_arrow()
    meta = json.dumps({"layout": "cumulative", "block_size": BLOCK, "linked": True})
    pq.write_table(table.replace_schema_metadata({"agentgen": meta}), path)
    return path
