"""`agentgen analyze`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from agentgen._native import is_agenttrace
from agentgen.analysis.analyze import analyze
from agentgen.analysis.tool_times import agenttrace, run_tool_times
from agentgen.cli._assumptions import assumption_options
from agentgen.cli._errors import reading
from agentgen.cli._options import threads_option
from agentgen.cli._print import print_figures
from agentgen.cli._validity import warn_if_invalid
from agentgen.text.format import printable
from agentgen.text.progress import progress

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


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

    Of imported runs with times of tools, and of AgentTrace data sets, it also
    reports time in tools and in the model.
    """
    if len(set(traces)) < len(traces):
        raise click.UsageError("TRACE...: found a trace twice, expected different traces.")
    if plot is not None:
        _require_plots()
    if any(is_agenttrace(trace) for trace in traces):
        _analyze_agenttrace(traces, plot, as_json=as_json)
        return
    checked = warn_if_invalid(
        traces, trace_layout=assumed["trace_layout"], trace_block_size=assumed["trace_block_size"]
    )
    with reading(), checked, progress("analyzing", "session", shown=not as_json) as report:
        analysis = analyze(traces, progress=report, **assumed)
    with reading():
        times = {trace: found for trace in traces if (found := run_tool_times(trace))}
    if as_json and times:
        data = {**analysis.to_dict(), "tool_times": {trace: found.to_dict() for trace, found in times.items()}}
        click.echo(json.dumps(data, indent=2))
    else:
        print_figures(analysis, as_json=as_json)
    for trace, found in () if as_json else times.items():
        click.echo(f"\ntools of {printable(trace)}\n")
        print_figures(found, as_json=False)
    _print_plots([] if plot is None else analysis.plot(plot), as_json=as_json)


def _analyze_agenttrace(traces: Sequence[str], plot: str | None, *, as_json: bool) -> None:
    """AgentTrace has no block ids: only times, tokens and tools are reported."""
    for trace in traces:
        if not is_agenttrace(trace):
            raise click.UsageError(f"TRACE...: found {trace}, expected AgentTrace data sets only, as the others are.")
    with reading():
        times = agenttrace(list(traces))
    print_figures(times, as_json=as_json)
    _print_plots([] if plot is None else times.plot(plot), as_json=as_json)


def _print_plots(drawn: Sequence[Path], *, as_json: bool) -> None:
    if drawn and not as_json:
        click.echo("\nplots\n" + "\n".join(f"  {printable(str(path))}" for path in drawn))


def _require_plots() -> None:
    """Fail before the analysis if its plots could not be drawn."""
    try:
        import agentgen.analysis.plots  # noqa: F401, PLC0415  needs an extra
    except ImportError as error:
        raise click.UsageError(f"--plot: {error}") from error
