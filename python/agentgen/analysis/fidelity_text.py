"""Distances between a trace and its source as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentgen.text.format import NONE, counted, number, percent
from agentgen.text.layout import BLANK, Table, paragraph

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import RenderableType

NAMES = {
    "calls": "calls a session",
    "human_turns": "human turns a session",
    "first_prompt": "first prompt, tokens",
    "last_prompt": "last prompt, tokens",
    "prompt": "prompt, tokens",
    "output": "output, tokens",
    "new_tool": "growth after a tool, tokens",
    "new_human": "growth after a person, tokens",
    "growth": "growth, tokens",
    "wait_tool_s": "wait after a tool, s",
    "wait_human_s": "wait after a person, s",
    "wait_s": "wait, s",
    "calls_per_human_turn": "calls a human turn",
    "session_mean_log_growth": "growth, mean log a session",
    "session_mean_log_output": "output, mean log a session",
    "session_mean_log_wait": "wait, mean log a session",
}


def pieces(found: Mapping[str, Any]) -> Iterator[RenderableType]:
    """The distances, breaks and reuse, and what is far off."""
    sizes = (found["source"], found["generated"])
    source, generated = (
        f"{counted(size['conversations'], 'session')}, {counted(size['calls'], 'call')}" for size in sizes
    )
    yield paragraph(f"source: {source}; generated: {generated}")
    yield BLANK
    yield Table(
        "distances (KS: Kolmogorov-Smirnov; halves: of the source's own two halves)",
        ("KS", "halves", "p50", "source", "p90", "source"),
        [_row(quantity) for quantity in found["quantities"]],
        groups=(2, 2, 2),
    )
    yield BLANK
    yield Table("breaks, per 100 calls", ("generated", "source"), [_share(*item) for item in found["breaks"].items()])
    yield BLANK
    yield Table(
        "prompt tokens found in a cache, sessions apart",
        ("generated", "source"),
        [
            (_cache(name), (percent(pair["generated"]), percent(pair["source"])))
            for name, pair in found["reuse"].items()
        ],
    )
    yield BLANK
    far = [NAMES[quantity["quantity"]].split(",")[0] for quantity in found["quantities"] if quantity["is_far"]]
    yield paragraph(
        f"more than 1.5 times as far as the halves: {', '.join(far)}"
        if far
        else "no quantity is more than 1.5 times as far as the halves"
    )


def _row(quantity: Mapping[str, Any]) -> tuple[str, list[str]]:
    halves = quantity["ks_of_halves"]
    distances = [f"{quantity['ks']:.3f}", NONE if halves is None else f"{halves:.3f}"]
    figures = [number(quantity[share][side]) for share in ("p50", "p90") for side in ("generated", "source")]
    return NAMES[quantity["quantity"]], distances + figures


def _share(kind: str, pair: Mapping[str, float]) -> tuple[str, list[str]]:
    name = "that keep less than half" if kind == "lost" else kind
    return name, [f"{100 * pair[side]:.3f}" for side in ("generated", "source")]


def _cache(name: str) -> str:
    if name == "infinite":
        return "nothing forgotten"
    return f"forgotten after {int(name.split('_')[1])} min"
