"""`agentgen simulate`."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agentgen.analysis.model import KV_DTYPES
from agentgen.analysis.simulate import MAX_REPLICAS, ROUTINGS, simulate
from agentgen.cli._assumptions import assumption_options, check_model, model_options
from agentgen.cli._errors import reading
from agentgen.cli._options import Whole, threads_option
from agentgen.cli._print import print_figures
from agentgen.cli._quantities import CapacitiesType, Duration, Targets
from agentgen.cli._validity import warn_if_invalid
from agentgen.errors import AgentgenError
from agentgen.run import listed
from agentgen.settings import MANIFEST
from agentgen.text.format import printable
from agentgen.text.progress import progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentgen.cli._quantities import Capacity


@click.command("simulate")
@click.argument("trace", metavar="TRACE", type=click.Path(exists=True))
@click.option(
    "--capacity",
    "capacities",
    type=CapacitiesType(),
    required=True,
    metavar="SIZE[,SIZE...]",
    help="KV memory of a replica, such as 300GB, 5000blocks or 2Mtokens; several are simulated in parallel and "
    "compared.",
)
@model_options
@click.option(
    "--replicas",
    type=Whole(1, MAX_REPLICAS),
    default=1,
    show_default=True,
    metavar="N",
    help="Serving replicas, each with a queue, a prefill unit and a cache.",
)
@click.option(
    "--routing",
    type=click.Choice(ROUTINGS),
    default=ROUTINGS[0],
    show_default=True,
    help="Send all requests of a session to one replica, or requests to the replicas in turn.",
)
@click.option(
    "--ttl",
    "ttl_ms",
    type=Duration(),
    metavar="TIME",
    help="Evict blocks idle for longer than this, such as 90s or 5m. [default: no limit]",
)
@click.option(
    "--belady-bound", is_flag=True, help="Also compute the hit rate of Belady's optimal policy, an upper bound."
)
@click.option(
    "--slo",
    type=Targets(),
    metavar="LIMITS",
    help="Find the largest number of sessions at once that meets limits, such as ttft:p95=2s,e2e:p99=1m.",
)
@assumption_options
@threads_option
@click.option(
    "--parquet",
    "requests",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Parquet file to write, a row per request: times, replica, hits.",
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
    """Simulate serving a trace with a limited prefix cache.

    Sessions start as on the reference timeline of agentgen analyze; a turn is
    sent after its delay from the end of the previous response. A request waits
    for the prefill unit and for free blocks; the cache evicts the least recently
    used blocks. The exit code is 1 if no request could be served.
    """
    unit, sizes = capacities[0].unit, [capacity.size for capacity in capacities]
    check_model(model, kv_bytes_per_token, kv_dtype, needed=unit == "bytes")
    if requests is not None and len(capacities) > 1:
        raise click.UsageError(f"--parquet: found {len(capacities)} in --capacity, expected one.")
    if requests is not None:
        _check_target(Path(requests), Path(trace))
    checked = warn_if_invalid([trace], trace_layout=stated["trace_layout"], trace_block_size=stated["trace_block_size"])
    with reading(), checked, _writing(requests), progress("simulating", "session", shown=not as_json) as report:
        simulation = simulate(
            trace,
            capacity_bytes=sizes if unit == "bytes" else None,
            capacity_blocks=sizes if unit == "blocks" else None,
            capacity_tokens=sizes if unit == "tokens" else None,
            model=model,
            kv_bytes_per_token=kv_bytes_per_token,
            kv_dtype=kv_dtype or KV_DTYPES[0],
            requests=requests,
            progress=report,
            **stated,
        )
    print_figures(simulation, as_json=as_json)
    if requests is not None and not as_json:
        click.echo(f"\nrequests  {printable(requests)}")
    if not any(point["requests"]["served"] for point in simulation.to_dict()["points"]):
        raise AgentgenError("found no request that a replica's capacity holds, expected at least one (--capacity)")


@contextmanager
def _writing(target: str | None) -> Iterator[None]:
    """Report an operating-system error of the output file as a failure, not as an unreadable input."""
    try:
        yield
    except OSError as error:
        if target is None or not str(error.filename).startswith(target):
            raise
        raise AgentgenError(f"{target}: {error.strerror}") from error


def _check_target(target: Path, trace: Path) -> None:
    """Raise a usage error if the output would replace a file of a trace."""
    if target.exists() and not target.is_file():
        raise click.UsageError(f"--parquet: found {target}, expected a regular file.")
    in_run = target.name in {MANIFEST, *listed(target.parent / MANIFEST)}
    if target.exists() and (in_run or target.samefile(trace)):
        raise click.UsageError(f"--parquet: found {target}, a file of a trace, expected another file.")
