"""Options and types that several commands share."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agentgen._native import MAX_SESSIONS, MAX_TOKENS
from agentgen.cli._complete import one_of
from agentgen.settings import FORMATS, LAYOUTS, MAX_THREADS
from agentgen.units import MAX_CHARACTERS, parse_count

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class Whole(click.ParamType[int]):
    """A whole number in a range; the range is in the error message, not in the help."""

    name = "whole number"

    def __init__(self, low: int, high: int) -> None:
        self.low = low
        self.high = high

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Parse digits, which `_` may group, or a number with a prefix: `10k`."""
        count = parse_count(str(value))
        if count is None or not self.low <= count <= self.high:
            self.fail(f"found {value}, expected a whole number from {self.low} to {self.high}.", param, ctx)
        return count


class ShardType(click.ParamType[tuple[int, int]]):
    """`i/n`: shard i of n, from 0."""

    name = "shard"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Parse `i/n` to (i, n)."""
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"([0-9]+)/([0-9]+)", value) if len(value) <= MAX_CHARACTERS else None
        if not match or not int(match[1]) < int(match[2]) <= MAX_SESSIONS:
            self.fail(f"found {value!r}, expected i/n with 0 <= i < n <= {MAX_SESSIONS}.", param, ctx)
        return int(match[1]), int(match[2])


class FormatsType(click.ParamType[tuple[str, ...]]):
    """Names of file formats, separated by commas."""

    name = "formats"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        """The formats."""
        return one_of(FORMATS, incomplete)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Parse `a,b` to (a, b), without repeats."""
        if isinstance(value, tuple):
            return value
        names = tuple(dict.fromkeys(part.strip() for part in value.split(",")))
        for name in names:
            if name not in FORMATS:
                self.fail(f"found {name!r}, expected {' or '.join(FORMATS)}, or both with a comma.", param, ctx)
        return names


run_output_option = click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    metavar="DIR",
    help="Directory that gets the run directory. [default: .]",
)
source_format_option = click.option(
    "--format",
    "format_name",
    default="auto",
    show_default=True,
    metavar="NAME",
    help="Format of all files; auto recognizes each file by its content.",
)
threads_option = click.option(
    "--threads",
    type=Whole(1, MAX_THREADS),
    metavar="N",
    help="Number of threads; it changes no result. [default: one per core]",
)
trace_block_size_option = click.option(
    "--trace-block-size",
    type=Whole(1, MAX_TOKENS),
    metavar="TOKENS",
    help="Tokens per hash id, if the trace does not state it.",
)
trace_layout_option = click.option(
    "--trace-layout", type=click.Choice(LAYOUTS), help="Layout of a trace that does not state it."
)


def json_object(text: str) -> dict[str, Any] | None:
    """The JSON object that an option states; None if it is something else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def check_name(name: str | None) -> None:
    """Refuse a name of a run directory that is a path or looks like an option."""
    if name is not None and (name in {"", ".", ".."} or Path(name).name != name):
        raise click.BadParameter(
            f"found {name!r}, expected a name without a path (--output sets the directory).", param_hint="--name"
        )
    if name is not None and name.startswith("-"):
        raise click.BadParameter(f"found {name!r}, expected a name that does not start with -.", param_hint="--name")
