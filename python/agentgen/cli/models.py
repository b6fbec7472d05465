"""`agentgen models`."""

from __future__ import annotations

import click

from agentgen.analysis.plan import models
from agentgen.text.format import NONE


@click.command("models")
def command() -> None:
    """List models with known KV size.

    The names are values of --model of plan, simulate and serve. Models with
    sliding-window attention also hold a fixed number of bytes for each open
    session; fp8 halves both sizes.
    """
    from agentgen.text.layout import Table, show  # noqa: PLC0415  rich is slow to import

    bf16, fp8 = models("bf16"), models("fp8")
    rows = []
    for name, model in bf16.items():
        sizes = (model["kv_bytes_per_token"], fp8[name]["kv_bytes_per_token"], model["kv_bytes_per_session"])
        rows.append((name, [f"{size:,}" if size else NONE for size in sizes]))
    show(Table("KV bytes", ("per token, bf16", "per token, fp8", "per open session, bf16"), rows))
