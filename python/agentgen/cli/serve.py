"""`agentgen serve`."""

from __future__ import annotations

import errno
import json
from typing import TYPE_CHECKING, Any

import click

from agentgen import _native
from agentgen._native import DECODE_TOKENS_PER_SECOND, MAX_TOKENS, PREFILL_TOKENS_PER_SECOND
from agentgen._serve import DEFAULT_BODY, MAX_TOOL_CALLS, parse_fault
from agentgen.analysis.model import KV_DTYPES, find_model
from agentgen.cli._assumptions import check_dtype
from agentgen.cli._complete import models
from agentgen.cli._listening import host_option, max_connections_option, port_option, worker_threads_option
from agentgen.cli._options import Whole
from agentgen.cli._quantities import ByteSize, CapacityType, Rate
from agentgen.cli._signals import allow_open_files, stopped_by_signals
from agentgen.settings import MAX_SEED
from agentgen.text.format import counted, printable

if TYPE_CHECKING:
    from agentgen.cli._quantities import Capacity

POLL_S = 0.5  # on Windows a wait without a timeout does not react to Ctrl-C


class FaultType(click.ParamType[dict[str, Any]]):
    """A fault and the share of requests it is injected into: `5% drop-mid-event=2`."""

    name = "fault"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        """Parse `5% NAME` into probability and fault."""
        fault = parse_fault(str(value))
        if fault is None:
            self.fail(f"found {value!r}, expected a share and a fault, such as '5% drop-mid-event=2'.", param, ctx)
        return fault


@click.command("serve", short_help="Serve an OpenAI-compatible API that models time and cache.")
@host_option
@port_option(8000)
@click.option(
    "--model",
    metavar="NAME|PATH",
    shell_complete=models,
    help="Model name; with a --capacity in bytes, a name from agentgen models, a config.json or its directory. "
    "[default: agentgen]",
)
@click.option(
    "--kv-bytes-per-token",
    type=ByteSize(MAX_TOKENS, plain_allowed=True),
    metavar="BYTES",
    help="KV bytes per token, for a --capacity in bytes.",
)
@click.option("--kv-dtype", type=click.Choice(KV_DTYPES), help="Data type of the KV cache. [default: bf16]")
@click.option(
    "--capacity",
    type=CapacityType(),
    metavar="SIZE",
    help="KV memory, such as 300GB, 5000blocks or 2Mtokens. [default: no limit]",
)
@click.option(
    "--block-size", type=Whole(1, MAX_TOKENS), default=16, metavar="TOKENS", help="Tokens per KV block. [default: 16]"
)
@click.option(
    "--prefill-rate",
    type=Rate(zero_allowed=True),
    default=PREFILL_TOKENS_PER_SECOND,
    metavar="TOKENS",
    help=f"Prefill rate in tokens per second; 0 for no delay. [default: {PREFILL_TOKENS_PER_SECOND:.0f}]",
)
@click.option(
    "--decode-rate",
    type=Rate(zero_allowed=True),
    default=DECODE_TOKENS_PER_SECOND,
    metavar="TOKENS",
    help=f"Decode rate per request in tokens per second; 0 for no delay. [default: {DECODE_TOKENS_PER_SECOND:.0f}]",
)
@click.option(
    "--max-model-len",
    type=Whole(1, MAX_TOKENS),
    metavar="TOKENS",
    help="Largest number of tokens in prompt and output together.",
)
@click.option(
    "--max-body",
    "max_body_bytes",
    type=ByteSize(),
    default=DEFAULT_BODY,
    metavar="SIZE",
    help=f"Largest body of a request; larger ones get 413. [default: {DEFAULT_BODY}]",
)
@max_connections_option
@click.option(
    "--events",
    type=click.Choice(["token", "coalesced"]),
    default="token",
    help="Write every event separately, or all due events at once. [default: token]",
)
@click.option(
    "--tool-calls",
    type=Whole(0, MAX_TOOL_CALLS),
    default=0,
    metavar="N",
    help="Number of tool calls in the response to a request with tools. [default: 0]",
)
@click.option(
    "--fault",
    "faults",
    type=FaultType(),
    multiple=True,
    metavar="'P% FAULT'",
    help="Inject a fault into a share of the requests, such as '5% status=503'; can be repeated.",
)
@click.option(
    "--seed",
    type=Whole(0, MAX_SEED),
    default=0,
    metavar="N",
    help="Seed that selects the requests with faults. [default: 0]",
)
@click.option("--debug", is_flag=True, help="Keep requests and show them at /debug/requests.")
@worker_threads_option
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
    """Serve an OpenAI-compatible API that models time and prefix cache.

    The server computes nothing: a word is a token, blocks of earlier prompts
    are cached, and responses take the time that the rates give. It runs until
    Ctrl-C. A request can ask for faults in its header x-agentgen-fault, such
    as status=503, drop-mid-event=2 or delay-headers=50.
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
    allow_open_files(rest["max_connections"])
    try:
        server = _native.Server(json.dumps(options))
    except ValueError as error:
        raise click.UsageError(f"{error}.") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            error.strerror = f"{error.strerror} (--port 0 takes a free port)"
        raise
    memory = "unlimited blocks" if blocks is None else counted(blocks, "block")
    with stopped_by_signals() as stopped:
        try:
            click.echo(server.url)
            click.echo(
                f"model {printable(options['model'])}: {memory} of {counted(block_size, 'token')} each, "
                f"prefill {_rate(prefill_rate)}{_shared(prefill_rate)}, decode {_rate(decode_rate)}"
            )
            while not stopped.wait(POLL_S):
                pass
            stats = json.loads(server.stats())
            ended = sum(stats[outcome] for outcome in ("answered", "refused", "disconnected", "fault"))
            click.echo(f"stopped; {counted(ended, 'request')} served", err=True)
        finally:
            server.stop()


def _blocks(
    capacity: Capacity | None, block_size: int, model: str | None, kv_bytes_per_token: int | None, kv_dtype: str | None
) -> int | None:
    """Capacity in blocks; None for no limit."""
    if capacity is None or capacity.unit != "bytes":
        for option, given in (("--kv-bytes-per-token", kv_bytes_per_token), ("--kv-dtype", kv_dtype)):
            if given is not None:
                found = "none" if capacity is None else capacity
                raise click.UsageError(f"{option} needs a --capacity in bytes, such as 300GB; found {found}.")
        if capacity is None or capacity.unit == "blocks":
            return capacity and capacity.size
        if capacity.size < block_size:
            raise click.UsageError(f"--capacity: found {capacity}, expected at least {block_size}, one block.")
        return capacity.size // block_size
    check_dtype(kv_dtype, has_model=kv_bytes_per_token is None)
    if kv_bytes_per_token is None:
        if model is None:
            raise click.UsageError("--capacity in bytes needs --model or --kv-bytes-per-token.")
        kv_bytes_per_token = int(find_model(model, kv_dtype or KV_DTYPES[0])["kv_bytes_per_token"])
    try:
        return _native.capacity_blocks(capacity.size, kv_bytes_per_token, block_size)
    except ValueError as error:
        raise click.UsageError(f"--{error}.") from None


def _shared(rate: float) -> str:
    """What happens when clients send more than the server takes."""
    return " for all requests together (beyond that they wait)" if rate else ""


def _rate(rate: float) -> str:
    return f"{rate:,.12g} tokens/s" if rate else "at once"
