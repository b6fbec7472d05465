"""`agentgen models`."""

from __future__ import annotations

import click

from agentgen.analysis.plan import KV_DTYPES, models
from agentgen.analysis.tables import table


@click.command("models", short_help="List the models that agentgen plan knows.")
def command() -> None:
    """List the models that agentgen plan knows, with their KV bytes.

    What a session takes comes on top of its tokens (sliding windows).
    """
    known = {kv_dtype: models(kv_dtype) for kv_dtype in KV_DTYPES}
    columns = {"kv_bytes_per_token": "a token", "kv_bytes_per_session": "a session"}
    rows = [
        (name, [f"{known[kv_dtype][name][column]:,}" for column in columns for kv_dtype in KV_DTYPES])
        for name in known[KV_DTYPES[0]]
    ]
    headings = [f"{kv_dtype} {what}" for what in columns.values() for kv_dtype in KV_DTYPES]
    for line in table("KV bytes", headings, rows):
        click.echo(line)
