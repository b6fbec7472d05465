"""Suggestions for misspelt names."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """` (did you mean NAME?)` with the name that starts with the word or else resembles it; empty without one."""
    known = list(names)
    near = [name for name in known if word and name.startswith(word)] or difflib.get_close_matches(word, known, n=1)
    return f" (did you mean {near[0]}?)" if near else ""
