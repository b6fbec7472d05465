"""`compare.html`: replays side by side; every figure comes from `agentgen compare --json`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentgen.pages.render import Page, render, write_file
from agentgen.pages.survey import LONGEST, clipped

if TYPE_CHECKING:
    import os

NAME = "compare.html"
MAX_MESSAGE = 500  # characters


def page(comparison: dict[str, Any]) -> Page:
    """The page of a comparison."""
    groups = [
        {
            **group,
            "label": clipped(group["label"], LONGEST),
            "directories": [clipped(directory, LONGEST) for directory in group["directories"]],
        }
        for group in comparison["groups"]
    ]
    warnings = [{**warning, "message": clipped(warning["message"], MAX_MESSAGE)} for warning in comparison["warnings"]]
    return Page(
        name=NAME,
        title="Comparison of replays",
        lead="What differs between replays, and whether it is more than noise.",
        modules=("compare/main.js",),
        data={**comparison, "groups": groups, "warnings": warnings},
    )


def write(comparison: dict[str, Any], directory: str | os.PathLike[str]) -> Path:
    """Write the page into a directory, made if missing.

    Raises:
        AgentgenError: The chart library is missing.
        OSError: The file cannot be written.
    """
    Path(directory).mkdir(parents=True, exist_ok=True)
    return write_file(Path(directory) / NAME, render(page(comparison)))
