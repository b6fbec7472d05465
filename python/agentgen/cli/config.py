"""`agentgen config`."""

from __future__ import annotations

import json
from typing import Any

import click

from agentgen import _native
from agentgen._text import printable
from agentgen.cli._errors import reading
from agentgen.cli._group import Suggesting
from agentgen.config import json_schema, load_config


@click.group("config", cls=Suggesting, short_help="List, show and check configurations.")
def command() -> None:
    """List, show and check configurations."""


@command.command("list")
def list_presets() -> None:
    """Print the names of the bundled presets, the default one first."""
    click.echo("\n".join(_native.preset_names()))


@command.command("show")
@click.argument("name", metavar="NAME|FILE")
def show(name: str) -> None:
    """Print a preset, or a file with all that it leaves out, as JSON."""
    with reading():
        loaded = load_config(name)
    click.echo(json.dumps(loaded.config, indent=2))


@command.command("schema")
def schema() -> None:
    """Print the JSON Schema of configuration files, for editors."""
    click.echo(json.dumps(json_schema(), indent=2))


@command.command("check")
@click.argument("name", metavar="NAME|FILE")
def check(name: str) -> None:
    """Check every rule; print what the targets come to.

    Stated values are the targets; drawn ones follow from the cuts and the
    rounding, before the context limit drops turns that do not fit.
    """
    with reading():
        loaded = load_config(name)
    solved = loaded.resolve(loaded.settings)
    click.echo(f"{printable(loaded.source)}: ok")
    click.echo()
    click.echo(f"{'':<32}{'mean':>11}{'median':>11}{'mean':>13}{'median':>11}")
    click.echo(f"{'':<32}{'stated':>11}{'stated':>11}{'drawn':>13}{'drawn':>11}")
    tokens = {path: field for path, field in solved["effective"].items() if not isinstance(field, dict)}
    for path, field in solved["effective"].items():
        if path not in tokens:
            target, effective = field["target"], field["effective"]
            click.echo(
                f"{path:<32}{_number(target['mean']):>11}{_number(target['median']):>11}"
                f"{_number(effective['mean']):>13}{_number(effective['median']):>11}"
            )
    turns = solved["config"]["turns"]
    if turns:
        click.echo(f"{'turns':<32}{_number(turns['mean']):>11}{_number(turns['median']):>11}")
    click.echo()
    click.echo("drawn: before the context limit drops the turns that do not fit")
    if turns:
        click.echo(f"turns: clamped to {turns['min']:,}..{turns['max']:,}, which moves their mean (not calibrated)")
    click.echo(
        f"prefix: L1 {tokens['layer1_tokens']:,} + L1.5 {tokens['layer1_5_tokens']:,} tokens in whole blocks; "
        f"prompts below {tokens['max_prompt_tokens']:,}"
    )
    for warning in solved["warnings"]:
        click.echo(f"agentgen: warning: {warning}", err=True)


def _number(value: Any) -> str:
    return "-" if value is None else f"{value:,.1f}".removesuffix(".0")
