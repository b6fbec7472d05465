"""A validity check that runs beside an analysis."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from agentgen import _native
from agentgen._api import validate
from agentgen.errors import AgentgenError
from agentgen.text.format import counted, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agentgen._validation import ValidationReport


class _CancelledError(Exception):
    """The analysis has failed, so the result of the check is not needed."""


@contextmanager
def warn_if_invalid(traces: Sequence[str], *, trace_layout: str | None, trace_block_size: int | None) -> Iterator[None]:
    """Validate traces on one more thread during the block, and warn of errors after it.

    Runs of agentgen are not checked: their rows are valid by construction. Traces that cannot be read are left to the
    analysis, which reports them.
    """
    cancelled = threading.Event()
    reports: list[ValidationReport] = []

    def progress(_done: int, _total: int) -> None:
        if cancelled.is_set():
            raise _CancelledError

    def check() -> None:
        for trace in traces:
            try:
                about = json.loads(
                    _native.inspect([trace], trace_layout=trace_layout, trace_block_size=trace_block_size)
                )
                if about["origin"] is None:
                    report = validate(
                        trace,
                        trace_layout=trace_layout,
                        trace_block_size=trace_block_size,
                        max_errors=1,
                        threads=1,
                        progress=progress,
                    )
                    reports.append(report)
            except (AgentgenError, OSError, _CancelledError):
                continue

    thread = threading.Thread(target=check)
    thread.start()
    try:
        yield
        thread.join()
    except BaseException:
        cancelled.set()
        raise
    finally:
        thread.join()
    for report in reports:
        if not report.ok:
            first = next(finding for finding in report.findings if finding.severity == "error")
            line = f" in line {first.line}" if first.line else ""
            errors = f"{counted(report.errors, 'error')}, first: {first.rule}{line}"
            click.echo(
                f"agentgen: warning: {printable(first.file)}: invalid trace ({errors}); figures may be wrong "
                "(see agentgen validate)",
                err=True,
            )
