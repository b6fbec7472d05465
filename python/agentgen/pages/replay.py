"""`replay.html`: the results of a replay; every figure comes from `summary.json`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentgen.pages.render import Page, render, write_file
from agentgen.pages.survey import LONGEST, clipped

if TYPE_CHECKING:
    from pathlib import Path

    Stated = dict[str, Any]

NAME = "replay.html"
TITLE = "Replay"
MODULES = (
    "report/plots.js",
    "replay/plots.js",
    "replay/played.js",
    "replay/outcomes.js",
    "replay/latency.js",
    "replay/over_time.js",
    "replay/turns.js",
    "replay/main.js",
)
# The settings that the page shows; of additional request fields only the names, since values may be secret.
SETTINGS = (
    *("url", "embedded_server", "model", "endpoint", "stream", "header", "session_header"),
    *("history", "prompt_mode", "tokenizer", "salt", "trace_block_size"),
    *("load", "concurrency", "session_rate", "seed", "duration", "max_sessions", "warmup_sessions"),
    *("time_scale", "max_delay", "workers", "connect_timeout", "first_token_timeout", "timeout", "retries", "grace"),
)
MAX_LISTED = 20  # servers, headers, messages and statuses shown; more are counted
MAX_MESSAGE = 500  # characters of a message


def page(summary: Stated, name: str) -> Page:
    """The page of a summary; `name` is that of the run directory."""
    return Page(
        name=NAME,
        title=f"{TITLE}: {clipped(name)}",
        lead="How a server answered a trace: latency, throughput, cache hits, and the outcome of every request.",
        modules=MODULES,
        data=_shown(summary),
    )


def write(directory: Path, summary: Stated) -> Path:
    """Write the page next to `summary.json`.

    Raises:
        AgentgenError: The chart library is missing.
        OSError: The file cannot be written.
    """
    return write_file(directory / NAME, render(page(summary, directory.resolve().name)))


def _shown(summary: Stated) -> Stated:
    """The summary without secrets and without texts of unbounded length."""
    stated = summary["settings"]
    settings = stated and {key: _short(stated[key]) for key in SETTINGS if key in stated}
    if stated and stated.get("request_json"):
        settings["request_fields"] = _short(list(stated["request_json"]))
    return {
        **summary,
        "settings": settings,
        "trace": summary["trace"] and {key: _short(value) for key, value in summary["trace"].items()},
        "errors": _short(summary["errors"], MAX_MESSAGE),
        "warnings": _short(summary["warnings"], MAX_MESSAGE),
    }


def _short(value: Any, longest: int = LONGEST) -> Any:
    """Clip a text or the texts of a list; leave other values as they are."""
    if isinstance(value, list):
        more = [f"and {len(value) - MAX_LISTED:,} more"] if len(value) > MAX_LISTED else []
        return [_short(one, longest) for one in value[:MAX_LISTED]] + more
    if isinstance(value, str):
        return clipped(value, longest)
    return value
