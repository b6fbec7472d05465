"""`cache_explorer.html`: sessions request by request, and what of each prompt was cached at that moment."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from agentgen.pages.render import Page, room

if TYPE_CHECKING:
    from agentgen.pages.survey import Survey

NAME = "cache_explorer.html"
TITLE = "Cache explorer"
MODULES = ("explorer/bars.js", "explorer/detail.js", "explorer/list.js", "explorer/main.js")


def page(survey: Survey, siblings: tuple[tuple[str, str], ...], *, sample: int) -> Page:
    """The page, with as many of the sessions as fit: those at the end of the file go first.

    A continuation comes after its origin, so what is left has the origins of all it holds.
    """
    trace = survey.analysis["traces"][0]
    data = {
        "name": survey.names[0],
        "trace": {key: trace[key] for key in ("trace", "sessions", "requests", "block_size", "timeline")},
        "cached_outputs": trace["reuse"]["cached_outputs"],
        "cut": survey.cut[0],
        "sample": sample,
        "every": survey.explored["every"],
        "sessions": [],
        "left_out": 0,
    }
    empty = Page(
        name=NAME,
        title=f"{TITLE}: {survey.names[0]}",
        lead="Each prompt by layer, and what of it the cache held when the request was sent.",
        modules=MODULES,
        data=data,
        siblings=siblings,
    )
    left = room(empty)
    sessions = []
    for session in survey.explored["sessions"]:
        # Escaping makes six characters of one at most, and only of those in names.
        size = len(json.dumps(session, separators=(",", ":"))) + 1 + 5 * len(session["session_id"] or "")
        if size > left:
            break
        left -= size
        sessions.append(session)
    left_out = len(survey.explored["sessions"]) - len(sessions)
    return replace(empty, data={**data, "sessions": sessions, "left_out": left_out})
