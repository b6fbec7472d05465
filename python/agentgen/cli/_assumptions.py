"""What `analyze`, `plan`, `report` and `simulate` assume of the cache, of time, of a token's KV, and of traces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from agentgen.analysis.figures import (
    CONCURRENCY,
    DECODE_TOKENS_PER_SECOND,
    MAX_CONCURRENCY,
    PREFILL_TOKENS_PER_SECOND,
)
from agentgen.analysis.model import KV_DTYPES
from agentgen.cli._options import Whole
from agentgen.cli._quantities import Rate
from agentgen.settings import LAYOUTS, MAX_TOKENS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_ASSUMPTIONS = (
    click.option(
        "--block-size",
        type=Whole(1, MAX_TOKENS),
        metavar="TOKENS",
        help="Tokens a block of the cache (vLLM: 16); the trace's own by default.",
    ),
    click.option(
        "--no-cached-outputs",
        "cached_outputs",
        is_flag=True,
        default=True,
        flag_value=False,
        help="The KV of outputs is not kept.",
    ),
    click.option(
        "--prefill-rate",
        "prefill_tokens_per_second",
        type=Rate(),
        default=PREFILL_TOKENS_PER_SECOND,
        metavar="TOKENS",
        help=f"New tokens of a prompt computed in a second. [default: {PREFILL_TOKENS_PER_SECOND:.0f}]",
    ),
    click.option(
        "--decode-rate",
        "decode_tokens_per_second",
        type=Rate(),
        default=DECODE_TOKENS_PER_SECOND,
        metavar="TOKENS",
        help=f"Tokens of an output made in a second. [default: {DECODE_TOKENS_PER_SECOND:.0f}]",
    ),
    click.option("--layout", type=click.Choice(LAYOUTS), help="Layout of a trace that does not say."),
    click.option(
        "--trace-block-size",
        type=Whole(1, MAX_TOKENS),
        metavar="TOKENS",
        help="Tokens a hash id, of a trace that does not say.",
    ),
)


_MODEL = (
    click.option(
        "--model", metavar="NAME|PATH", help="A name of agentgen models, or a model's config.json or its directory."
    ),
    click.option(
        "--kv-bytes-per-token", type=Whole(1, MAX_TOKENS), metavar="BYTES", help="KV of a token, instead of --model."
    ),
    click.option(
        "--kv-dtype", type=click.Choice(KV_DTYPES), help="Numbers that the model's KV is kept in. [default: bf16]"
    ),
)


concurrency_option = click.option(
    "--concurrency",
    type=Whole(1, MAX_CONCURRENCY),
    metavar="N",
    help="Sessions open at once, those that wait for a person included, of a trace without arrivals. "
    f"[default: {CONCURRENCY}]",
)


def assumption_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What `analyze`, `plan` and `simulate` assume: of the cache, of time, and of a trace that does not say."""
    return _with(_ASSUMPTIONS, command)


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What `plan` and `simulate` know of a token's KV."""
    return _with(_MODEL, command)


def check_model(
    model: str | None, kv_bytes_per_token: int | None, kv_dtype: str | None, *, needed: bool = True
) -> None:
    """Refuse what does not tell a token's KV in one way; unless it is `needed`, it may be left out."""
    stated = (model is not None) + (kv_bytes_per_token is not None)
    if stated > 1 or (needed and not stated):
        found = "both" if stated else "neither"
        raise click.UsageError(f"--model and --kv-bytes-per-token: found {found}, expected one of them.")
    check_dtype(kv_dtype, of_a_model=model is not None)


def check_dtype(kv_dtype: str | None, *, of_a_model: bool) -> None:
    """Refuse numbers that nothing is kept in."""
    if kv_dtype and not of_a_model:
        raise click.UsageError("--kv-dtype is of a --model; --kv-bytes-per-token is what it comes to.")


def _with(options: Sequence[Callable[..., Any]], command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(options):
        command = option(command)
    return command
