"""`agentgen analyze`."""

from __future__ import annotations

from typing import Any

import click

from agentgen._text import printable
from agentgen.analysis.analyze import analyze
from agentgen.cli._assumptions import assumption_options, concurrency_option
from agentgen.cli._errors import reading
from agentgen.cli._options import progress_count, threads_option
from agentgen.cli._soundness import soundness


@click.command("analyze", short_help="Lengths of a trace, and what a prefix cache finds.")
@click.argument("traces", nargs=-1, required=True, metavar="TRACE...", type=click.Path(exists=True))
@assumption_options
@concurrency_option
@threads_option
@click.option("--plot", type=click.Path(file_okay=False), metavar="DIR", help="Draw the figures there, as PNG and SVG.")
@click.option("--json", "as_json", is_flag=True, help="Print all figures as JSON.")
def command(*, traces: tuple[str, ...], plot: str | None, as_json: bool, **assumed: Any) -> None:
    """Lengths of a trace, and what a prefix cache finds.

    TRACE is a JSONL (.gz, .zst) or Parquet file, a run directory or a merged
    set of shards; several are analyzed side by side.

    What depends on the order of requests across sessions is of one timeline:
    requests at their own times, sessions at their arrivals or, without these,
    in file order with N open at once.
    """
    if len(set(traces)) < len(traces):
        raise click.UsageError("TRACE...: found a trace twice, expected each once.")
    if plot is not None:
        _require_plots()
    sound = soundness(traces, layout=assumed["layout"], block_size=assumed["trace_block_size"])
    with reading(), sound, progress_count("analyzing", shown=not as_json) as progress:
        analysis = analyze(traces, progress=progress, **assumed)
    click.echo(analysis.to_json() if as_json else "\n".join(map(printable, str(analysis).splitlines())))
    drawn = [] if plot is None else analysis.plot(plot)
    if drawn and not as_json:
        click.echo("\nplots\n" + "\n".join(f"  {printable(str(path))}" for path in drawn))


def _require_plots() -> None:
    """Refuse before the work what could not be drawn after it."""
    try:
        import agentgen.analysis.plots  # noqa: F401, PLC0415  needs an extra
    except ImportError as error:
        raise click.UsageError(f"--plot: {error}") from error
