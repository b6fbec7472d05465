"""Printing the result of a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from agentgen.analysis.figures import Figures


def print_figures(figures: Figures, *, as_json: bool) -> None:
    """Print figures as tables or as JSON."""
    if as_json:
        click.echo(figures.to_json())
        return
    from agentgen.text.layout import show  # noqa: PLC0415  rich is slow to import

    show(figures)
