"""`agentgen validate`."""

from __future__ import annotations

import json

import click

from agentgen._api import validate
from agentgen._native import MAX_TOKENS
from agentgen.cli._errors import FAILED, reading
from agentgen.cli._options import Whole, threads_option, trace_block_size_option, trace_layout_option
from agentgen.text.progress import progress


@click.command("validate")
@click.argument("traces", nargs=-1, required=True, metavar="TRACE...", type=click.Path(exists=True))
@click.option(
    "--max-errors",
    type=Whole(1, MAX_TOKENS),
    default=20,
    show_default=True,
    metavar="N",
    help="Maximum number of findings to show; all are counted.",
)
@trace_layout_option
@trace_block_size_option
@threads_option
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(
    *,
    traces: tuple[str, ...],
    max_errors: int,
    trace_layout: str | None,
    trace_block_size: int | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Check that a trace follows the rules of its format.

    TRACE is a JSONL (.gz, .zst) or Parquet file, a run directory or a merged
    set of shards; several are checked as one data set. JSONL holds a block-hash
    trace or multi-turn messages.

    Exit codes: 0 valid, 1 errors found, 2 a file cannot be read.
    """
    with reading(), progress("checking", shown=not as_json) as update:
        report = validate(
            traces,
            trace_layout=trace_layout,
            trace_block_size=trace_block_size,
            max_errors=max_errors,
            threads=threads,
            progress=update,
        )
    if as_json:
        click.echo(json.dumps(report.to_dict(), indent=2))
    else:
        from agentgen.text.layout import line, show  # noqa: PLC0415  rich is slow to import

        show(*map(line, report.lines("--max-errors")))
    if not report.ok:
        click.get_current_context().exit(FAILED)
