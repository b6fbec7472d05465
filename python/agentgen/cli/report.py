"""`agentgen report`."""

from __future__ import annotations

from typing import Any

import click

from agentgen._text import printable
from agentgen.cli._assumptions import assumption_options, concurrency_option
from agentgen.cli._errors import reading
from agentgen.cli._options import progress_count, threads_option
from agentgen.cli._soundness import soundness
from agentgen.pages.write import home, rendered, write


@click.command("report", short_help="Write the pages of a trace.")
@click.argument("trace", metavar="RUN|TRACE", type=click.Path(exists=True))
@click.option("--compare", type=click.Path(exists=True), metavar="OTHER", help="Lay another trace over this one.")
@click.option(
    "--output",
    type=click.Path(file_okay=False),
    metavar="DIR",
    help="Where the pages go. [default: the run directory; . for a file or a comparison]",
)
@assumption_options
@concurrency_option
@threads_option
def command(*, trace: str, compare: str | None, output: str | None, **assumed: Any) -> None:
    """Write the pages of a trace: report.html, cache_explorer.html, simulation.html.

    Each is one HTML file of at most 3 MB that needs no network. Those that
    are there are replaced. Of a trace with more than 100,000 sessions the
    first 100,000 are looked at; the pages say so.
    """
    traces = [trace] if compare is None else [trace, compare]
    if trace == compare:
        raise click.UsageError("--compare: found the trace itself, expected another.")
    sound = soundness(traces, layout=assumed["layout"], block_size=assumed["trace_block_size"])
    with reading(), sound, progress_count("analyzing") as progress:
        pages = rendered(trace, compare=compare, progress=progress, **assumed)
    for page in write(pages, output or home(trace, compare)):
        click.echo(printable(str(page)))
