"""`agentgen validate`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from agentgen._api import validate
from agentgen.cli._errors import FAILED, reading
from agentgen.cli._options import Whole, block_size_option, progress_bar, threads_option
from agentgen.settings import LAYOUTS, MAX_TOKENS

if TYPE_CHECKING:
    from agentgen._report import Report

SAID_BY = {"option": "as the option says", "inferred": "inferred from the rows"}


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
    set of shards; several are checked as one data set.

    Exit codes: 0 sound, 1 errors found, 2 not readable as a trace.
    """
    with reading(), progress_bar("checking", shown=form == "text") as progress:
        report = validate(
            traces, layout=layout, block_size=block_size, max_errors=max_errors, threads=threads, progress=progress
        )
    if form == "json":
        click.echo(json.dumps(report.to_dict(), indent=2))
    else:
        _print(report)
    if not report.ok:
        click.get_current_context().exit(FAILED)


def _print(report: Report) -> None:
    layout_from, size_from = (
        SAID_BY.get(said, f"from the {said}") for said in (report.layout_from, report.block_size_from)
    )
    click.echo(f"layout {report.layout} ({layout_from}), block size {report.block_size} ({size_from})")
    for finding in report.findings:
        click.echo(str(finding))
    hidden = report.errors + report.warnings - len(report.findings)
    if hidden:
        click.echo(f"... and {hidden:,} more (--max-errors shows more)")
    checked = f"{report.rows:,} rows in {report.sessions:,} sessions"
    verdict = "ok" if report.ok else _count(report.errors, "error")
    if report.warnings:
        verdict += f", {_count(report.warnings, 'warning')}"
    click.echo(f"{verdict}: {checked}")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
