"""`agentgen models`."""

from __future__ import annotations

import click

from agentgen.analysis.plan import models
from agentgen.analysis.tables import NONE, table


@click.command("models", short_help="List the models whose KV bytes are known.")
def command() -> None:
    """List the models whose KV bytes are known: `--model` of plan, simulate and serve.

    An open session takes its bytes beside those of its tokens (sliding
    windows), half of them in fp8.
    """
    bf16, fp8 = models("bf16"), models("fp8")
    rows = []
    for name, model in bf16.items():
        sizes = (model["kv_bytes_per_token"], fp8[name]["kv_bytes_per_token"], model["kv_bytes_per_session"])
        rows.append((name, [f"{size:,}" if size else NONE for size in sizes]))
    click.echo("\n".join(table("KV bytes", ("bf16 a token", "fp8 a token", "bf16 an open session"), rows)))
