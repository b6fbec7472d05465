"""What a person reads about a run that was just written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from agentgen.analysis.tables import counted
from agentgen.settings import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

COMPARISON = "comparison.txt"
KILO = 1000


def print_run(directory: Path, manifest: dict[str, Any], pages: Sequence[Path] = ()) -> None:
    """Where the files are, what is in them, and how close it came to its targets."""
    click.echo(str(directory))
    parts = [part["path"] for part in manifest.get("parts", [])]
    for part in parts:
        click.echo(f"  {part}")
    if parts:
        files = (file for part in parts for file in (directory / part).iterdir())
        click.echo(f"  {counted(len(parts), 'part'):<20} {size(sum(file.stat().st_size for file in files)):>10}")
    for file in manifest["files"]:
        click.echo(f"  {file['name']:<20} {size(file['bytes']):>10}")
    click.echo(f"  {MANIFEST}")
    for page in pages:
        click.echo(f"  {page.name:<20} {size(page.stat().st_size):>10}")
    click.echo()
    click.echo((directory / COMPARISON).read_text(encoding="utf-8"), nl=False)


def print_speed(manifest: dict[str, Any], seconds: float, *, resumed: bool) -> None:
    """How long it took, and the sessions in a second, unless some were there before."""
    written = manifest["written"]
    rate = (written["sessions"] - written["continuations"]) / seconds
    click.echo(f"\nwritten in {seconds:.1f} s{'' if resumed else f' ({rate:,.0f} sessions/s)'}")


def size(count: float) -> str:
    """A number of bytes in three digits or so."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < KILO:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= KILO
    return f"{count:.1f} TB"
