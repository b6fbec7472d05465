"""`agentgen merge`."""

from __future__ import annotations

from pathlib import Path

import click

from agentgen._api import merge
from agentgen.cli._summary import print_run
from agentgen.run import refuse_full


@click.command("merge", short_help="Join the shards of one data set.")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=click.Path(exists=True, file_okay=False))
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    metavar="DIR",
    help="Where the whole is described.",
)
@click.option("--quiet", is_flag=True, help="Print nothing but the directory.")
@click.option("--force", is_flag=True, help="Replace what describes a whole in a directory that exists.")
def command(*, runs: tuple[str, ...], output: Path, quiet: bool, force: bool) -> None:
    """Join the shards of one data set.

    RUN... are the directories of all its shards, in any order. They stay
    where they are: DIR gets the manifest, quality and comparison of the
    whole, and stands for it wherever a trace is read.
    """
    refuse_full(output, force=force, option="--force")
    manifest = merge(runs, output)
    if quiet:
        click.echo(str(output))
    else:
        print_run(output, manifest)
