"""`agentgen plan`."""

from __future__ import annotations

from typing import Any

import click

from agentgen.analysis.model import KV_DTYPES
from agentgen.analysis.plan import plan
from agentgen.cli._assumptions import assumption_options, check_model, model_options
from agentgen.cli._errors import reading
from agentgen.cli._print import print_figures
from agentgen.cli._quantities import ByteSize, Share
from agentgen.cli._validity import warn_if_invalid
from agentgen.text.progress import progress


@click.command("plan")
@click.argument("trace", metavar="TRACE", type=click.Path(exists=True))
@click.option(
    "--target-hit-rate",
    type=Share(),
    required=True,
    metavar="SHARE",
    help="Target: blocks found / all blocks of the prompts, such as 0.9 or 90%.",
)
@model_options
@click.option(
    "--replica-memory",
    "replica_bytes",
    type=ByteSize(),
    metavar="SIZE",
    help="KV memory of a replica, such as 80GB or 64GiB, to compute the number of replicas.",
)
@assumption_options
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
def command(
    *,
    trace: str,
    model: str | None,
    kv_bytes_per_token: int | None,
    kv_dtype: str | None,
    as_json: bool,
    **stated: Any,
) -> None:
    """Compute the KV memory that a hit rate needs.

    The result is the smallest LRU prefix cache that reaches the rate on the
    reference timeline of agentgen analyze. With --replica-memory also the
    number of replicas, each of which serves its sessions from start to end.
    """
    check_model(model, kv_bytes_per_token, kv_dtype)
    checked = warn_if_invalid([trace], trace_layout=stated["trace_layout"], trace_block_size=stated["trace_block_size"])
    with reading(), checked, progress("planning", "session", shown=not as_json) as report:
        planned = plan(
            trace,
            model=model,
            kv_bytes_per_token=kv_bytes_per_token,
            kv_dtype=kv_dtype or KV_DTYPES[0],
            progress=report,
            **stated,
        )
    print_figures(planned, as_json=as_json)
