"""Records that are nearly equal: Jaccard similarity of their three-word sequences of at least 0.8.

Exact, without sampling: two sets this similar share an element among the first n - ceil(0.8 n) + 1 of each, in any
common order (prefix filtering), so that only records that share one there are compared.
"""

from __future__ import annotations

import re
from array import array
from hashlib import blake2b
from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

SIMILAR = 0.8
WORDS = 3
_WORD = re.compile(r"\w+")


class Representatives:
    """The first of each group of nearly equal texts."""

    def __init__(self) -> None:
        self._sets: list[tuple[int, array[int]]] = []
        self._by_element: dict[int, list[int]] = {}

    def match(self, index: int, text: str) -> int | None:
        """The index of the earlier text that this one nearly equals; None makes it a representative."""
        elements = _elements(text)
        prefix = elements[: len(elements) - ceil(SIMILAR * len(elements)) + 1]
        own = set(elements)
        candidates = sorted({place for element in prefix for place in self._by_element.get(element, ())})
        for place in candidates:
            earlier, others = self._sets[place]
            shared = sum(element in own for element in others)
            if shared >= SIMILAR * (len(own) + len(others) - shared):
                return earlier
        for element in prefix:
            self._by_element.setdefault(element, []).append(len(self._sets))
        self._sets.append((index, elements))
        return None


def near_duplicates(texts: Iterable[tuple[int, str]]) -> dict[int, int]:
    """For each index whose text nearly equals an earlier one of the sequence, the index of that."""
    kept = Representatives()
    return {index: earlier for index, text in texts if (earlier := kept.match(index, text)) is not None}


def _elements(text: str) -> array[int]:
    """Digests of all sequences of three words, in order of their value."""
    words = _WORD.findall(text.lower())
    sequences = {" ".join(words[at : at + WORDS]) for at in range(max(1, len(words) - WORDS + 1))}
    return array("Q", sorted(int.from_bytes(blake2b(one.encode(), digest_size=8).digest()) for one in sequences))
