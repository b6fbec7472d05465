"""`agentgen report`."""

from __future__ import annotations

from typing import Any

import click

from agentgen.analysis.figures import assumptions
from agentgen.cli._assumptions import assumption_options
from agentgen.cli._errors import reading
from agentgen.cli._options import threads_option
from agentgen.cli._validity import warn_if_invalid
from agentgen.pages.write import home, rendered, write
from agentgen.text.format import printable
from agentgen.text.progress import progress


@click.command("report")
@click.argument("trace", metavar="RUN|TRACE", type=click.Path(exists=True))
@click.option(
    "--compare", type=click.Path(exists=True), metavar="OTHER", help="Trace to compare with, in the same charts."
)
@click.option(
    "--output",
    type=click.Path(file_okay=False),
    metavar="DIR",
    help="Directory of the pages. [default: the run directory; . for a file or with --compare]",
)
@assumption_options
@threads_option
def command(*, trace: str, compare: str | None, output: str | None, **assumed: Any) -> None:
    """Write HTML pages about a trace.

    report.html, cache_explorer.html and simulation.html are self-contained
    files of at most 3 MB; existing ones are replaced. Of a trace with more than 100,000 sessions, the pages show the
    first 100,000 and say so. With --compare, fidelity.html lays the sessions of the trace over those of the other.
    """
    traces = [trace] if compare is None else [trace, compare]
    if trace == compare:
        raise click.UsageError("--compare: found the trace itself, expected another trace.")
    checked = warn_if_invalid(
        traces, trace_layout=assumed["trace_layout"], trace_block_size=assumed["trace_block_size"]
    )
    with reading(), checked, progress("analyzing", "session") as report:
        pages = rendered(trace, assumptions(**assumed), compare=compare, progress=report)
    for page in write(pages, output or home(trace, compare)):
        click.echo(printable(str(page)))
