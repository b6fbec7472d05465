"""Small random changes to an input, of the kinds that broken writers, cut files and attackers make."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    Mutation = Callable[[random.Random, bytes, Sequence[bytes]], bytes]

# Numbers at the limits of integers, doubles and calendars, and words that are no numbers.
NUMBERS = (
    *(b"0 -0 -1 1 127 255 65535 2147483647 2147483648 4294967295 4294967296 9007199254740993").split(),
    *(b"9223372036854775807 9223372036854775808 18446744073709551616 1e14 1e308 1e400 -1e400 0.5 655.0").split(),
    *(b'NaN Infinity 007 0x10 1_000 true null "1" [] {}').split(),
)
TOKENS = (
    *(b'{ } [ ] , : " \\ \\ud800 \\u0000 \x00 \xff \xef\xbb\xbf \r \n \r\n \n\n data: : event: [DONE]').split(b" "),
    *(b"Content-Length: Transfer-Encoding: chunked\r\n HTTP/1.1 100 204 &a *a << !!python/object: - |").split(b" "),
)
LONGEST = 1 << 20  # inputs do not grow beyond this many bytes


def _position(rng: random.Random, data: bytes) -> int:
    return rng.randrange(len(data) + 1)


def _range(rng: random.Random, data: bytes) -> tuple[int, int]:
    start = _position(rng, data)
    return start, min(len(data), start + int(rng.expovariate(1 / 20)) + 1)


def _flip(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    if not data:
        return data
    index = rng.randrange(len(data))
    return data[:index] + bytes([data[index] ^ 1 << rng.randrange(8)]) + data[index + 1 :]


def _delete(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    start, end = _range(rng, data)
    return data[:start] + data[end:]


def _repeat(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    start, end = _range(rng, data)
    times = rng.choice((2, 3, 100, 20_000))
    return data[:start] + data[start:end] * times + data[end:]


def _insert(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    at = _position(rng, data)
    return data[:at] + rng.choice(TOKENS) + data[at:]


def _cut(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    return data[: _position(rng, data)]


def _splice(rng: random.Random, data: bytes, corpus: Sequence[bytes]) -> bytes:
    other = rng.choice(corpus)
    return data[: _position(rng, data)] + other[_position(rng, other) :]


def _number(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    found = list(re.finditer(rb"-?\d+(\.\d+)?", data[:100_000]))
    if not found:
        return data
    match = rng.choice(found)
    return data[: match.start()] + rng.choice(NUMBERS) + data[match.end() :]


def _lines(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    lines = data.split(b"\n")
    index = rng.randrange(len(lines))
    match rng.randrange(3):
        case 0:
            lines.insert(rng.randrange(len(lines) + 1), lines[index])
        case 1:
            del lines[index]
        case _:
            rng.shuffle(lines)
    return b"\n".join(lines)


MUTATIONS: tuple[Mutation, ...] = (_flip, _delete, _repeat, _insert, _cut, _splice, _number, _number, _lines)


def mutate(rng: random.Random, corpus: Sequence[bytes]) -> bytes:
    """An input of the corpus after one to five changes."""
    data = rng.choice(corpus)
    for _ in range(min(5, 1 + int(rng.expovariate(1)))):
        changed = rng.choice(MUTATIONS)(rng, data, corpus)
        data = changed if len(changed) <= LONGEST else data
    return data
