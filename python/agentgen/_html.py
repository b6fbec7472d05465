"""Results in notebooks."""

from __future__ import annotations

from html import escape


def preformatted(text: str) -> str:
    """Text as HTML, in a fixed-width font."""
    return f"<pre>{escape(text, quote=False)}</pre>"
