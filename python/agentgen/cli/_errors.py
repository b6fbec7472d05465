"""The one place where an exception becomes a line on standard error and an exit code."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from agentgen._suggest import did_you_mean
from agentgen._text import printable
from agentgen.errors import AgentgenError, ConfigError, ModelError, ReplayError, TraceError

if TYPE_CHECKING:
    from collections.abc import Iterator

FAILED = 1
USAGE = 2
INTERRUPTED = 130


class UnreadableError(AgentgenError):
    """An input that the operating system refuses to read."""


@contextmanager
def reading() -> Iterator[None]:
    """What the operating system refuses in here is an input: not a failure of the program, but of its use."""
    try:
        yield
    except OSError as error:
        raise UnreadableError(_reason(error)) from error


def exit_code(error: BaseException) -> int:
    """Say what went wrong; returns the exit code. Raises again what must be a bug."""
    match error:
        case click.exceptions.Exit():
            return error.exit_code
        case click.Abort() | KeyboardInterrupt():
            # click puts its Abort in place of a KeyboardInterrupt, which may say what is there to go on with.
            _say("; ".join(("interrupted", *map(str, (error.__cause__ or error).args))))
            return INTERRUPTED
        case click.exceptions.NoArgsIsHelpError():
            click.echo(error.format_message(), err=True)
            return USAGE
        case click.UsageError():
            _say(_misused(error))
            return USAGE
        case TraceError() | ModelError() | ReplayError() | UnreadableError():
            _say(str(error))
            return USAGE
        case AgentgenError():
            _say(*(str(error).split("\n") if isinstance(error, ConfigError) else [str(error)]))
            return FAILED
        case OSError():
            _say_failed(error)
            return FAILED
    raise error


def _misused(error: click.UsageError) -> str:
    if not error.ctx:
        return error.format_message()
    message = error.format_message()
    if isinstance(error, click.NoSuchOption):  # click suggests several
        options = [name for option in error.ctx.command.get_params(error.ctx) for name in option.opts]
        message = f"{error.message.removesuffix('.')}{did_you_mean(error.option_name, options)}."
    return f"{message} (see {error.ctx.command_path} --help)"


def _reason(error: OSError) -> str:
    reason = error.strerror or str(error)
    if not error.filename:
        return reason
    left = "; nothing that looks whole is left" if error.errno == errno.ENOSPC else ""
    return f"{error.filename}: {reason}{left}"


def _say_failed(error: OSError) -> None:
    if error.filename or not error.strerror:
        _say(_reason(error))
        return
    # Only standard output has no name.
    if not isinstance(error, BrokenPipeError):  # whoever read a pipe has seen enough
        _say(f"standard output: {error.strerror}")
    # Python would complain once more when it flushes at its end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(*lines: str) -> None:
    for line in lines:
        click.echo(f"agentgen: error: {printable(line)}", err=True)
