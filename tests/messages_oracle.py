"""Bodies of requests for recorded conversations, rendered straight from the rows: what the replay must send."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LIMITS = ("max_new_tokens", "max_completion_tokens", "max_tokens")
PARAMETERS = (
    *("tools", "tool_choice", "model", "stream", "temperature", "top_p", "top_k", "seed", "repetition_penalty"),
    *("frequency_penalty", "presence_penalty", "stop", "n", "logit_bias", "user", "chat_template"),
    "chat_template_kwargs",
)


def conversations(lines: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """Rows of every conversation by their turns, conversations as they come."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        if line.strip():
            row = json.loads(line)
            if row.get("_type") != "dataset_metadata":
                found.setdefault(row["conversation_id"], []).append(row)
    return {key: sorted(rows, key=lambda row: row["turn"]) for key, rows in found.items()}


def messages(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The message of one row in the format of chat completions."""
    name = {"name": row["name"]} if row.get("name") is not None else {}
    if row["role"] == "tool":
        for result in row["tool_results"]:
            yield {"role": "tool", **name, "tool_call_id": result["tool_call_id"], "content": result["content"]}
        return
    message = {"role": row["role"], **name, "content": row.get("content")}
    if row["role"] == "assistant":
        if row.get("reasoning_content") is not None:
            message["reasoning_content"] = row["reasoning_content"]
        if row.get("tool_calls"):
            message["tool_calls"] = row["tool_calls"]
    yield message


def estimate(text: str | None) -> int:
    """A quarter of the bytes, rounded up."""
    return -(-len((text or "").encode()) // 4)


def answer_tokens(rows: list[dict[str, Any]], at: int) -> int:
    """Length of the recorded answer to a row, else the default length."""
    if at + 1 == len(rows) or rows[at + 1]["role"] != "assistant":
        return 128
    answer = rows[at + 1]
    calls = [call["function"] for call in answer.get("tool_calls") or []]
    return (
        estimate(answer.get("content"))
        + estimate(answer.get("reasoning_content"))
        + sum(estimate(call["name"]) + estimate(call["arguments"]) for call in calls)
    )


def bodies(rows: list[dict[str, Any]], model: str) -> Iterator[dict[str, Any]]:
    """The body of every client turn with the recorded history; the run sets the model and disables streaming."""
    system = next((row["system"] for row in rows if row.get("system")), None)
    said = [{"role": "system", "content": system}] if system else []
    for at, row in enumerate(rows):
        said = [*said, *messages(row)]
        if row["role"] == "assistant":
            continue
        stated = [row, rows[0]]
        body: dict[str, Any] = {"model": model, "stream": False, "messages": said}
        for name in PARAMETERS:
            values = [one[name] for one in stated if one.get(name) is not None]
            if values:
                body[name] = values[0]
        limits = [one[name] for one in stated for name in LIMITS if one.get(name) is not None]
        body["max_completion_tokens"] = limits[0] if limits else answer_tokens(rows, at)
        yield body
