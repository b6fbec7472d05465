"""Text of others in lines of this program."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with what would break or colour a line (controls, separators, lone surrogates) as escapes."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text
    )
