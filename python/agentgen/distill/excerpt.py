"""What a prompt shows of a session, and how much of it where the model takes less.

A session is shown by its facts, its first four and last four messages, and its last answer. If that is longer than the
model takes, every text longer than a common limit keeps the beginning and the end of it, half each; the limit is the
largest with which all fits. So short texts stay whole, and nothing is left out without a mark.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ENDS = 4  # messages at the beginning, and as many at the end
FACTS = (
    *("trace_id", "source_kind", "root_session_id", "agent_id", "is_sidechain", "project_path", "cwd", "git_branch"),
    *("message_count", "tool_call_count"),
)
MARK = "\n[… {count:,} characters left out …]\n"
MARK_BYTES = 48
BYTES_PER_TOKEN = 3  # at least, of text of any language, in the tokenizers of today's models
ANSWER_SHARE = 0.25  # of the context, for the answer


@dataclass(frozen=True)
class Excerpt:
    """A session as a prompt shows it.

    Attributes:
        text: The session.
        cut_characters: Characters of the shown messages that were left out.
    """

    text: str
    cut_characters: int


def budget_bytes(context_tokens: int, instructions: Sequence[str]) -> int:
    """Bytes of a prompt beside its instructions and the answer."""
    tokens = (1 - ANSWER_SHARE) * context_tokens
    return max(256, int(tokens * BYTES_PER_TOKEN) - sum(len(text.encode()) for text in instructions))


def excerpt(row: dict[str, Any], budget: int) -> Excerpt:
    """The excerpt of a session in at most `budget` bytes, but for the marks of what was left out."""
    parts = list(_parts(row))
    limit = _limit([len(text.encode()) for _, text in parts], budget - sum(len(name.encode()) for name, _ in parts))
    shown, cut = [], 0
    for name, text in parts:
        kept, left_out = clipped(text, limit)
        cut += left_out
        shown.append(f"{name}\n{kept}")
    return Excerpt("\n\n".join(shown), cut)


def clipped(text: str, limit: int) -> tuple[str, int]:
    """A text of at most `limit` bytes beside the mark, and the number of characters left out of its middle."""
    data = text.encode()
    if len(data) <= limit:
        return text, 0
    head = data[: (limit + 1) // 2].decode("utf-8", "ignore")
    tail = data[len(data) - limit // 2 :].decode("utf-8", "ignore")
    count = len(text) - len(head) - len(tail)
    return f"{head}{MARK.format(count=count)}{tail}", count


def _limit(sizes: list[int], budget: int) -> int:
    """The largest common limit with which sizes, cut to it, add up to the budget."""
    left = budget
    ordered = sorted(sizes)
    for index, size in enumerate(ordered):
        share = left // (len(ordered) - index)
        if size > share:
            return max(16, share - MARK_BYTES)
        left -= size
    return ordered[-1] if ordered else 0


def _parts(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Names and texts of what is shown."""
    yield "## Facts", "\n".join(f"{name}: {_fact(row[name])}" for name in FACTS)
    yield "## What else the log says", row["source_meta"] or "{}"
    messages = row["messages"] or []
    first = messages[:ENDS]
    last = messages[max(ENDS, len(messages) - ENDS) :]
    yield from _messages(first, 1)
    if hidden := len(messages) - len(first) - len(last):
        yield "##", f"({hidden:,} messages between are not shown)"
    yield from _messages(last, len(messages) - len(last) + 1)
    yield "## Last answer of the assistant", row["final_assistant_message"] or "(none)"


def _messages(messages: list[dict[str, Any]], number: int) -> Iterator[tuple[str, str]]:
    for index, message in enumerate(messages, number):
        yield f"## Message {index}, {message['role']}", "\n".join(_lines(message)) or "(empty)"


def _lines(message: dict[str, Any]) -> Iterator[str]:
    """The texts of a message; of blocks that are no text only their kind."""
    if message["reasoning_content"]:
        yield f"(reasoning) {message['reasoning_content']}"
    for block in message["content"] or ():
        if block["text"] != "":
            yield block["text"] or f"({block['type']})"
    for call in message["tool_calls"] or ():
        yield f"(calls {call['function']['name']}) {call['function']['arguments']}"


def _fact(value: Any) -> str:
    return "unknown" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
