"""`report.html`: what was generated, how near it came to its targets, and what a cache finds of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentgen.pages.render import Page

if TYPE_CHECKING:
    from agentgen.pages.survey import Survey

    Stated = dict[str, Any]

NAME = "report.html"
TITLE = "Report"
MODULES = ("report/plots.js", "report/made.js", "report/lengths.js", "report/reuse.js", "report/main.js")
# What the page shows of a manifest.
MANIFEST_KEYS = (
    "program",
    "created",
    "config",
    "overrides",
    "seed",
    "sessions",
    "shard",
    "files",
    "parts",
)
PARTS = 50  # shards that are listed


def page(survey: Survey, siblings: tuple[tuple[str, str], ...], *, sample: int) -> Page:
    """The page; `sample` is how many sessions of a trace are looked at."""
    names = " and ".join(survey.names)
    return Page(
        name=NAME,
        title=f"{TITLE}: {names}",
        lead="What the trace is made of, how near it came to its targets, and what a prefix cache finds of it.",
        modules=MODULES,
        data={
            "traces": survey.analysis["traces"],
            "distances": survey.analysis["distances"],
            "names": survey.names,
            "cut": survey.cut,
            "sample": sample,
            "runs": [run and _shown(run) for run in survey.runs],
        },
        siblings=siblings,
    )


def _shown(run: Stated) -> Stated:
    manifest = {key: run["manifest"].get(key) for key in MANIFEST_KEYS}
    parts = manifest["parts"] or []
    manifest |= {"parts": parts[:PARTS], "part_count": len(parts)}
    if imported := run["manifest"].get("import"):
        # The quality of an import has no targets: what it says is in its manifest, too.
        formats = list(dict.fromkeys(source["format"] for source in imported["sources"]))
        about = {"sources": len(imported["sources"]), "formats": formats, "summary": imported["summary"]}
        return {"manifest": {**manifest, "import": about}, "quality": None}
    return {"manifest": manifest, "quality": run["quality"]}
