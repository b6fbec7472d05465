"""`agentgen convert`."""

from __future__ import annotations

from pathlib import Path

import click

from agentgen._api import convert, read
from agentgen.cli._errors import reading
from agentgen.cli._options import threads_option, trace_block_size_option, trace_layout_option
from agentgen.run import check_target
from agentgen.settings import LAYOUTS
from agentgen.text.format import counted, file_size

SUFFIXES = (".jsonl", ".jsonl.zst", ".parquet")


@click.command("convert")
@click.argument("source", metavar="IN", type=click.Path(exists=True))
@click.argument("target", metavar="OUT", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--layout",
    type=click.Choice(LAYOUTS),
    help="Layout of OUT; cumulative writes the hash ids of whole prompts. [default: that of IN]",
)
@click.option("--sort", is_flag=True, help="Sort the rows by time.")
@click.option("--group", is_flag=True, help="Put the rows of each session together (IN is one JSONL file).")
@click.option(
    "--renumber-ids",
    is_flag=True,
    help="Number hash ids of any kind: strings, negative, 64 bits (IN is one JSONL file).",
)
@trace_layout_option
@trace_block_size_option
@threads_option
@click.option("--force", is_flag=True, help="Replace OUT if it exists.")
def command(
    *,
    source: str,
    target: Path,
    layout: str | None,
    sort: bool,
    group: bool,
    renumber_ids: bool,
    trace_layout: str | None,
    trace_block_size: int | None,
    threads: int | None,
    force: bool,
) -> None:
    """Convert a trace to another format or layout.

    IN is a JSONL (.gz, .zst) or Parquet file, a run directory or a merged set
    of shards. The suffix of OUT sets the format: .jsonl, .jsonl.zst or .parquet.
    agentgen export writes the formats of other programs.
    """
    if not target.name.endswith(SUFFIXES):
        raise click.BadParameter(
            f"found {target.name!r}, expected a name that ends in {', '.join(SUFFIXES)}.", param_hint="OUT"
        )
    with reading():
        if not (group or renumber_ids):
            read(source, trace_layout=trace_layout, trace_block_size=trace_block_size)
    check_target(str(target), [source], force=force, option="--force")
    written = convert(
        source,
        target,
        layout=layout,
        trace_layout=trace_layout,
        trace_block_size=trace_block_size,
        sort=sort,
        group=group,
        renumber_ids=renumber_ids,
        threads=threads,
        force=force,
    )
    from agentgen.text.layout import line, show  # noqa: PLC0415  rich is slow to import

    totals = f"{counted(written['rows'], 'row')} in {counted(written['sessions'], 'session')}"
    show(line(f"{target}: {totals}, {written['layout']}, {file_size(written['bytes'])}"))
