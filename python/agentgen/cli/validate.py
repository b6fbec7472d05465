"""`agentgen validate`."""

from __future__ import annotations

import json

import click

from agentgen._api import validate
from agentgen._text import printable
from agentgen.cli._errors import FAILED, reading
from agentgen.cli._options import Whole, block_size_option, progress_bar, threads_option
from agentgen.settings import LAYOUTS, MAX_TOKENS


@click.command("validate", short_help="Check that a trace can be replayed.")
@click.argument("traces", nargs=-1, required=True, metavar="TRACE...", type=click.Path(exists=True))
@click.option("--format", "form", type=click.Choice(("text", "json")), default="text", show_default=True)
@click.option(
    "--max-errors",
    type=Whole(1, MAX_TOKENS),
    default=20,
    show_default=True,
    metavar="N",
    help="Findings to show; all are counted.",
)
@click.option("--layout", type=click.Choice(LAYOUTS), help="Layout of a trace that does not say.")
@block_size_option
@threads_option
def command(
    *,
    traces: tuple[str, ...],
    form: str,
    max_errors: int,
    layout: str | None,
    block_size: int | None,
    threads: int | None,
) -> None:
    """Check that a trace can be replayed.

    TRACE is a JSONL (.gz, .zst) or Parquet file, a run directory or a merged
    set of shards; several are checked as one data set. JSONL may hold hashed
    rows or multi-turn messages.

    Exit codes: 0 sound, 1 errors found, 2 not readable as a trace.
    """
    with reading(), progress_bar("checking", shown=form == "text") as progress:
        report = validate(
            traces, layout=layout, block_size=block_size, max_errors=max_errors, threads=threads, progress=progress
        )
    if form == "json":
        click.echo(json.dumps(report.to_dict(), indent=2))
    else:
        click.echo("\n".join(map(printable, report.lines("--max-errors"))))
    if not report.ok:
        click.get_current_context().exit(FAILED)
