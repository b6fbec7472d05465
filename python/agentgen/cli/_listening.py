"""Options of commands that listen for connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from agentgen._serve import DEFAULT_CONNECTIONS, MAX_CONNECTIONS, MAX_PORT, MAX_SERVER_THREADS
from agentgen.cli._options import Whole

if TYPE_CHECKING:
    from collections.abc import Callable

host_option = click.option(
    "--host", default="127.0.0.1", show_default=True, metavar="HOST", help="Host name or address to listen on."
)
max_connections_option = click.option(
    "--max-connections",
    type=Whole(1, MAX_CONNECTIONS),
    default=DEFAULT_CONNECTIONS,
    metavar="N",
    help=f"Largest number of open connections; more get 503. [default: {DEFAULT_CONNECTIONS}]",
)
worker_threads_option = click.option(
    "--threads",
    type=Whole(1, MAX_SERVER_THREADS),
    metavar="N",
    help="Worker threads. [default: one per core, at most 4]",
)


def port_option(default: int) -> Callable[[Any], Any]:
    """`--port`, with the default of a command."""
    return click.option(
        "--port",
        type=Whole(0, MAX_PORT),
        default=default,
        metavar="N",
        help=f"Port; 0 for any free port. [default: {default}]",
    )
