"""`agentgen config`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from agentgen import _native
from agentgen.cli._complete import presets
from agentgen.cli._errors import reading
from agentgen.cli._group import Suggesting
from agentgen.config import json_schema, load_config
from agentgen.text.format import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import RenderableType

SMALL = 10  # figures below have three digits


@click.group("config", cls=Suggesting)
def command() -> None:
    """List, show and check configurations."""


@command.command("list")
def list_presets() -> None:
    """Print the bundled presets, default first; a turn is one call of the model."""
    names = _native.preset_names()
    width = max(map(len, names))
    click.echo("\n".join(f"{name:{width}}  {_native.preset_summary(name)}" for name in names))


@command.command("show")
@click.argument("name", metavar="NAME|FILE", shell_complete=presets)
def show(name: str) -> None:
    """Print a preset, or a file completed with defaults, as JSON."""
    with reading():
        loaded = load_config(name)
    click.echo(json.dumps(loaded.config, indent=2))


@command.command("schema")
def schema() -> None:
    """Print the JSON Schema of configuration files."""
    click.echo(json.dumps(json_schema(), indent=2))


@command.command("check")
@click.argument("name", metavar="NAME|FILE", shell_complete=presets)
def check(name: str) -> None:
    """Check a configuration; print stated and effective distributions.

    Refuses what agentgen generate refuses. Effective values account for truncation and rounding, but not for turns
    dropped at the context limit.
    """
    from agentgen.text import layout  # noqa: PLC0415  rich is slow to import

    with reading():
        loaded = load_config(name)
    resolved = loaded.resolve(loaded.settings)
    click.echo(f"{printable(loaded.source)}: ok\n")
    layout.show(*_pieces(resolved))
    for warning in resolved["warnings"]:
        click.echo(f"agentgen: warning: {warning}", err=True)


def _pieces(resolved: Mapping[str, Any]) -> Iterator[RenderableType]:
    from agentgen.text.layout import BLANK, Table, paragraph  # noqa: PLC0415  as above

    rows = []
    tokens = {}
    for path, value in resolved["effective"].items():
        if isinstance(value, dict):
            values = [value[kind][statistic] for kind in ("target", "effective") for statistic in ("mean", "median")]
            rows.append((path, [_number(value) for value in values]))
        else:
            tokens[path] = value
    if rows:
        yield Table("", ("stated mean", "median", "effective mean", "median"), rows, [2, 2])
        yield BLANK
        yield paragraph("effective: before turns are dropped at the context limit")
    drawn = [
        (row["path"], [_number(row[name]) for name in ("mean", "median", "p90")]) for row in resolved["drawn_as_stated"]
    ]
    if drawn:
        yield Table("", ("mean", "median", "p90"), drawn)
        yield BLANK
        yield paragraph("drawn as stated; sessions end before some of the draws are used")
    yield paragraph(
        f"prefix: L1 {tokens['layer1_tokens']:,} + L1.5 {tokens['layer1_5_tokens']:,} tokens in whole blocks; "
        f"prompts below {tokens['max_prompt_tokens']:,}"
    )


def _number(value: float | None) -> str:
    """At least three digits: shares and ratios are small."""
    if value is None:
        return "-"
    return f"{value:.3g}" if abs(value) < SMALL else f"{value:,.1f}".removesuffix(".0")
