"""Files that must be imported first: every command says what they are and names `agentgen import`."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Invoke

WEKA = (
    '{"id": "trace_0001", "models": ["m"], "block_size": 64, "hash_id_scope": "local", "requests": '
    '[{"t": 0.0, "type": "s", "model": "m", "in": 64, "out": 15, "hash_ids": [0]}]}\n'
)
FILES = {
    "a Weka trace of Claude Code": WEKA,
    "a Bailian (Qwen) trace": (
        '{"chat_id": 159, "parent_chat_id": -1, "timestamp": 61.1, "input_length": 64, "output_length": 20, '
        '"type": "text", "turn": 1, "hash_ids": [1, 2, 3, 4]}\n'
    ),
    "an Azure LLM inference trace": ("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n"),
    "a BurstGPT trace": (
        "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,ChatGPT,472,18,490,Conversation log\n"
    ),
    "a trace of lengths": '{"timestamp": 0, "input_length": 655, "output_length": 52}\n',
    "recorded bodies of chat requests": (
        '{"session_id": "s1", "messages": [{"role": "user", "content": "hi"}], "output_length": 5, "timestamp": 0}\n'
    ),
    "a request trace of Dynamo": (
        '{"schema": "dynamo.request.trace.v1", "event": {"event_type": "request_end", "request": {"request_id": "r0", '
        '"input_length": 40, "output_length": 5, "trace_block_size": 16, "input_sequence_hashes": [1, 2, 3]}}}\n'
    ),
    "conversations of ShareGPT": (
        '[{"id": "x", "conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "hello"}]}]\n'
    ),
    "OpenTelemetry spans": '{"resourceSpans": []}\n',
    "an agentic Mooncake trace of Dynamo": (
        '{"request_id": "a", "input_length": 4, "output_length": 2, "hash_ids": [1], "timestamp": 0, "wait_for": []}\n'
    ),
}


@pytest.mark.parametrize("command", ["validate", "analyze", "plan", "simulate", "convert", "replay"])
@pytest.mark.parametrize("title", FILES)
def test_every_command_names_the_format(invoke: Invoke, tmp_path: Path, command: str, title: str) -> None:
    # The name says nothing: other programs give theirs any.
    path = tmp_path / "trace.jsonl"
    path.write_text(FILES[title], encoding="utf-8")
    more: dict[str, list[object]] = {
        "convert": [tmp_path / "out.jsonl"],
        "plan": ["--kv-bytes-per-token", 1, "--target-hit-rate", 0.5],
        "simulate": ["--kv-bytes-per-token", 1, "--capacity", "1MB"],
        "replay": ["--dry-run"],
    }
    error = invoke(command, path, *more.get(command, []), code=2).stderr
    assert error.count("\n") == 1
    expected = "a block-hash trace (rows with hash_ids)"
    assert f"{path}: found {title}, expected {expected} (agentgen import {path} makes a run of it)" in error


def test_compressed_files_and_folders_are_recognised(invoke: Invoke, tmp_path: Path) -> None:
    path = tmp_path / "trace.json.gz"
    path.write_bytes(gzip.compress(WEKA.encode()))
    assert "found a Weka trace of Claude Code" in invoke("analyze", path, code=2).stderr
    error = invoke("analyze", tmp_path, code=2).stderr
    assert f"{tmp_path}: found no data set" in error
    assert f"(agentgen import {tmp_path} makes a run of it)" in error


def test_rows_with_hash_ids_are_read_whatever_other_keys_they_have(invoke: Invoke, tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    row = '{"chat_id": 1, "model": "m", "prompt": "x", "timestamp": 0, "input_length": 512, "hash_ids": [1], '
    path.write_text(row + '"output_length": 1}\n' + row + '"output_length": 2}\n', encoding="utf-8")
    assert "ok: 2 rows" in invoke("validate", path, "--trace-block-size", 512).stdout
