"""`agentgen analyze`."""

from __future__ import annotations

from typing import Any

import click

from agentgen.analysis.analyze import analyze
from agentgen.cli._assumptions import assumption_options
from agentgen.cli._errors import reading
from agentgen.cli._options import threads_option
from agentgen.cli._print import print_figures
from agentgen.cli._validity import warn_if_invalid
from agentgen.text.format import printable
from agentgen.text.progress import progress


@click.command("analyze")
@click.argument("traces", nargs=-1, required=True, metavar="TRACE...", type=click.Path(exists=True))
@assumption_options
@threads_option
@click.option("--plot", type=click.Path(file_okay=False), metavar="DIR", help="Write plots into DIR, as PNG and SVG.")
@click.option("--json", "as_json", is_flag=True, help="Print all figures as JSON.")
def command(*, traces: tuple[str, ...], plot: str | None, as_json: bool, **assumed: Any) -> None:
    """Report lengths and prefix-cache hit rates of traces.

    TRACE is a JSONL (.gz, .zst) or Parquet file, a run directory or a merged
    set of shards; several are analyzed side by side.

    Figures that depend on request order share one reference timeline: requests
    at their recorded times, sessions at their arrivals or, in a trace with
    neither, in file order with --concurrency sessions open.
    """
    if len(set(traces)) < len(traces):
        raise click.UsageError("TRACE...: found a trace twice, expected different traces.")
    if plot is not None:
        _require_plots()
    checked = warn_if_invalid(
        traces, trace_layout=assumed["trace_layout"], trace_block_size=assumed["trace_block_size"]
    )
    with reading(), checked, progress("analyzing", "session", shown=not as_json) as report:
        analysis = analyze(traces, progress=report, **assumed)
    print_figures(analysis, as_json=as_json)
    drawn = [] if plot is None else analysis.plot(plot)
    if drawn and not as_json:
        click.echo("\nplots\n" + "\n".join(f"  {printable(str(path))}" for path in drawn))


def _require_plots() -> None:
    """Fail before the analysis if its plots could not be drawn."""
    try:
        import agentgen.analysis.plots  # noqa: F401, PLC0415  needs an extra
    except ImportError as error:
        raise click.UsageError(f"--plot: {error}") from error
