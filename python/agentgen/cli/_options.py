"""Options and types that several commands share."""

from __future__ import annotations

import re
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from agentgen.analysis.tables import counted
from agentgen.settings import FORMATS, MAX_SESSIONS, MAX_THREADS, MAX_TOKENS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from click._termui_impl import ProgressBar

LONGEST = 40  # characters of a number
LONG = 0.5  # seconds: what is done sooner needs no progress bar


class Whole(click.ParamType[int]):
    """A whole number of a range, which the help leaves out: the message says it to whoever needs it."""

    name = "whole number"

    def __init__(self, low: int, high: int) -> None:
        self.low = low
        self.high = high

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """From digits, which `_` may group."""
        text = str(value)
        if (
            len(text) > LONGEST
            or not re.fullmatch(r"-?[0-9]+(_[0-9]+)*", text)
            or not self.low <= int(value) <= self.high
        ):
            self.fail(f"found {value}, expected a whole number from {self.low} to {self.high}.", param, ctx)
        return int(value)


class ShardType(click.ParamType[tuple[int, int]]):
    """`i/n`: part i of n, from 0."""

    name = "shard"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """From `i/n` to (i, n)."""
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"([0-9]+)/([0-9]+)", value) if len(value) <= LONGEST else None
        if not match or not int(match[1]) < int(match[2]) <= MAX_SESSIONS:
            self.fail(f"found {value!r}, expected i/n with 0 <= i < n <= {MAX_SESSIONS}.", param, ctx)
        return int(match[1]), int(match[2])


class FormatsType(click.ParamType[tuple[str, ...]]):
    """Names of formats, separated by commas."""

    name = "formats"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """From `a,b` to (a, b), each once."""
        if isinstance(value, tuple):
            return value
        names = tuple(dict.fromkeys(part.strip() for part in value.split(",")))
        for name in names:
            if name not in FORMATS:
                self.fail(f"found {name!r}, expected {' or '.join(FORMATS)}, or both with a comma.", param, ctx)
        return names


threads_option = click.option(
    "--threads",
    type=Whole(1, MAX_THREADS),
    metavar="N",
    help="Worker threads; the result does not depend on it. [default: one a core]",
)
block_size_option = click.option(
    "--block-size", type=Whole(1, MAX_TOKENS), metavar="TOKENS", help="Block size of a trace that does not say."
)


@contextmanager
def progress_bar(
    label: str, *, counted: bool = False, shown: bool = True
) -> Iterator[Callable[[int, int], None] | None]:
    """A callback (done, in all) that draws a bar on standard error, if that is a terminal and the work is long.

    What is `counted` has its numbers shown.
    """
    if not (shown and sys.stderr.isatty()):
        yield None
        return
    started = time.monotonic()
    bar: ProgressBar[int] | None = None

    def progress(done: int, in_all: int) -> None:
        nonlocal bar
        if bar is None:
            if time.monotonic() - started < LONG:
                return
            bar = click.progressbar(length=in_all, label=label, file=sys.stderr, show_pos=counted)
            bar.render_progress()
        bar.update(done - bar.pos)

    try:
        yield progress
    finally:
        if bar is not None:
            bar.render_finish()


@contextmanager
def progress_count(label: str, *, shown: bool = True) -> Iterator[Callable[[int, int], None] | None]:
    """As `progress_bar`, for sessions of which nobody knows how many there are: their number, on one line."""
    if not (shown and sys.stderr.isatty()):
        yield None
        return
    started = time.monotonic()
    told = False

    def progress(done: int, _in_all: int) -> None:
        nonlocal told
        if told or time.monotonic() - started >= LONG:
            click.echo(f"\r{label}: {counted(done, 'session')}", nl=False, err=True)
            told = True

    try:
        yield progress
    finally:
        if told:
            click.echo(err=True)
