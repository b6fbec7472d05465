"""Secrets in sessions, replaced before anything is sent or written.

Detector: Kingfisher (MongoDB; kingfisher-secret-scanner on PyPI, Apache-2.0), in this process and without a network:
about 500 rules for keys of known shape, at more than 100 MB/s. detect-secrets, the usual choice in Python, has had no
release since May 2024, knows no keys of Anthropic, Hugging Face or NVIDIA, and takes 14 s for a megabyte. What has no
shape of its own (passwords, bearer tokens, values of variables) is found by its name, with the rules of `rules.yml`.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kingfisher_sdk import Scanner

DETECTOR = "kingfisher-secret-scanner"
# A shorter secret is masked where it was found only: elsewhere it may be a word.
MIN_GLOBAL_BYTES = 8

# A value found by its name is a secret only if it looks like no word, path, address or variable.
_WORDY = re.compile(rb"[^0-9]*|[^A-Za-z]*|[$%{*/.~].*|(?:process|os|env|self|config)[.].*|.*(?:\$\{|://).*")
_ASCII = re.compile(rb"[!-~]*")
_BY_NAME = {"named-value", "authorization"}
_CALL = b"(["


@dataclass
class Masked:
    """What was masked in one session or several.

    Attributes:
        rules: Number of different secrets, by the rule that found them.
    """

    rules: dict[str, int] = field(default_factory=dict)

    @property
    def secrets(self) -> int:
        """Number of different secrets."""
        return sum(self.rules.values())

    def add(self, other: Masked) -> None:
        """Count those of another session, too."""
        for rule, count in other.rules.items():
            self.rules[rule] = self.rules.get(rule, 0) + count


class Found(NamedTuple):
    """A secret in data: where it is, its bytes, and the rule that found it."""

    start: int
    end: int
    secret: bytes
    rule: str


class Masker:
    """Replaces secrets in the texts of a session by `[redacted RULE]`."""

    def __init__(self) -> None:
        self._scanner = _scanner()

    def mask(self, value: Any) -> tuple[Any, Masked]:
        """Plain data without secrets, and what was found; a secret is masked in all texts if it is in one."""
        texts = [text.encode() for text in _texts(value)]
        # The first line end keeps what looks like a byte order mark from the start of the data.
        data = b"\n" + b"\n".join(texts)
        found = self._found(data)
        if not found:
            return value, Masked()
        spans = _spans(data, found)
        masked = iter(_replaced(data, texts, spans))
        counts = Counter(_by_secret(found).values())
        return _rebuilt(value, masked), Masked(dict(sorted(counts.items())))

    def _found(self, data: bytes) -> list[Found]:
        """What the detector finds in data."""
        found = []
        for finding in self._scanner.scan(data):
            # Of a secret in Base64, the place is that of the encoded text.
            start, end = finding.location["start_offset"], finding.location["end_offset"]
            secret, rule = data[start:end], _rule(finding.rule_id)
            if rule in _BY_NAME:
                if _WORDY.fullmatch(secret) or data[end : end + 1] in _CALL:
                    continue
                secret = _core(secret)
            found.append(Found(start, end, secret, rule))
        # Those with a rule of their own first: it names them.
        return sorted(found, key=lambda one: (one.rule in _BY_NAME, one.start, one.end, one.rule))


@cache
def _scanner() -> Scanner:
    """The scanner; its rules are compiled once a machine (5 s), and kept in the user's cache directory."""
    from kingfisher_sdk import DetectionPolicy, Rules, Scanner  # noqa: PLC0415  an extra, slow to load

    with as_file(files("agentgen.distill").joinpath("rules.yml")) as rules:
        # Comments that tell a scanner to look away are for repositories: a session may quote them.
        return Scanner(Rules([rules]), policy=DetectionPolicy(inline_ignores=False, markup_context=False))


def _core(value: bytes) -> bytes:
    """A value without what the text around it may have added: punctuation, letters beyond ASCII."""
    match = _ASCII.match(value)
    return (match[0] if match else value).rstrip(b".:!?")


def _rule(name: str) -> str:
    """`betterleaks.github-pat` and `veles.secrets/openrouter` without the name of the catalogue."""
    return name.rpartition("/")[2].rpartition(".")[2] if "/" in name else name.partition(".")[2] or name


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)


def _rebuilt(value: Any, texts: Iterator[str]) -> Any:
    if isinstance(value, str):
        return next(texts)
    if isinstance(value, dict):
        return {name: _rebuilt(one, texts) for name, one in value.items()}
    if isinstance(value, list):
        return [_rebuilt(one, texts) for one in value]
    return value


def _by_secret(found: list[Found]) -> dict[bytes, str]:
    """Each secret and the first rule that found it."""
    return {one.secret: one.rule for one in reversed(found)}


def _spans(data: bytes, found: list[Found]) -> list[tuple[int, int, str]]:
    """Disjoint parts of the data with a secret, in order; a secret of some length also where no rule found it."""
    spans = [(one.start, one.end, one.rule) for one in found]
    for secret, rule in _by_secret(found).items():
        if len(secret) < MIN_GLOBAL_BYTES:
            continue
        at = data.find(secret)
        while at >= 0:
            spans.append((at, at + len(secret), rule))
            at = data.find(secret, at + len(secret))
    merged: list[tuple[int, int, str]] = []
    for start, end, rule in sorted(spans, key=lambda span: (span[0], -span[1])):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end), merged[-1][2])
        else:
            merged.append((start, end, rule))
    return merged


def _replaced(data: bytes, texts: list[bytes], spans: list[tuple[int, int, str]]) -> Iterator[str]:
    """The texts, each without the parts of spans that lie in it."""
    start, at = 1, 0
    for text in texts:
        end = start + len(text)
        pieces, place = [], start
        while at < len(spans) and spans[at][0] < end:
            low, high, rule = spans[at]
            if high > start:
                pieces += [data[place : max(place, low)], f"[redacted {rule}]".encode()]
                place = min(high, end)
            if high > end:  # goes on in the next text
                break
            at += 1
        pieces.append(data[place:end])
        yield b"".join(pieces).decode("utf-8", "replace")
        start = end + 1
