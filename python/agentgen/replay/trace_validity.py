"""Checks before a replay that the trace's rows can be sent as prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentgen._api import validate
from agentgen.errors import ReplayError
from agentgen.text.format import counted

if TYPE_CHECKING:
    from pathlib import Path

# Breaking these rules would change the prompts: the text of a hash id depends on the tokens it covers, so blocks with
# the same id would not share text, and prompts of the other layout would start with the wrong blocks.
REFUSED = {"id-size", "layout"}
MAX_FINDINGS = 1000


def trace_warnings(trace: Path, trace_block_size: int | None) -> list[str]:
    """Warnings about an invalid trace that can still be replayed, one line each.

    Raises:
        ReplayError: The prompts would not be those of the trace.
    """
    report = validate(trace, trace_block_size=trace_block_size, max_errors=MAX_FINDINGS)
    errors = [finding for finding in report.findings if finding.severity == "error"]
    listed = f"agentgen validate lists {counted(report.errors, 'error')}"
    for finding in errors:
        if finding.rule in REFUSED:
            problem = f"found {finding.found}; expected {finding.expected} ({finding.rule}; {listed})"
            raise ReplayError(f"{finding.place}: {problem}")
    if report.errors > len(errors):
        found = counted(report.errors, "error")
        raise ReplayError(f"{trace}: found {found}, expected {MAX_FINDINGS:,} or fewer ({listed})")
    return [f"the trace is invalid ({listed}); the first error is {errors[0]}"] if errors else []
