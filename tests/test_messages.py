"""Multi-turn messages: the published schema, and files as a user meets them."""

from __future__ import annotations

import json
from itertools import product
from typing import TYPE_CHECKING, Any

import agentgen
import jsonschema
import messages_oracle
import pytest
from agentgen import _native
from conftest import ROOT, shared

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Invoke

SCHEMA = json.loads((ROOT / "schemas/messages.schema.json").read_text(encoding="utf-8"))
TRAJECTORIES = "mlperf/agentic_coding_2.5h.jsonl"
EXAMPLE = ROOT / "docs/examples/lighthouse.jsonl"
# Rules over several rows: the schema is of a single row.
ACROSS_ROWS = {"conversation-split", "turn-number", "role-order", "tool-call-id", "system"}


def test_the_published_schema_is_that_of_the_reader() -> None:
    text = (ROOT / "schemas/messages.schema.json").read_text(encoding="utf-8")
    assert text == _native.schema("messages") + "\n", "write _native.schema('messages') to schemas/messages.schema.json"
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}
ID: dict[str, Any] = {"conversation_id": "c", "turn": 1}
USER = {**ID, "role": "user", "content": "x"}
ANSWER = {**ID, "role": "assistant", "content": "x"}
CALLS = {**ID, "role": "assistant", "tool_calls": [CALL]}
TOOLS = {**ID, "role": "tool", "tool_results": [{"tool_call_id": "a", "content": ""}]}
ABOUT = {"_type": "dataset_metadata", "licence": "x"}

GOOD: list[Any] = [
    *(USER, ANSWER, CALLS, TOOLS, ABOUT),
    {**ABOUT, "role": 3, "turn": "x"},
    {**USER, "_type": "row", "anything": [1, {"else": None}], "intent_codes": 1},
    {**USER, "conversation_id": "a b/c~!", "turn": 2**31 - 1},
    {**USER, "turn": 2.0},
    {**USER, "system": "", "name": "ann", "tools": [TOOL], "tool_choice": "auto", "delay_seconds": 0},
    {**USER, "tool_choice": {"type": "function", "function": {"name": "f"}}, "stop": ["a", "b"], "stream": True},
    {**USER, "seed": -(2**63), "top_k": 1, "temperature": 2, "top_p": 0, "frequency_penalty": -2.0, "n": 1},
    {**USER, "max_tokens": 7.0, "logit_bias": {}, "chat_template_kwargs": {"x": [1]}, "chat_template": ""},
    dict.fromkeys((*messages_oracle.PARAMETERS, *messages_oracle.LIMITS, "tool_calls", "tool_results", "name")) | USER,
    {**ANSWER, "reasoning_content": "", "intent_codes": ["I001"], "tool_calls": None, "temperature": "hot"},
    {**CALLS, "content": None, "reasoning_content": None},
    {**CALLS, "content": ""},
    {**CALLS, "tool_calls": [{**CALL, "extra": 1}, {**CALL, "function": {"name": "f", "arguments": "not JSON"}}]},
    {**CALLS, "tool_calls": [{**CALL, "function": {"name": "f", "arguments": {"a": [1.50]}}}]},
    {**TOOLS, "content": None, "tool_calls": None, "name": "shell", "delay_seconds": 1.5, "max_tokens": 1},
]

BAD: list[Any] = [
    *([], "x", 1, None, {}),
    {"_type": "metadata"},
    {**USER, "conversation_id": 1},
    {**USER, "conversation_id": ""},
    {**USER, "conversation_id": " c"},
    {**USER, "conversation_id": "c\n"},
    {**USER, "conversation_id": "é"},
    {**USER, "turn": True},
    {**USER, "turn": 1.5},
    {**USER, "turn": 2**31},
    {**USER, "role": "system"},
    {**USER, "content": ""},
    {**USER, "content": [{"type": "text", "text": "x"}]},
    {**USER, "temperature": 2.0001},
    {**USER, "seed": 2**63},
    {**USER, "tools": []},
    {**ANSWER, "content": ""},
    {**ANSWER, "content": None, "reasoning_content": "x"},
    {**ANSWER, "tool_calls": []},
    {**CALLS, "tool_calls": [{**CALL, "id": ""}]},
    {**CALLS, "tool_calls": [{**CALL, "type": "custom"}]},
    {**CALLS, "tool_calls": [{**CALL, "function": {"name": "f"}}]},
    {**CALLS, "tool_calls": [{**CALL, "function": {"name": "f", "arguments": None}}]},
    {**CALLS, "tool_results": []},
    {**TOOLS, "tool_results": []},
    {**TOOLS, "tool_results": [{"tool_call_id": "", "content": ""}]},
    {**TOOLS, "tool_results": [{"tool_call_id": "a", "content": None}]},
    {**TOOLS, "content": "x"},
]

FIELDS = (
    *("conversation_id", "turn", "role", "content", "system", "name", "tool_calls", "tool_results", "_type"),
    *("reasoning_content", "delay_seconds", *messages_oracle.PARAMETERS, *messages_oracle.LIMITS),
)
VALUES: list[Any] = [
    *(None, True, 0, 1, -1, 2.5, 1e3, -2.0, 2**53, 2**70, 1e300, "", "x", "user", "assistant", "tool"),
    *("dataset_metadata", [], ["x"], [""], [1], {}, {"a": 1}, [CALL], [TOOL], TOOLS["tool_results"]),
]
# Every declared field of every kind of row with every kind of value, and without it.
EVERYTHING = [
    *({**row, field: value} for row, field, value in product((USER, ANSWER, CALLS, TOOLS), FIELDS, VALUES)),
    *({k: v for k, v in row.items() if k != field} for row, field in product((USER, ANSWER, CALLS, TOOLS), FIELDS)),
]


def refused_lines(rows: list[Any], tmp_path: Path) -> set[int]:
    """Places of the rows that the reader refuses for themselves."""
    file = tmp_path / "rows.jsonl"
    # The first line determines the format.
    file.write_text("\n".join(map(json.dumps, [USER, *rows])), encoding="utf-8")
    report = agentgen.validate(file, max_errors=2**31 - 1)
    assert report.format == "messages"
    return {finding.line - 2 for finding in report.findings if finding.rule not in ACROSS_ROWS}


def test_schema_and_reader_are_of_one_mind(tmp_path: Path) -> None:
    rows = [*GOOD, *BAD, *EVERYTHING]
    assert len(rows) > 3000
    schema = jsonschema.Draft202012Validator(SCHEMA)
    refused = {at for at, row in enumerate(rows) if not schema.is_valid(row)}
    assert {at for at in range(len(GOOD) + len(BAD)) if at in refused} == set(range(len(GOOD), len(GOOD) + len(BAD)))
    odd = refused_lines(rows, tmp_path) ^ refused
    assert not odd, [(rows[at], at in refused) for at in sorted(odd)[:5]]


def test_real_trajectories_are_sound(invoke: Invoke) -> None:
    trajectories = shared(TRAJECTORIES)
    report = json.loads(invoke("validate", trajectories, "--json").stdout)
    assert (report["ok"], report["format"], report["layout"], report["findings"]) == (True, "messages", None, [])
    assert (report["rows"], report["sessions"]) == (2014, 20)
    schema = jsonschema.Draft202012Validator(SCHEMA)
    assert all(schema.is_valid(json.loads(line)) for line in trajectories.read_text(encoding="utf-8").splitlines())


def test_the_example_of_the_manual_is_sound(invoke: Invoke) -> None:
    assert invoke("validate", EXAMPLE).stdout == "multi-turn messages\nok: 9 rows in 2 sessions\n"


def test_findings_name_their_place(invoke: Invoke, tmp_path: Path) -> None:
    file = tmp_path / "bad.jsonl"
    lines = EXAMPLE.read_text(encoding="utf-8").replace('"tool_call_id": "call-2"', '"tool_call_id": "call-9"')
    file.write_text(lines, encoding="utf-8")
    place, expected = f"{file}:4: error[tool-call-id]", "expected one result for every call of the row before"
    found = 'found conversation "lighthouse", turn 3: '
    first, *findings, last = invoke("validate", file, code=1).stdout.splitlines()
    assert (first, last) == ("multi-turn messages", "2 errors: 9 rows in 2 sessions")
    assert findings == [
        f'{place}: {found}no result of the call "call-2"; {expected}',
        f'{place}: {found}tool_results[1] of "call-9", which was not called; {expected}',
    ]
    assert "... and 1 more (--max-errors shows more)" in invoke("validate", file, "--max-errors", 1, code=1).stdout


def test_options_of_block_hash_traces_are_refused(invoke: Invoke) -> None:
    for option in (("--trace-layout", "incremental"), ("--trace-block-size", 16)):
        error = invoke("validate", EXAMPLE, *option, code=2).stderr
        assert error.count("\n") == 1
        assert "neither layout nor block size" in error


def test_what_needs_hash_ids_says_so(invoke: Invoke, tmp_path: Path) -> None:
    for arguments in (("analyze", EXAMPLE), ("convert", EXAMPLE, tmp_path / "out.jsonl")):
        error = invoke(*arguments, code=2).stderr
        assert error.count("\n") == 1
        assert f"{EXAMPLE}: found multi-turn messages, expected a block-hash trace (rows with hash_ids)" in error


def sent(path: Path) -> list[tuple[str, list[bytes]]]:
    """Bodies that a replay with the recorded history sends, by conversation."""
    options: dict[str, Any] = {
        "endpoint": "chat",
        "prompt_mode": "text",
        "history": "recorded",
        "salt": "",
        "words": None,
    }
    options |= {
        "model": "m",
        "stream": False,
        "request": {},
        "max_tokens_field": "auto",
        "is_linked": False,
        "transcripts": None,
        "trace_block_size": None,
    }
    source = _native.ReplaySource(str(path), json.dumps(options))
    sessions = []
    while (session := source.next()) is not None:
        sessions.append((session.key, [session.request().body for _ in range(session.turns)]))
        session.over()
    return sessions


def test_messages_with_tools_are_replayed_against_the_embedded_server(invoke: Invoke, tmp_path: Path) -> None:
    """It calls no tools, so histories are recorded ones unless live ones are asked for."""
    where = ("--output", tmp_path, "--quiet", "--max-delay", 0)
    invoke("replay", EXAMPLE, *where, "--name", "out")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert summary["settings"]["history"] == "recorded"
    assert list(summary["run"]["outcomes"]) == ["ok"]
    invoke("replay", EXAMPLE, *where, "--name", "live", "--history", "live", code=1)


@pytest.mark.parametrize("name", ["example", "trajectories"])
def test_bodies_are_those_of_an_independent_rendering(name: str) -> None:
    path = EXAMPLE if name == "example" else shared(TRAJECTORIES)
    expected = messages_oracle.conversations(path.read_text(encoding="utf-8").splitlines())
    found = sent(path)
    assert [key for key, _ in found] == list(expected)
    for key, bodies in found:
        rendered = list(messages_oracle.bodies(expected[key], "m"))
        assert len(bodies) == len(rendered)
        for body, other in zip(bodies, rendered, strict=True):
            assert canonical(json.loads(body)) == canonical(other)


def canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
