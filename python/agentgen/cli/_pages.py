"""Writes the pages of a run that a command has just written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agentgen.errors import AgentgenError
from agentgen.text.format import printable

if TYPE_CHECKING:
    from pathlib import Path


def write_pages(directory: Path, threads: int | None) -> list[Path]:
    """Write the pages; the run is complete without them."""
    from agentgen.pages.write import report_new  # noqa: PLC0415  --help does not need it

    try:
        return report_new(directory, threads=threads)
    except (AgentgenError, OSError) as error:
        click.echo(f"agentgen: warning: the run is complete, but has no pages: {printable(str(error))}", err=True)
        return []
