"""Rows of `agentgen import --messages` beside those of Data Designer, over the public samples.

agentgen is called as a command, named by the environment variable AGENTGEN.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from data_designer.config.seed_source import AgentRolloutFormat
from data_designer.engine.resources.agent_rollout.registry import get_format_handler
from data_designer.engine.resources.agent_rollout.types import AgentRolloutSeedParseError

ROOT = Path(__file__).parents[2]
SAMPLES = Path(os.environ.get("AGENTGEN_SHARED_DATA", ROOT / "../shared/data")) / "rollouts"

FORMATS = {"claude_code": "claude", "codex": "codex", "pi_coding_agent": "pi", "atif": "atif"}

# Columns that differ, by file, and the reason, as docs/import.md has it.
BLOCKS = ({"messages", "message_count"}, "each block of an answer is a message")
AGENT = ({"trace_id", "agent_id"}, "sub-agents have no id")
DIFFERENT = {
    "claude/agentpile_duplicates.jsonl": ({"messages", "message_count"}, "repeated rows count twice"),
    "claude/agentpile_early_result.jsonl": BLOCKS,
    "claude/agentpile_subagents.jsonl": BLOCKS,
    "claude/agentpile_subagents/subagents/agent-afx0000000000003.jsonl": BLOCKS,
    "claude/atifmake_transcript.jsonl": (AGENT[0] | BLOCKS[0], "a result's sub-agent names the session"),
    "claude/atifmake_transcript/subagents/agent-abc123.jsonl": AGENT,
    "claude/atifmake_transcript/subagents/agent-def456.jsonl": AGENT,
    "claude/tracelab_claude_session.jsonl": BLOCKS,
    "codex/rollout-2026-05-17T12-00-00-example.jsonl": ({"git_branch"}, "no branch"),
    "codex/rollout-agentsview_function_calls.jsonl": BLOCKS,
    "pi/pi_v1_large-session.head.jsonl": (
        {"messages", "message_count", "tool_call_count", "source_meta"},
        "entries without ids are lost",
    ),
}

# Files that Data Designer refuses or does not know.
REFUSED = {
    "claude/ccl_edge_cases.jsonl": "a bad line costs the session",
    "pi/pi_v3_agentgrep_example.jsonl": "a result without the id of its call",
    "atif/agentpile_atif_two.jsonl": "a trajectory on each line",
}

Row = dict[str, Any]


def of_designer(kind: str, root: Path) -> dict[str, list[Row]]:
    """Its rows by file."""
    handler = get_format_handler(AgentRolloutFormat(kind))
    context = handler.build_parse_context(root_path=root, recursive=True)
    rows: dict[str, list[Row]] = {}
    for path in sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()):
        if not handler.is_handled_file(path):
            continue
        try:
            made = handler.parse_file(root_path=root, relative_path=path, parse_context=context)
        except AgentRolloutSeedParseError:
            continue
        rows[str((root / path).relative_to(SAMPLES))] = [json.loads(json.dumps(row.to_dict())) for row in made]
    return rows


def of_agentgen(root: Path, target: Path) -> dict[str, list[Row]]:
    """Our rows by file, in the same form."""
    command = [os.environ.get("AGENTGEN", "agentgen"), "import", str(root), "--messages", str(target)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows: dict[str, list[Row]] = {}
    for row in pyarrow.parquet.read_table(target).to_pylist():
        row["source_meta"] = json.loads(row["source_meta"])
        row["messages"] = [plain(message) for message in row["messages"]]
        rows.setdefault(str(Path(row["source_path"]).relative_to(SAMPLES)), []).append(row)
    return rows


def plain(message: Row) -> Row:
    """A message without nulls, its blocks as they were."""
    blocks = [
        json.loads(block["json"]) if block["json"] else {name: block[name] for name in ("type", "text")}
        for block in message["content"]
    ]
    return {name: value for name, value in message.items() if value is not None} | {"content": blocks}


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="no shared data")
@pytest.mark.parametrize(("kind", "folder"), FORMATS.items())
def test_rows_equal_those_of_data_designer_where_it_is_right(kind: str, folder: str, tmp_path: Path) -> None:
    theirs = of_designer(kind, SAMPLES / folder)
    ours = of_agentgen(SAMPLES / folder, tmp_path / "rows.parquet")
    assert set(ours) - set(theirs) == {path for path in REFUSED if path.startswith(folder)}
    assert set(theirs) <= set(ours)
    for path, rows in theirs.items():
        different = {name for name, value in rows[0].items() if value != ours[path][0][name]}
        assert different == DIFFERENT.get(path, (set(), ""))[0], path
