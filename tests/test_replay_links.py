"""Replays of traces with breaks and sub-agents against the embedded server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import agentgen
import polars as pl
import pytest
from test_replay_cache import serving

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Run

BLOCK = 16
PREFIX = list(range(4))  # blocks that all agents of a kind share


def ids(tokens: int, *known: list[int], fresh: int) -> list[int]:
    """Block ids of a prompt: those known, then fresh ones from `fresh` on."""
    first = [block for part in known for block in part]
    return first + list(range(fresh, fresh + -(-tokens // BLOCK) - len(first)))


def bundle(number: int) -> list[dict[str, Any]]:
    """A session of three turns, a sub-agent that its third turn waits for, another in the background, and a break."""
    base = 100 + 1_000 * number
    main, joined, background, after = (f"{name}-{number}" for name in ("main", "joined", "background", "after"))
    first = ids(100, PREFIX, fresh=base)
    second = ids(180, first[:6], fresh=base + 20)
    third = ids(260, second[:11], fresh=base + 40)
    root = {"root_session_id": main}
    agent = {"parent_session_id": main, "link": "subagent", "agent": "Explore", **root}
    return [
        {"conversation_id": main, "input_length": 100, "output_length": 40, "hash_ids": first, "timestamp": 0, **root},
        # 16 of 40 tokens of the output come back.
        {"conversation_id": main, "input_length": 180, "output_length": 30, "hash_ids": second, "timestamp": 5}
        | {"returned_length": 16},
        {"conversation_id": main, "input_length": 260, "output_length": 30, "hash_ids": third, "timestamp": 5}
        | {"end_reason": "break"},
        {"conversation_id": joined, "input_length": 70, "output_length": 20, "timestamp": 5, **agent}
        | {"hash_ids": ids(70, fresh=base + 100), "parent_turn": 0, "join_turn": 2, "start_delay": 30},
        {"conversation_id": background, "input_length": 90, "output_length": 20, "timestamp": 5, **agent}
        | {"hash_ids": ids(90, fresh=base + 120), "parent_turn": 1},
        {"conversation_id": after, "input_length": 120, "output_length": 20, "timestamp": 9, **root}
        | {"hash_ids": ids(120, PREFIX, fresh=base + 60), "link": "break", "parent_session_id": main}
        | {"kept_length": 64, "break_kind": "compaction"},
    ]


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "linked.jsonl"
    rows = [row for number in range(3) for row in bundle(number)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_trace_is_sound(trace: Path) -> None:
    report = agentgen.validate(trace, trace_block_size=BLOCK)
    assert report.ok, report


@pytest.mark.parametrize("history", ["live", "recorded"])
@pytest.mark.parametrize("concurrency", [1, 3])
def test_turns_wait_for_what_they_join(trace: Path, run: Run, tmp_path: Path, history: str, concurrency: int) -> None:
    with serving(block_tokens=BLOCK) as url:
        run(
            *("replay", trace, "--url", url, "--concurrency", concurrency, "--history", history),
            *("--trace-block-size", BLOCK, "--output", tmp_path, "--name", "out", "--quiet"),
        )
    requests = pl.read_parquet(tmp_path / "out" / "requests.parquet").sort("sent_ns")
    assert requests.height == 18
    assert (requests["outcome"] == "ok").all()
    assert requests["reported_prompt_tokens"].to_list() == requests["context_tokens"].to_list()
    of = {(row["session_key"], row["turn"]): row for row in requests.iter_rows(named=True)}
    for number in range(3):
        main, joined, after = f"main-{number}", f"joined-{number}", f"after-{number}"
        assert of[joined, 0]["sent_ns"] >= of[main, 0]["last_byte_ns"] + 30_000_000
        assert of[main, 2]["sent_ns"] >= of[joined, 0]["last_byte_ns"]
        assert of[after, 0]["sent_ns"] >= of[main, 2]["last_byte_ns"]
        assert of[f"background-{number}", 0]["sent_ns"] >= of[main, 1]["last_byte_ns"]
    if concurrency == 1:
        last = ("after", "background")
        ends = [max(of[f"{name}-{number}", 0]["last_byte_ns"] for name in last) for number in range(3)]
        assert of["main-1", 0]["sent_ns"] >= ends[0], "a bundle has one slot"
        assert of["main-2", 0]["sent_ns"] >= ends[1]
        reported = requests["reported_cached_tokens"].to_list()
        assert reported == requests["predicted_cached_tokens"].to_list()
        # The break keeps the shared prefix; the second turn keeps the blocks of the first prompt.
        assert of["after-0", 0]["reported_cached_tokens"] == 64
        assert of["main-0", 1]["reported_cached_tokens"] == 96


def test_a_failed_session_begins_nothing_more(trace: Path, run: Run, tmp_path: Path) -> None:
    # Prompts of more than 200 tokens do not fit: the third turn fails, and the break is never sent.
    with serving(block_tokens=BLOCK, capacity_blocks=15) as url:
        run(
            *("replay", trace, "--url", url, "--concurrency", 1, "--history", "recorded"),
            *("--trace-block-size", BLOCK, "--output", tmp_path, "--name", "out", "--quiet"),
            code=1,
        )
    requests = pl.read_parquet(tmp_path / "out" / "requests.parquet")
    sessions = set(requests["session_key"])
    assert {"main-0", "joined-0", "background-0", "main-2"} <= sessions
    assert not {"after-0", "after-1", "after-2"} & sessions


def lengths(median: int) -> dict[str, float]:
    return {"median": median, "sigma": 0.5, "max": median * 20}


def caused(median: int) -> dict[str, Any]:
    return {"new_tokens": [{"tokens": lengths(median)}], "delay_ms": {"median": 5, "sigma": 1.0}}


EDITS = {
    "max_prompt_tokens": 4_000,
    "block_size": BLOCK,
    "cache": {"layer1_tokens": 64, "layer1_5_tokens": 0, "layer2": None, "first_prompt": lengths(200)},
    "new_tokens_per_turn": None,
    "generation_length": lengths(40),
    "inter_turn_delay": None,
    "restart_initial_probability": 0,
    "calibrate": False,
    "triggers": {
        "human": caused(60),
        "tool": caused(40),
        "calls_per_human_turn": {"median": 3, "first_turn_factor": 2, "sigma": 1.0, "session_sigma": 0.5}
        | {"chat_probability": 0.1, "chat_median": 1.0},
    },
    "breaks": {
        "max_per_line": 3,
        "kinds": [
            {
                "name": "edit",
                "tool_probability": 0.2,
                "human_probability": [[0, 0.2], [4_000, 0.2]],
                "keeps": [{"weight": 1, "part": {"share": {"quantiles": [[0, 0.7], [1, 1.0]]}}}],
                "new_prompt": {"ratio": {"median": 1.0, "sigma": 0.1}},
                "delay_ms": {"median": 5, "sigma": 1.0},
            }
        ],
    },
}


def test_a_server_finds_the_outputs_that_breaks_keep(run: Run, tmp_path: Path) -> None:
    agentgen.write_run(tmp_path / "run", EDITS, sessions=10, seed=9, formats=("jsonl",))
    with serving(block_tokens=BLOCK) as url:
        run(
            *("replay", tmp_path / "run", "--url", url, "--concurrency", 1, "--history", "recorded"),
            *("--max-delay", 0, "--output", tmp_path, "--name", "out", "--quiet"),
        )
    requests = pl.read_parquet(tmp_path / "out" / "requests.parquet")
    assert requests["reported_cached_tokens"].to_list() == requests["predicted_cached_tokens"].to_list()
    breaks = pl.concat([pl.DataFrame(batch) for batch in agentgen.read(tmp_path / "run")]).filter(
        pl.col("link") == "break"
    )
    first = {
        row["session_key"]: row["reported_cached_tokens"] for row in requests.iter_rows(named=True) if row["turn"] == 0
    }
    kept = [(first[row["session_id"]], row["kept_length"]) for row in breaks.filter(turn_index=0).iter_rows(named=True)]
    assert kept
    assert all(cached >= length for cached, length in kept)
