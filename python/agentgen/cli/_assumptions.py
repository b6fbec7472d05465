"""What `analyze`, `plan` and `simulate` assume of the cache, of time, and of traces; and the types of such options."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import click

from agentgen.analysis.figures import DECODE_TOKENS_PER_SECOND, LEAST_RATE, MAX_BYTES, PREFILL_TOKENS_PER_SECOND
from agentgen.analysis.model import KV_DTYPES
from agentgen.cli._options import LONGEST, Whole
from agentgen.settings import LAYOUTS, MAX_TOKENS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

UNITS = {
    "b": 1,
    **{f"{letter}b": 1000**power for power, letter in enumerate("kmgtp", 1)},
    **{f"{letter}ib": 1024**power for power, letter in enumerate("kmgtp", 1)},
}


class Rate(click.ParamType[float]):
    """Tokens a second."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """From a decimal number that is not too small."""
        rate = _decimal(str(value))
        if not LEAST_RATE <= rate < math.inf:
            self.fail(f"found {value}, expected a number from {LEAST_RATE} on.", param, ctx)
        return rate


class Share(click.ParamType[float]):
    """A part of the whole: `0.9` or `90%`."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """From a decimal number above 0, to 1 or 100 %."""
        text, whole = str(value), 1
        if text.endswith("%"):
            text, whole = text.removesuffix("%").rstrip(), 100
        share = _decimal(text) / whole
        if not 0 < share <= 1:
            self.fail(f"found {value}, expected a number above 0, to 1 (or 100%).", param, ctx)
        return share


class ByteSize(click.ParamType[int]):
    """Bytes, with a decimal (`80GB`) or binary (`64GiB`) unit."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """From a number and a unit to whole bytes."""
        text = str(value)
        match = re.fullmatch(r"([0-9]+)(?:\.([0-9]+))? ?([A-Za-z]+)", text) if len(text) <= LONGEST else None
        unit = UNITS.get(match[3].lower(), 0) if match else 0
        count = 0
        if match and unit:
            part = match[2] or ""
            count = int(match[1] + part) * unit // 10 ** len(part)
        if not 1 <= count <= MAX_BYTES:
            self.fail(f"found {value!r}, expected a size such as 80GB or 64GiB.", param, ctx)
        return count


class ByteSizes(ByteSize):
    """Sizes with commas between them."""

    name = "sizes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:  # type: ignore[override]
        """From `100GB,200GB` to whole bytes, in that order."""
        one = super().convert
        return value if isinstance(value, list) else [one(part.strip(), param, ctx) for part in str(value).split(",")]


class Seconds(click.ParamType[float]):
    """A duration in seconds, as milliseconds."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """From a decimal number of seconds to milliseconds."""
        seconds = _decimal(str(value))
        if not 0 <= seconds < math.inf:
            self.fail(f"found {value}, expected a number of seconds.", param, ctx)
        return 1_000 * seconds


def _decimal(text: str) -> float:
    """The number that plain digits write; NaN if they are none."""
    plain = len(text) <= LONGEST and re.fullmatch(r"([0-9]+(\.[0-9]+)?|\.[0-9]+)([eE][+-]?[0-9]+)?", text)
    return float(text) if plain else math.nan


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


def assumption_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What `analyze`, `plan` and `simulate` assume: of the cache, of time, and of a trace that does not say."""
    return _with(_ASSUMPTIONS, command)


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What `plan` and `simulate` know of a token's KV."""
    return _with(_MODEL, command)


def _with(options: Sequence[Callable[..., Any]], command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(options):
        command = option(command)
    return command
