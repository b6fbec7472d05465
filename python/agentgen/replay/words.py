"""Words that a tokenizer keeps as one token each, so that prompts of words have exact lengths in tokens."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentgen.analysis.tables import counted
from agentgen.errors import ReplayError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tokenizers import Tokenizer

# What tokenizers write where a word follows a space.
_SPACES = ("\N{LATIN CAPITAL LETTER G WITH DOT ABOVE}", "\N{LOWER ONE EIGHTH BLOCK}")
# More words make prompts that differ sooner; fewer are found faster.
_WORDS = 4_096
_FEWEST = 64
_LETTERS = range(2, 11)
_SAMPLES = 64
_SAMPLE_WORDS = 512


@dataclass(frozen=True, slots=True)
class WordList:
    """Words of one token each, and how well that holds when they are joined.

    Attributes:
        words: ASCII letters, in order.
        exact_share: Of texts of 512 of the words, joined by spaces: those that have 512 tokens, 0 to 1.
        largest_difference: The largest difference that was found, in tokens.
    """

    words: tuple[str, ...]
    exact_share: float
    largest_difference: int


def words_of(path: Path) -> WordList:
    """Finds the words in a `tokenizer.json`, and measures how exact they are.

    Raises:
        ReplayError: The file is not a tokenizer, has too few such words, or the package `tokenizers` is missing.
    """
    try:
        from tokenizers import Tokenizer  # noqa: PLC0415 (an optional dependency)
    except ImportError as error:
        raise ReplayError(
            "--tokenizer needs the package tokenizers: pip install 'agentgen-traces[tokenizer]'"
        ) from error
    try:
        tokenizer = Tokenizer.from_file(str(path))
    # The package raises nothing narrower.
    except Exception as error:
        what = "no such file" if not path.exists() else str(error).splitlines()[0]
        raise ReplayError(f"{path}: {what}, expected a tokenizer.json as Hugging Face's tokenizers write it") from error
    words = _single(tokenizer, _candidates(tokenizer.get_vocab()))
    if len(words) < _FEWEST:
        raise ReplayError(
            f"{path}: found {counted(len(words), 'word')} of one token, expected {_FEWEST} or more; "
            "leave --tokenizer away and take lengths as approximate"
        )
    differences = _differences(tokenizer, words)
    exact = sum(difference == 0 for difference in differences)
    return WordList(tuple(words), exact / len(differences), max(differences))


def _candidates(vocabulary: Iterable[str]) -> list[str]:
    """Plain words of the vocabulary that are tokens with a space before them; at most four times as many as wanted."""
    words = {token[1:] for token in vocabulary if token.startswith(_SPACES)}
    plain = sorted(word for word in words if len(word) in _LETTERS and word.isascii() and word.isalpha())
    return plain[:: max(1, len(plain) // (4 * _WORDS))]


def _single(tokenizer: Tokenizer, candidates: list[str]) -> list[str]:
    """Those that are one token, at the beginning of a text and after a space."""
    alone = tokenizer.encode_batch(candidates, add_special_tokens=False)
    twice = tokenizer.encode_batch([f"{word} {word}" for word in candidates], add_special_tokens=False)
    single = [w for w, a, t in zip(candidates, alone, twice, strict=True) if (len(a.ids), len(t.ids)) == (1, 2)]
    return single[:: max(1, len(single) // _WORDS)][:_WORDS]


def _differences(tokenizer: Tokenizer, words: list[str]) -> list[int]:
    """How far texts of random words are from one token a word."""
    chance = random.Random(0)  # noqa: S311 (nothing secret)
    texts = [" ".join(chance.choices(words, k=_SAMPLE_WORDS)) for _ in range(_SAMPLES)]
    encoded = tokenizer.encode_batch(texts, add_special_tokens=False)
    return [abs(len(one.ids) - _SAMPLE_WORDS) for one in encoded]
