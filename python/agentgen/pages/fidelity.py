"""`fidelity.html`: a trace laid over its source; every figure comes from `agentgen.fidelity`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentgen.pages.render import Page, render, write_file

if TYPE_CHECKING:
    import os

NAME = "fidelity.html"
TITLE = "Fidelity"


def page(found: dict[str, Any], siblings: tuple[tuple[str, str], ...] = ()) -> Page:
    """The page of a comparison of two traces."""
    from agentgen.analysis.fidelity_text import NAMES  # noqa: PLC0415  rich is slow to import

    quantities = [{**quantity, "name": NAMES[quantity["quantity"]]} for quantity in found["quantities"]]
    return Page(
        name=NAME,
        title="Generated and recorded sessions",
        lead="How far a generated trace is from the sessions that it stands for.",
        modules=("report/plots.js", "fidelity/main.js"),
        data={**found, "quantities": quantities},
        siblings=siblings,
    )


def write(found: dict[str, Any], directory: str | os.PathLike[str]) -> Path:
    """Write the page into a directory, made if missing.

    Raises:
        AgentgenError: The chart library is missing.
        OSError: The file cannot be written.
    """
    Path(directory).mkdir(parents=True, exist_ok=True)
    return write_file(Path(directory) / NAME, render(page(found)))
