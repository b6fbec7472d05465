"""`agentgen convert`."""

from __future__ import annotations

from pathlib import Path

import click

from agentgen._api import convert, read
from agentgen.analysis.tables import counted
from agentgen.cli._errors import reading
from agentgen.cli._options import block_size_option, threads_option
from agentgen.cli._summary import size
from agentgen.run import refuse_target
from agentgen.settings import LAYOUTS

SUFFIXES = (".jsonl", ".jsonl.zst", ".parquet")


@click.command("convert", short_help="Rewrite a trace in another format or layout.")
@click.argument("source", metavar="IN", type=click.Path(exists=True))
@click.argument("target", metavar="OUT", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--layout", type=click.Choice(LAYOUTS), help="cumulative writes whole prompts. [default: the trace's own]"
)
@click.option("--sort", is_flag=True, help="Order the rows by time.")
@click.option("--from-layout", type=click.Choice(LAYOUTS), help="Layout of a trace that does not say.")
@block_size_option
@threads_option
@click.option("--force", is_flag=True, help="Replace OUT if it exists.")
def command(
    *,
    source: str,
    target: Path,
    layout: str | None,
    sort: bool,
    from_layout: str | None,
    block_size: int | None,
    threads: int | None,
    force: bool,
) -> None:
    """Rewrite a trace in another format or layout.

    IN is a JSONL (.gz, .zst) or Parquet file, a run directory or a merged set
    of shards; OUT's name says the format: .jsonl, .jsonl.zst or .parquet.
    """
    if not target.name.endswith(SUFFIXES):
        raise click.BadParameter(f"found {target.name!r}, expected a name in {', '.join(SUFFIXES)}.", param_hint="OUT")
    with reading():
        read(source, layout=from_layout, block_size=block_size)
    refuse_target(str(target), [source], force=force, option="--force")
    written = convert(
        source,
        target,
        layout=layout,
        from_layout=from_layout,
        block_size=block_size,
        sort=sort,
        threads=threads,
        force=force,
    )
    click.echo(
        f"{target}: {counted(written['rows'], 'row')} in {counted(written['sessions'], 'session')}, "
        f"{written['layout']}, {size(written['bytes'])}"
    )
