"""`agentgen simulate`."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agentgen._text import printable
from agentgen.analysis.model import KV_DTYPES
from agentgen.analysis.simulate import MAX_WORKERS, ROUTINGS, simulate
from agentgen.cli._assumptions import assumption_options, check_model, concurrency_option, model_options
from agentgen.cli._errors import reading
from agentgen.cli._options import Whole, progress_count, threads_option
from agentgen.cli._quantities import CapacitiesType, Seconds
from agentgen.cli._soundness import soundness
from agentgen.errors import AgentgenError
from agentgen.run import listed
from agentgen.settings import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentgen.cli._quantities import Capacity


@click.command("simulate", short_help="What a cache of limited size finds, and how requests wait.")
@click.argument("trace", metavar="TRACE", type=click.Path(exists=True))
@click.option(
    "--capacity",
    "capacities",
    type=CapacitiesType(),
    required=True,
    metavar="SIZE[,SIZE...]",
    help="KV memory of a worker, such as 300GB, or 5000blocks of any model; several are simulated in parallel, for one "
    "table.",
)
@model_options
@concurrency_option
@click.option(
    "--workers",
    type=Whole(1, MAX_WORKERS),
    default=1,
    show_default=True,
    metavar="W",
    help="Workers, each with a queue, a prefill unit and a cache.",
)
@click.option(
    "--routing",
    type=click.Choice(ROUTINGS),
    default=ROUTINGS[0],
    show_default=True,
    help="A session stays with its worker, or requests go to one after the other.",
)
@click.option("--ttl", "ttl_ms", type=Seconds(), metavar="SECONDS", help="Blocks not used for longer are gone.")
@click.option("--bound", is_flag=True, help="Also find what the best policy would find, which knows the future.")
@assumption_options
@threads_option
@click.option(
    "--parquet",
    "requests",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Write a row for each request: times, worker, what it found.",
)
@click.option("--json", "as_json", is_flag=True, help="Print all figures as JSON.")
def command(
    *,
    trace: str,
    capacities: list[Capacity],
    model: str | None,
    kv_bytes_per_token: int | None,
    kv_dtype: str | None,
    requests: str | None,
    as_json: bool,
    **stated: Any,
) -> None:
    """Serve a trace in virtual time, with a prefix cache of limited size.

    Sessions start as in agentgen analyze; a turn is sent when its delay after the
    response before is over. Requests wait for the prefill unit and for room in
    the cache, which holds what they read and write and evicts the least recently
    used blocks. docs/simulator.md defines every figure.
    """
    in_blocks, sizes = capacities[0].in_blocks, [capacity.size for capacity in capacities]
    check_model(model, kv_bytes_per_token, kv_dtype, needed=not in_blocks)
    if requests is not None and len(capacities) > 1:
        raise click.UsageError(f"--parquet: found {len(capacities)} capacities, expected one.")
    if requests is not None:
        _check_target(Path(requests), Path(trace))
    sound = soundness([trace], layout=stated["layout"], block_size=stated["trace_block_size"])
    with reading(), sound, _writing(requests), progress_count("simulating", shown=not as_json) as progress:
        simulation = simulate(
            trace,
            capacity_bytes=None if in_blocks else sizes,
            capacity_blocks=sizes if in_blocks else None,
            model=model,
            kv_bytes_per_token=kv_bytes_per_token,
            kv_dtype=kv_dtype or KV_DTYPES[0],
            requests=requests,
            progress=progress,
            **stated,
        )
    if as_json:
        click.echo(simulation.to_json())
        return
    click.echo("\n".join(map(printable, str(simulation).splitlines())))
    if requests is not None:
        click.echo(f"\nrequests  {printable(requests)}")


@contextmanager
def _writing(target: str | None) -> Iterator[None]:
    """What the operating system refuses of this file is no fault of an input."""
    try:
        yield
    except OSError as error:
        if target is None or not str(error.filename).startswith(target):
            raise
        raise AgentgenError(f"{target}: {error.strerror}") from error


def _check_target(target: Path, trace: Path) -> None:
    """Refuse to write over what is read."""
    if target.exists() and not target.is_file():
        raise click.UsageError(f"--parquet: found {target}, expected a file that may be written over.")
    in_run = target.name in {MANIFEST, *listed(target.parent / MANIFEST)}
    if target.exists() and (in_run or target.samefile(trace)):
        raise click.UsageError(f"--parquet: found {target}, a file of a trace, expected another.")
