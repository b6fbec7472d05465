"""Words that are one token each in a tokenizer, so that a prompt has as many tokens as words."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentgen.errors import ReplayError
from agentgen.text.format import counted

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tokenizers import Tokenizer

# How vocabularies mark a token that starts with a space.
_SPACES = ("\N{LATIN CAPITAL LETTER G WITH DOT ABOVE}", "\N{LOWER ONE EIGHTH BLOCK}")
# With more words, prompts differ after fewer tokens; fewer words are found faster.
_MAX_WORDS = 4_096
_MIN_WORDS = 64
_WORD_LENGTHS = range(2, 11)
_SAMPLES = 64
_SAMPLE_WORDS = 512


@dataclass(frozen=True, slots=True)
class WordList:
    """Words of one token each, and how exact the length of texts made of them is.

    Attributes:
        words: Words of ASCII letters, sorted.
        exact_share: Share of sampled texts of 512 words that have exactly 512 tokens, 0 to 1.
        largest_difference: Largest difference between words and tokens in the samples.
    """

    words: tuple[str, ...]
    exact_share: float
    largest_difference: int


def single_token_words(path: Path) -> WordList:
    """Find the words in a `tokenizer.json`, and measure how exact they are.

    Raises:
        ReplayError: The file is not a tokenizer or has too few such words, or the package `tokenizers` is missing.
    """
    try:
        from tokenizers import Tokenizer  # noqa: PLC0415 (an optional dependency)
    except ImportError as error:
        raise ReplayError(
            "--tokenizer needs the package tokenizers: pip install 'agentgen-traces[tokenizer]'"
        ) from error
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the package raises nothing narrower
        what = "no such file" if not path.exists() else str(error).splitlines()[0]
        raise ReplayError(f"{path}: {what}, expected a tokenizer.json of Hugging Face tokenizers") from error
    words = _single(tokenizer, _candidates(tokenizer.get_vocab()))
    if len(words) < _MIN_WORDS:
        raise ReplayError(
            f"{path}: found {counted(len(words), 'word')} of one token, expected {_MIN_WORDS} or more; "
            "without --tokenizer, prompt lengths are approximate"
        )
    differences = _differences(tokenizer, words)
    exact = sum(difference == 0 for difference in differences)
    return WordList(tuple(words), exact / len(differences), max(differences))


def _candidates(vocabulary: Iterable[str]) -> list[str]:
    """Words that the vocabulary holds with a leading space; up to four times the number needed."""
    words = {token[1:] for token in vocabulary if token.startswith(_SPACES)}
    plain = sorted(word for word in words if len(word) in _WORD_LENGTHS and word.isascii() and word.isalpha())
    return plain[:: max(1, len(plain) // (4 * _MAX_WORDS))]


def _single(tokenizer: Tokenizer, candidates: list[str]) -> list[str]:
    """The words that are one token both at the start of a text and after a space."""
    alone = tokenizer.encode_batch(candidates, add_special_tokens=False)
    twice = tokenizer.encode_batch([f"{word} {word}" for word in candidates], add_special_tokens=False)
    single = [w for w, a, t in zip(candidates, alone, twice, strict=True) if (len(a.ids), len(t.ids)) == (1, 2)]
    return single[:: max(1, len(single) // _MAX_WORDS)][:_MAX_WORDS]


def _differences(tokenizer: Tokenizer, words: list[str]) -> list[int]:
    """Differences between tokens and words in sampled texts."""
    chance = random.Random(0)  # noqa: S311 (nothing secret)
    texts = [" ".join(chance.choices(words, k=_SAMPLE_WORDS)) for _ in range(_SAMPLES)]
    encoded = tokenizer.encode_batch(texts, add_special_tokens=False)
    return [abs(len(one.ids) - _SAMPLE_WORDS) for one in encoded]
