"""Words that are one token each, found in a tokenizer trained by the test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from agentgen.errors import ReplayError
from agentgen.replay.tokenizer_words import single_token_words

if TYPE_CHECKING:
    from pathlib import Path

tokenizers = pytest.importorskip(
    "tokenizers", reason="the package tokenizers is not installed (pip install tokenizers)"
)

# Nonsense words of one to three syllables.
SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprst" for vowel in "aeiou"]
TEXT = [f"{a}{b} {b}{a} {a}" for a in SYLLABLES for b in SYLLABLES[:8]]


def trained(path: Path, merges: int) -> Path:
    decoders, models, pre_tokenizers, trainers = (
        getattr(tokenizers, name) for name in ("decoders", "models", "pre_tokenizers", "trainers")
    )
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    # A word at the beginning of a text is another token than after a space: both are learnt.
    texts = [word for line in TEXT for word in (line, *line.split())]
    trainer = trainers.BpeTrainer(vocab_size=256 + merges, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.save(str(path))
    return path


def test_words_are_one_token_each_when_joined(tmp_path: Path) -> None:
    path = trained(tmp_path / "tokenizer.json", 2_000)
    found = single_token_words(path)
    tokenizer = tokenizers.Tokenizer.from_file(str(path))
    assert len(found.words) >= 64
    assert all(word.isascii() and word.isalpha() for word in found.words)
    joined = " ".join(found.words)
    assert len(tokenizer.encode(joined).ids) == len(found.words)
    assert (found.exact_share, found.largest_difference) == (1.0, 0)
    assert found == single_token_words(path)


def test_errors_of_a_tokenizer_are_one_line(tmp_path: Path) -> None:
    poor = trained(tmp_path / "poor.json", 1)
    (tmp_path / "other.json").write_text('{"a": 1}')
    for path, expected in [
        (poor, "of one token, expected 64 or more"),
        (tmp_path / "other.json", "expected a tokenizer.json"),
        (tmp_path / "none.json", "no such file"),
    ]:
        with pytest.raises(ReplayError, match=expected) as raised:
            single_token_words(path)
        assert "\n" not in str(raised.value)
        assert str(raised.value).startswith(str(path))
