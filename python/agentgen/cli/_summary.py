"""What a person reads about a run that was just written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = "manifest.json"
COMPARISON = "comparison.txt"
KILO = 1000


def print_run(directory: Path, manifest: dict[str, Any]) -> None:
    """Where the files are, what is in them, and how close it came to its targets."""
    click.echo(str(directory))
    for part in manifest.get("parts", []):
        click.echo(f"  {part['path']}")
    for file in manifest["files"]:
        click.echo(f"  {file['name']:<20} {size(file['bytes']):>10}")
    click.echo(f"  {MANIFEST}")
    click.echo()
    click.echo((directory / COMPARISON).read_text(encoding="utf-8"), nl=False)


def size(count: float) -> str:
    """A number of bytes in three digits or so."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < KILO:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= KILO
    return f"{count:.1f} TB"
