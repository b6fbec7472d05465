"""`agentgen fit`."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agentgen._fit import fit
from agentgen._native import MAX_SESSIONS, write_file
from agentgen.analysis.fidelity import fidelity
from agentgen.cli._errors import reading
from agentgen.cli._options import Whole, threads_option, trace_block_size_option, trace_layout_option
from agentgen.run import write_run
from agentgen.settings import MAX_SEED
from agentgen.text.format import counted, printable

if TYPE_CHECKING:
    from agentgen._fit import Fit
    from agentgen.analysis.fidelity import Fidelity


@click.command("fit")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=click.Path(exists=True))
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    metavar="FILE",
    help="Configuration file to write, as YAML.",
)
@click.option("--half", is_flag=True, help="Fit half of the sessions; --report compares with the other half.")
@click.option("--report", is_flag=True, help="Generate with the configuration, and print how far that is from RUN.")
@click.option(
    "--sessions", type=Whole(1, MAX_SESSIONS), metavar="N", help="Sessions that --report generates. [default: 2000]"
)
@click.option("--seed", type=Whole(0, MAX_SEED), metavar="N", help="Seed of --report. [default: 42]")
@click.option("--page", type=click.Path(file_okay=False), metavar="DIR", help="Directory that gets fidelity.html.")
@trace_layout_option
@trace_block_size_option
@threads_option
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--force", is_flag=True, help="Replace an existing file.")
def command(
    *,
    runs: tuple[str, ...],
    output: Path,
    half: bool,
    report: bool,
    sessions: int | None,
    seed: int | None,
    page: str | None,
    as_json: bool,
    force: bool,
    **reading_options: Any,
) -> None:
    """Estimate a configuration from traces of real agents.

    RUN is a run directory (of agentgen import), or a JSONL or Parquet file;
    several count as one. The configuration is for agentgen generate --config.

    --report names each quantity that is more than 1.5 times as far from RUN as
    the two halves of RUN are from each other; --page shows both.
    """
    for option, value in (("--sessions", sessions), ("--seed", seed), ("--page", page)):
        if value is not None and not report:
            raise click.UsageError(f"{option} needs --report.")
    if output.exists() and not force:
        raise click.UsageError(f"{output}: found a file, expected a new name (or --force).")
    with reading():
        fitted = fit(runs, half=half, **reading_options)
    write_file(output, fitted.to_yaml().encode())
    compared = None
    if report:
        compared = _compare(runs, fitted, 2_000 if sessions is None else sessions, seed, half=half, **reading_options)
    _print(fitted, compared, output, as_json=as_json)
    if compared is not None and page is not None:
        click.echo(f"written to {printable(str(compared.write_page(page)))}", err=True)


def _compare(
    runs: tuple[str, ...], fitted: Fit, sessions: int, seed: int | None, *, half: bool, **reading_options: Any
) -> Fidelity:
    """The distance of a generated run, which is not kept."""
    with tempfile.TemporaryDirectory(prefix="agentgen-fit-") as directory:
        run = Path(directory) / "run"
        threads = reading_options["threads"]
        write_run(run, fitted.config, sessions=sessions, seed=seed, formats=("parquet",), threads=threads)
        return fidelity(runs, run, half=half, **reading_options)


def _print(fitted: Fit, compared: Fidelity | None, output: Path, *, as_json: bool) -> None:
    if as_json:
        found = {"fit": fitted.to_dict(), "fidelity": compared and compared.to_dict()}
        click.echo(json.dumps(found, indent=2))
        return
    click.echo(
        f"{printable(str(output))}: estimated from {counted(fitted.calls, 'call')} in "
        f"{counted(fitted.conversations, 'session')}"
    )
    if compared is not None:
        click.echo(f"\n{compared}")
