"""`agentgen plan`."""

from __future__ import annotations

from typing import Any

import click

from agentgen._text import printable
from agentgen.analysis.figures import MAX_CONCURRENCY
from agentgen.analysis.model import KV_DTYPES
from agentgen.analysis.plan import plan
from agentgen.cli._assumptions import assumption_options, check_model, model_options
from agentgen.cli._errors import reading
from agentgen.cli._options import Whole, progress_count
from agentgen.cli._quantities import ByteSize, Share
from agentgen.cli._soundness import soundness


@click.command("plan", short_help="KV memory that a hit rate costs.")
@click.argument("trace", metavar="TRACE", type=click.Path(exists=True))
@click.option(
    "--target-hit-rate",
    type=Share(),
    required=True,
    metavar="SHARE",
    help="Blocks found / all blocks of the prompts: 0.9 or 90%.",
)
@model_options
@click.option(
    "--concurrency",
    type=Whole(1, MAX_CONCURRENCY),
    metavar="N",
    help="Sessions open at once, including those that wait for a person (not max_num_seqs); only for a trace without "
    "arrivals. [default: 50]",
)
@click.option(
    "--replica-memory",
    "replica_bytes",
    type=ByteSize(),
    metavar="SIZE",
    help="KV memory of a replica, such as 80GB or 64GiB: tells how many it takes.",
)
@assumption_options
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
def command(
    *,
    trace: str,
    model: str | None,
    kv_bytes_per_token: int | None,
    kv_dtype: str | None,
    concurrency: int | None,
    as_json: bool,
    **stated: Any,
) -> None:
    """KV memory that a hit rate costs: the smallest prefix cache that has it.

    The cache evicts the least recently used block, and sees the trace on the
    timeline of agentgen analyze. Replicas share the sessions out: each keeps
    its own for as long as they last.
    """
    check_model(model, kv_bytes_per_token, kv_dtype)
    sound = soundness([trace], layout=stated["layout"], block_size=stated["trace_block_size"])
    with reading(), sound, progress_count("planning", shown=not as_json) as progress:
        planned = plan(
            trace,
            model=model,
            kv_bytes_per_token=kv_bytes_per_token,
            kv_dtype=kv_dtype or KV_DTYPES[0],
            concurrency=concurrency,
            progress=progress,
            **stated,
        )
    click.echo(planned.to_json() if as_json else "\n".join(map(printable, str(planned).splitlines())))
