"""Options that `analyze`, `plan`, `report` and `simulate` share: the cache, the timeline, the trace, the model's KV."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from agentgen._native import CONCURRENCY, DECODE_TOKENS_PER_SECOND, MAX_TOKENS, PREFILL_TOKENS_PER_SECOND
from agentgen.analysis.figures import MAX_CONCURRENCY
from agentgen.analysis.model import KV_DTYPES
from agentgen.cli._complete import models
from agentgen.cli._options import Whole, trace_block_size_option, trace_layout_option
from agentgen.cli._quantities import ByteSize, Rate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_ASSUMPTIONS = (
    click.option(
        "--block-size",
        type=Whole(1, MAX_TOKENS),
        metavar="TOKENS",
        help="Block size of the cache (vLLM: 16). [default: the trace's]",
    ),
    click.option(
        "--no-cached-outputs",
        "cached_outputs",
        is_flag=True,
        default=True,
        flag_value=False,
        help="Do not cache the KV of outputs.",
    ),
    click.option(
        "--prefill-rate",
        "prefill_tokens_per_second",
        type=Rate(),
        default=PREFILL_TOKENS_PER_SECOND,
        metavar="TOKENS",
        help=f"Prefill rate, uncached prompt tokens per second. [default: {PREFILL_TOKENS_PER_SECOND:.0f}]",
    ),
    click.option(
        "--decode-rate",
        "decode_tokens_per_second",
        type=Rate(),
        default=DECODE_TOKENS_PER_SECOND,
        metavar="TOKENS",
        help=f"Decode rate of each request, tokens per second. [default: {DECODE_TOKENS_PER_SECOND:.0f}]",
    ),
    click.option(
        "--concurrency",
        type=Whole(1, MAX_CONCURRENCY),
        metavar="N",
        help="Open sessions, including those that wait for a person (so not max_num_seqs); only for a trace without "
        f"arrivals. [default: {CONCURRENCY}]",
    ),
    trace_layout_option,
    trace_block_size_option,
)

_MODEL = (
    click.option(
        "--model",
        metavar="NAME|PATH",
        shell_complete=models,
        help="Model: a name of agentgen models, or a config.json or its directory.",
    ),
    click.option(
        "--kv-bytes-per-token",
        type=ByteSize(MAX_TOKENS, plain_allowed=True),
        metavar="BYTES",
        help="KV bytes per token, instead of --model.",
    ),
    click.option(
        "--kv-dtype", type=click.Choice(KV_DTYPES), help=f"Data type of the model's KV. [default: {KV_DTYPES[0]}]"
    ),
)


def assumption_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of the cache, the reference timeline and the trace."""
    return _with(_ASSUMPTIONS, command)


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a model's KV size."""
    return _with(_MODEL, command)


def check_model(
    model: str | None, kv_bytes_per_token: int | None, kv_dtype: str | None, *, needed: bool = True
) -> None:
    """Raise a usage error unless the KV size is given in one way (or not at all, unless `needed`)."""
    given = (model is not None) + (kv_bytes_per_token is not None)
    if given > 1 or (needed and not given):
        found = "both" if given else "neither"
        raise click.UsageError(f"--model and --kv-bytes-per-token: found {found}, expected one of them.")
    check_dtype(kv_dtype, has_model=model is not None)


def check_dtype(kv_dtype: str | None, *, has_model: bool) -> None:
    """Raise a usage error for --kv-dtype without a model that it applies to."""
    if kv_dtype and not has_model:
        raise click.UsageError("--kv-dtype needs --model (--kv-bytes-per-token already depends on the data type).")


def _with(options: Sequence[Callable[..., Any]], command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(options):
        command = option(command)
    return command
