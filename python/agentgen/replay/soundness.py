"""Whether a trace is one that can be played as it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentgen._api import validate
from agentgen.analysis.tables import counted
from agentgen.errors import ReplayError

if TYPE_CHECKING:
    from pathlib import Path

# Of a trace that breaks these, something else would be sent than it says: an id's text depends on its length, so blocks
# that share an id would not share their text, and prompts of the other layout have the wrong beginnings.
REFUSED = {"id-size", "layout"}
MOST = 1000  # findings that are looked through


def doubts(trace: Path, block_size: int | None) -> list[str]:
    """What to know of a trace before it is played, in a line each.

    Raises:
        ReplayError: The prompts would not be those of the trace.
    """
    report = validate(trace, block_size=block_size, max_errors=MOST)
    errors = [finding for finding in report.findings if finding.severity == "error"]
    listed = f"agentgen validate lists {counted(report.errors, 'error')}"
    for finding in errors:
        if finding.rule in REFUSED:
            told = f"found {finding.found}; expected {finding.expected} ({finding.rule}; {listed})"
            raise ReplayError(f"{finding.place}: {told}")
    if report.errors > len(errors):
        raise ReplayError(f"{trace}: found {counted(report.errors, 'error')}, expected {MOST:,} at most ({listed})")
    return [f"the trace is not sound, {listed}; the first is {errors[0]}"] if errors else []
