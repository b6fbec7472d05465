"""Whether a trace keeps the rules of `agentgen validate`, found out beside what else is asked of it."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from agentgen import _native
from agentgen._api import validate
from agentgen._text import printable
from agentgen.analysis.tables import counted
from agentgen.errors import AgentgenError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agentgen._report import Report


class _GivenUpError(Exception):
    """Nobody waits for the answer any more."""


@contextmanager
def soundness(traces: Sequence[str], *, layout: str | None, block_size: int | None) -> Iterator[None]:
    """Warn, after what is done meanwhile, of traces with errors: figures follow their ids as they stand.

    One more thread reads them, in as little memory as `agentgen validate`. What agentgen has made itself is not read
    again; what cannot be read is refused by those who need it.
    """
    given_up = threading.Event()
    found: list[Report] = []

    def progress(_done: int, _in_all: int) -> None:
        if given_up.is_set():
            raise _GivenUpError

    def check() -> None:
        for trace in traces:
            try:
                if json.loads(_native.inspect([trace], layout=layout, block_size=block_size))["origin"] is None:
                    found.append(
                        validate(
                            trace, layout=layout, block_size=block_size, max_errors=1, threads=1, progress=progress
                        )
                    )
            except (AgentgenError, OSError, _GivenUpError):
                continue

    thread = threading.Thread(target=check)
    thread.start()
    try:
        yield
        thread.join()
    except BaseException:
        given_up.set()
        raise
    finally:
        thread.join()
    for report in found:
        if not report.ok:
            first = next(finding for finding in report.findings if finding.severity == "error")
            place = f" in line {first.line}" if first.line else ""
            errors = f"{counted(report.errors, 'error')}, such as {first.rule}{place}"
            follow = "figures follow its rows as they stand (agentgen validate tells more)"
            click.echo(f"agentgen: warning: {printable(first.file)}: {errors}; {follow}", err=True)
