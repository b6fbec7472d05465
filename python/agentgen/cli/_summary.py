"""The text of a run that was just written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from agentgen.settings import MANIFEST
from agentgen.text.format import counted, file_size
from agentgen.text.layout import BLANK, Table, line, show

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

COMPARISON = "comparison.txt"


def print_run(
    directory: Path, manifest: dict[str, Any], pages: Sequence[Path] = (), *, warned: Sequence[str] = ()
) -> None:
    """Print the files of a run with their sizes, and its targets against what was written.

    Warnings that have been printed before (`warned`) are left out.
    """
    parts = [part["path"] for part in manifest.get("parts", [])]
    rows = [(part, [""]) for part in parts]
    if parts:
        sizes = (file.stat().st_size for part in parts for file in (directory / part).iterdir())
        rows.append((counted(len(parts), "shard"), [file_size(sum(sizes))]))
    rows += [(file["name"], [file_size(file["bytes"])]) for file in manifest["files"]]
    rows.append((MANIFEST, [""]))
    rows += [(page.name, [file_size(page.stat().st_size)]) for page in pages]
    show(line(str(directory)), Table("", [""], rows), BLANK)
    comparison = (directory / COMPARISON).read_text(encoding="utf-8")
    for warning in warned:
        comparison = comparison.replace(f"\nwarning: {warning}\n", "")
    click.echo(comparison, nl=False)


def print_speed(manifest: dict[str, Any], seconds: float, *, resumed: bool) -> None:
    """Print the duration, and sessions per second unless complete shards were kept."""
    written = manifest["written"]
    rate = (written["sessions"] - written["continuations"]) / seconds
    click.echo(f"\nwritten in {seconds:.1f} s{'' if resumed else f' ({rate:,.0f} sessions/s)'}")
