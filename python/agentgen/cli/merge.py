"""`agentgen merge`."""

from __future__ import annotations

from pathlib import Path

import click

from agentgen._api import merge
from agentgen.run import check_empty


@click.command("merge")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=click.Path(exists=True, file_okay=False))
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    metavar="DIR",
    help="Directory of the merged set.",
)
@click.option("--quiet", is_flag=True, help="Print only the directory.")
@click.option("--force", is_flag=True, help="Replace the merged set in an existing directory.")
def command(*, runs: tuple[str, ...], output: Path, quiet: bool, force: bool) -> None:
    """Merge the shards of one data set.

    RUN... are the run directories of all its shards, in any order; no rows are
    copied. DIR gets manifest.json, quality.json and comparison.txt of the whole
    set; commands that read a trace accept DIR.
    """
    check_empty(output, force=force, option="--force")
    manifest = merge(runs, output)
    if quiet:
        click.echo(str(output))
    else:
        from agentgen.cli._summary import print_run  # noqa: PLC0415  rich is slow to import

        print_run(output, manifest)
