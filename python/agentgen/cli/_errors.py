"""Exceptions as lines on standard error and exit codes."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from agentgen._suggest import did_you_mean
from agentgen.errors import (
    AgentgenError,
    ConfigError,
    DistillError,
    ModelError,
    ReplayError,
    TraceError,
    UsageError,
)
from agentgen.text.format import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

FAILED = 1
USAGE = 2
INTERRUPTED = 130

# Parameters that are arguments of commands, not options.
ARGUMENTS = {"sources": "SOURCE"}


class UnreadableError(AgentgenError):
    """An input that the operating system cannot read."""


@contextmanager
def reading() -> Iterator[None]:
    """Report operating-system errors inside the block as unreadable input (exit code 2), not as failures."""
    try:
        yield
    except OSError as error:
        raise UnreadableError(_reason(error)) from error


def exit_code(error: BaseException) -> int:
    """Print the error and return its exit code; exceptions that are bugs are raised again."""
    match error:
        case click.exceptions.Exit():
            return error.exit_code
        case click.Abort() | KeyboardInterrupt():
            # click replaces KeyboardInterrupt by Abort; the original may say how to resume.
            _print("; ".join(("interrupted", *map(str, (error.__cause__ or error).args))))
            return INTERRUPTED
        case click.exceptions.NoArgsIsHelpError():
            click.echo(error.format_message(), err=True)
            return USAGE
        case click.UsageError():
            _print(_usage(error))
            return USAGE
        case ModelError():
            _print(f"{error.reason} (or give --kv-bytes-per-token)")
            return USAGE
        case TraceError() | ReplayError() | DistillError() | UnreadableError():
            _print(error.text(_option(error)) if isinstance(error, UsageError) else str(error))
            return USAGE
        case AgentgenError():
            _print(*(str(error).split("\n") if isinstance(error, ConfigError) else [str(error)]))
            return FAILED
        case OSError():
            _print_failed(error)
            return FAILED
    raise error


def _usage(error: click.UsageError) -> str:
    if not error.ctx:
        return error.format_message()
    message = error.format_message()
    if isinstance(error, click.NoSuchOption):  # click suggests several
        options = [name for option in error.ctx.command.get_params(error.ctx) for name in option.opts]
        message = f"{error.message.removesuffix('.')}{did_you_mean(error.option_name, options)}."
    return f"{message} (see {error.ctx.command_path} --help)"


def _option(error: UsageError) -> str:
    field = error.field or ""
    return ARGUMENTS.get(field) or "--" + field.replace("_", "-")


def _reason(error: OSError) -> str:
    reason = error.strerror or str(error)
    if not error.filename:
        return reason
    left = "; no incomplete file is left behind" if error.errno == errno.ENOSPC else ""
    return f"{error.filename}: {reason}{left}"


def _print_failed(error: OSError) -> None:
    if error.filename or not error.strerror:
        _print(_reason(error))
        return
    # Only errors of standard output have no file name.
    if not isinstance(error, BrokenPipeError):  # the reader closed the pipe, which is no error
        _print(f"standard output: {error.strerror}")
    # Python would report the error again when it flushes at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print(*lines: str) -> None:
    for line in lines:
        click.echo(f"agentgen: error: {printable(line)}", err=True)
