"""Rows in AgentTrace's schema (version 0.3.0), with fields that it lacks: ids and times that join steps and spans."""

from __future__ import annotations

import io
import json
import os
import platform
import sys
import uuid
from typing import TYPE_CHECKING, Any

from agentgen._native import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentgen.collect.actions import Action
    from agentgen.collect.client import Answer

SCHEMA_VERSION = "0.3.0"
VIEW_TEXTS = ("trace_id", "timestamp_utc", "prompt", "model", "dataset_name", "task_id", "run_id")
VIEW_JSON = ("spans", "llm_steps", "metadata")
# What AgentTrace says of its server and of its own repository, and this collector does not know.
UNKNOWN = (
    *("model_artifact", "serving_engine_version", "chat_template", "prompt_sanitization_version"),
    *("git_commit", "git_dirty", "collector_git_commit"),
)
NS_PER_MS = 1e6


def step_row(number: int, answer: Answer, actions: Sequence[Action]) -> dict[str, Any]:
    """A model call. `duration_ms`, times and ids are what the original's steps do not have."""
    calls = [{"name": action.name, "arguments": action.arguments, "id": action.id} for action in actions]
    return {
        "step_id": str(uuid.uuid4()),
        "step_number": number,
        "model_output": answer.content,
        "reasoning_content": answer.reasoning,
        "tool_calls": calls or None,
        "duration_ms": (answer.end_ns - answer.start_ns) / NS_PER_MS,
        "input_tokens": answer.input_tokens,
        "output_tokens": answer.output_tokens,
        "cached_tokens": answer.cached_tokens,
        "start_ns": answer.start_ns,
        "end_ns": answer.end_ns,
        "request_id": answer.request_id,
        "finish_reason": answer.finish_reason,
    }


def span_row(
    step: dict[str, Any],
    action: Action,
    output: str,
    *,
    start_ns: int,
    end_ns: int,
    exit_code: int,
    telemetry: dict[str, Any] | None,
    killed_by: str | None = None,
) -> dict[str, Any]:
    """A tool call that ran; a tool without processes has no telemetry."""
    return {
        "span_id": str(uuid.uuid4()),
        "type": "TOOL",
        "tool_name": action.name,
        "tool_input": f"kwargs={action.arguments!r}",
        "tool_output": output,
        "start_ns": start_ns,
        "end_ns": end_ns,
        "duration_ms": (end_ns - start_ns) / NS_PER_MS,
        "telemetry": telemetry,
        "exit_code": exit_code,
        "killed_by": killed_by,
        "parent_span_id": None,
        "step_id": step["step_id"],
        "step_number": step["step_number"],
        "tool_call_id": action.id,
    }


def run_metadata(settings: dict[str, Any]) -> dict[str, Any]:
    """What all rows of a collection say: the settings, and the machine that the tools ran on."""
    return {
        "schema_version": SCHEMA_VERSION,
        "collector_version": f"agentgen {__version__}",
        "python_version": platform.python_version(),
        "platform": f"{sys.platform}-{platform.machine()}",
        "hardware": _hardware(),
        **dict.fromkeys(UNKNOWN),
        **settings,
    }


def _hardware() -> dict[str, Any]:
    return {
        "os": platform.system(),
        "os_release": platform.release(),
        "machine": platform.machine(),
        "cpu": _cpu(),
        "cpu_count_logical": os.cpu_count(),
        "memory_total_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
    }


def _cpu() -> str | None:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:  # noqa: PTH123  no path of ours
            return next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), None)
    except OSError:
        return None


def is_row(value: Any) -> bool:
    """Whether this is a row as a collection writes it, as far as it is read again."""
    if not isinstance(value, dict):
        return False
    texts = ("trace_id", "timestamp_utc", "prompt", "model", "dataset_name", "run_id")
    others = {"total_duration_ms": float, "spans": list, "llm_steps": list, "metadata": dict}
    expected: dict[str, type] = {**dict.fromkeys(texts, str), **others}
    is_typed = all(isinstance(value.get(name), kind) for name, kind in expected.items())
    return is_typed and isinstance(value.get("task_id"), (int, str))


def to_lines(rows: Sequence[dict[str, Any]]) -> bytes:
    """The rows as JSONL."""
    return b"".join(to_line(row) for row in rows)


def to_line(row: dict[str, Any]) -> bytes:
    """A row as a line of JSON; lone surrogates, which tools can print, are escaped."""
    return json.dumps(row).encode() + b"\n"


def to_view(rows: Sequence[dict[str, Any]], raw_file: str) -> bytes:
    """The rows as AgentTrace's Parquet view, which has steps, spans and metadata as JSON.

    Raises:
        ImportError: polars is missing.
    """
    import polars as pl  # noqa: PLC0415  an extra

    columns: dict[str, Any] = {name: [row[name] for row in rows] for name in VIEW_TEXTS}
    is_numbered = all(isinstance(row["task_id"], int) for row in rows)
    if not is_numbered:
        columns["task_id"] = [str(row["task_id"]) for row in rows]
    columns["total_duration_ms"] = [row["total_duration_ms"] for row in rows]
    columns["tool_span_count"] = [len(row["spans"]) for row in rows]
    columns["llm_step_count"] = [len(row["llm_steps"]) for row in rows]
    columns |= {f"{name}_json": [json.dumps(row[name]) for row in rows] for name in VIEW_JSON}
    columns["raw_file"] = [raw_file] * len(rows)
    schema = dict.fromkeys(columns, pl.String()) | {
        "total_duration_ms": pl.Float64(),
        "tool_span_count": pl.Int64(),
        "llm_step_count": pl.Int64(),
    }
    buffer = io.BytesIO()
    pl.DataFrame(columns, schema=schema | ({"task_id": pl.Int64()} if is_numbered else {})).write_parquet(buffer)
    return buffer.getvalue()
