"""`agentgen serve`."""

from __future__ import annotations

import errno
import json
import re
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from agentgen import _native
from agentgen._text import printable
from agentgen.analysis.figures import DECODE_TOKENS_PER_SECOND, PREFILL_TOKENS_PER_SECOND
from agentgen.analysis.model import KV_DTYPES, find_model
from agentgen.analysis.tables import counted
from agentgen.cli._assumptions import check_dtype
from agentgen.cli._options import Whole
from agentgen.cli._quantities import CapacityType, Rate
from agentgen.settings import MAX_TOKENS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentgen.cli._quantities import Capacity

MAX_PORT = 65535
MAX_SEED = 2**64 - 1
MAX_SERVER_THREADS = 64
ALWAYS = 100  # percent
POLL = 0.5  # seconds: on Windows a wait without an end does not see Ctrl-C


class FaultType(click.ParamType[dict[str, Any]]):
    """A share of the requests and what befalls them: `5% drop-mid-event=2`."""

    name = "fault"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        """From `5% NAME` to probability and fault."""
        match = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{1,9})?)% *(.+)", str(value))
        if not match or float(match[1]) > ALWAYS:
            self.fail(f"found {value!r}, expected a share and a fault, such as '5% drop-mid-event=2'.", param, ctx)
        return {"fault": match[2], "probability": float(match[1]) / ALWAYS}


@click.command("serve", short_help="An OpenAI-compatible server that models time and cache.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Name or address to listen at.")
@click.option(
    "--port", type=Whole(0, MAX_PORT), default=8000, metavar="N", help="Port; 0 lets the system choose. [default: 8000]"
)
@click.option(
    "--model",
    metavar="NAME|PATH",
    help="The model's name; with a --capacity in bytes a name of agentgen models, or a model's config.json. "
    "[default: agentgen]",
)
@click.option(
    "--kv-bytes-per-token", type=Whole(1, MAX_TOKENS), metavar="BYTES", help="KV of a token, for a --capacity in bytes."
)
@click.option(
    "--kv-dtype", type=click.Choice(KV_DTYPES), help="Numbers that the model's KV is kept in. [default: bf16]"
)
@click.option(
    "--capacity",
    type=CapacityType(),
    metavar="SIZE",
    help="KV memory: 300GB, 5000blocks. [default: no limit]",
)
@click.option(
    "--block-size", type=Whole(1, MAX_TOKENS), default=16, metavar="TOKENS", help="Tokens a KV block. [default: 16]"
)
@click.option(
    "--prefill-rate",
    type=Rate(or_none=True),
    default=PREFILL_TOKENS_PER_SECOND,
    metavar="TOKENS",
    help=f"Prompt tokens computed in a second, 0 for no time. [default: {PREFILL_TOKENS_PER_SECOND:.0f}]",
)
@click.option(
    "--decode-rate",
    type=Rate(or_none=True),
    default=DECODE_TOKENS_PER_SECOND,
    metavar="TOKENS",
    help=f"Tokens that each request is given in a second, 0 for no time. [default: {DECODE_TOKENS_PER_SECOND:.0f}]",
)
@click.option(
    "--max-model-len", type=Whole(1, MAX_TOKENS), metavar="TOKENS", help="Most tokens of prompt and output together."
)
@click.option(
    "--events",
    type=click.Choice(["token", "coalesced"]),
    default="token",
    help="Write each event apart, or at once all that are due. [default: token]",
)
@click.option(
    "--tool-calls",
    type=Whole(0, 100),
    default=0,
    metavar="N",
    help="Answer a request that has tools with so many calls. [default: 0]",
)
@click.option(
    "--fault",
    "faults",
    type=FaultType(),
    multiple=True,
    metavar="'P% FAULT'",
    help="A share of the requests and what befalls them, such as '5% status=503'; can be repeated.",
)
@click.option("--seed", type=Whole(0, MAX_SEED), default=0, metavar="N", help="Decides which requests. [default: 0]")
@click.option("--debug", is_flag=True, help="Remember requests and show them at /debug/requests.")
@click.option(
    "--threads", type=Whole(1, MAX_SERVER_THREADS), metavar="N", help="Threads. [default: one a core, at most 4]"
)
def command(
    *,
    host: str,
    port: int,
    model: str | None,
    kv_bytes_per_token: int | None,
    kv_dtype: str | None,
    capacity: Capacity | None,
    block_size: int,
    prefill_rate: float,
    decode_rate: float,
    **rest: Any,
) -> None:
    """An OpenAI-compatible server that models time and cache.

    It computes nothing: a token is a word, a block that an earlier prompt
    had is cached, and an answer takes as long as the rates say. Until
    Ctrl-C. Requests can ask for faults: docs/serve.md lists them.
    """
    blocks = _blocks(capacity, block_size, model, kv_bytes_per_token, kv_dtype)
    options = {
        "host": host,
        "port": port,
        "model": model or "agentgen",
        "block_tokens": block_size,
        "capacity_blocks": blocks,
        "prefill_tokens_per_second": prefill_rate,
        "decode_tokens_per_second": decode_rate,
        **{name: value for name, value in rest.items() if value is not None},
    }
    try:
        server = _native.Server(json.dumps(options))
    except ValueError as error:
        raise click.UsageError(f"{error}.") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            error.strerror = f"{error.strerror} (--port 0 takes one that is free)"
        raise
    memory = "unlimited KV memory" if blocks is None else counted(blocks, "block")
    with _stopped_by_sigterm() as stopped:
        try:
            click.echo(server.url)
            click.echo(
                f"model {printable(options['model'])}: {memory} of {counted(block_size, 'token')} a block, "
                f"prefill {_rate(prefill_rate)}, decode {_rate(decode_rate)}"
            )
            while not stopped.wait(POLL):
                pass
        except KeyboardInterrupt:
            stats = json.loads(server.stats())
            over = sum(stats[outcome] for outcome in ("answered", "refused", "disconnected", "fault"))
            raise KeyboardInterrupt(f"{counted(over, 'request')} came") from None
        finally:
            server.stop()


def _blocks(
    capacity: Capacity | None, block_size: int, model: str | None, kv_bytes_per_token: int | None, kv_dtype: str | None
) -> int | None:
    """The blocks that a capacity comes to."""
    if capacity is None or capacity.in_blocks:
        for option, given in (("--kv-bytes-per-token", kv_bytes_per_token), ("--kv-dtype", kv_dtype)):
            if given is not None:
                found = "none" if capacity is None else f"{capacity.size}blocks"
                raise click.UsageError(f"{option} is of a --capacity in bytes, such as 300GB; found {found}.")
        return capacity.size if capacity else None
    check_dtype(kv_dtype, of_a_model=kv_bytes_per_token is None)
    if kv_bytes_per_token is None:
        if model is None:
            raise click.UsageError("--capacity in bytes needs a --model or --kv-bytes-per-token.")
        kv_bytes_per_token = int(find_model(model, kv_dtype or KV_DTYPES[0])["kv_bytes_per_token"])
    try:
        return _native.capacity_blocks(capacity.size, kv_bytes_per_token, block_size)
    except ValueError as error:
        raise click.UsageError(f"--{error}.") from None


def _rate(rate: float) -> str:
    return f"{rate:,.12g} tokens/s" if rate else "in no time"


@contextmanager
def _stopped_by_sigterm() -> Iterator[threading.Event]:
    """An event that SIGTERM sets, as those do who run services."""
    stopped = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGTERM, before)
