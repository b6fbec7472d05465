"""Limits of configuration files: a small file must not stand for a huge value, nor its text fill a message."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_BYTES = 64 << 20  # manifests of many shards are configurations, too
MAX_VALUES = 100_000  # values of a YAML file, each alias counted as what it stands for
MAX_DEPTH = 32
MAX_INTEGER_BITS = 64
SHOWN_CHARACTERS = 60


class LimitError(ValueError):
    """A file exceeds a limit; the text is the rule it breaks."""


def read_bounded(file: Path) -> bytes:
    """The bytes of a plain file of at most `MAX_BYTES`."""
    if file.exists() and not file.is_file() and not file.is_dir():
        raise LimitError("found a pipe or a device, expected a file")
    with file.open("rb") as source:
        content = source.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise LimitError(f"found more than {MAX_BYTES >> 20} MiB, expected a configuration")
    return content


def check_size(value: Any) -> None:
    """Raise LimitError for a value of too many parts; aliases are followed, recursive ones too."""
    waiting: list[Iterator[Any]] = [iter((value,))]
    count = 0
    while waiting:
        item = next(waiting[-1], waiting)
        if item is waiting:
            waiting.pop()
            continue
        count += 1
        if count > MAX_VALUES:
            raise LimitError(f"found more than {MAX_VALUES:,} values (aliases included), expected a configuration")
        if isinstance(item, (dict, list, tuple, set)):
            waiting.append(iter(item.values() if isinstance(item, dict) else item))
        if len(waiting) > MAX_DEPTH:
            raise LimitError(f"found more than {MAX_DEPTH} levels of nesting, expected a configuration")


def shown(value: Any) -> str:
    """A value as messages show it, on one line and cut."""
    if isinstance(value, int) and value.bit_length() > MAX_INTEGER_BITS:
        return f"an integer of {value.bit_length():,} bits"
    try:
        text = json.dumps(
            value[:SHOWN_CHARACTERS] if isinstance(value, str) else value, default=str, ensure_ascii=False
        )
    except (TypeError, ValueError, RecursionError):
        text = f"a {type(value).__name__}"
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 3]}..."


def shown_name(name: str) -> str:
    """The name of a field, cut."""
    return name if len(name) <= SHOWN_CHARACTERS else f"{name[: SHOWN_CHARACTERS - 3]}..."
