"""The simulation page: the first sessions of a trace, and the simulator for one replica in JavaScript."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentgen import _native
from agentgen._native import CONCURRENCY
from agentgen.analysis.model import KV_DTYPES
from agentgen.pages.render import Page
from agentgen.pages.survey import clipped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentgen._native import Assumptions

    StrPath = str | os.PathLike[str]

NAME = "simulation.html"
TITLE = "Simulation"
SAMPLE = 600_000  # bytes of the sample: about 1,000 sessions, which a browser simulates in about a second
CAPACITY_GB = 300
MODEL, KV_DTYPE = "deepseek-v3", "bf16"

ENGINE = (
    "tokens",
    "events",
    "layers",
    "prompts",
    "tree",
    "cache",
    "series",
    "times",
    "turns",
    "tally",
    "engine",
    "worker",
)
PAGE = ("settings", "controls", "runner", "spec", "charts", "latency", "lanes", "timeline", "gallery", "simulation")


def page(
    trace: StrPath,
    assumed: Assumptions,
    siblings: tuple[tuple[str, str], ...] = (),
    *,
    sessions: str = "",
    sample_bytes: int = SAMPLE,
) -> Page:
    """Make the simulation page of a trace.

    Args:
        trace: A run directory or a file.
        assumed: How the trace is read, and the initial concurrency and rates of the page.
        siblings: File names and titles of the other pages.
        sessions: Number of sessions in the trace as text ("1,000,000", "more than 100,000"); of requests in a trace
            without session names.
        sample_bytes: Size of the embedded sample, bytes of JSON.

    Raises:
        TraceError: The trace cannot be read.
        OSError: A file cannot be opened.
    """
    name = clipped(Path(trace).resolve().name)
    sample = json.loads(_native.simulation_sample(os.fspath(trace), assumed, max_bytes=sample_bytes))
    defaults = {
        "concurrency": assumed["concurrency"] or CONCURRENCY,
        "prefill": assumed["prefill_tokens_per_second"],
        "decode": assumed["decode_tokens_per_second"],
        "capacity": CAPACITY_GB,
        "kv": _kv(MODEL, KV_DTYPE),
    }
    models = [
        {"name": f"{name}, {dtype}", "kv_bytes_per_token": _kv(name, dtype)}
        for dtype in KV_DTYPES
        for name in _native.model_names()
    ]
    return Page(
        name=NAME,
        title=f"{TITLE}: {name}",
        lead=_lead(name, sample, sessions),
        modules=tuple(f"simulation/{name}.js" for name in PAGE),
        data={"sample": sample, "defaults": defaults, "models": models, "model": f"{MODEL}, {KV_DTYPE}"},
        workers={"simulation": tuple(f"simulation/{name}.js" for name in ENGINE)},
        siblings=siblings,
    )


def _kv(model: str, dtype: str) -> int:
    kept: int = json.loads(_native.model(name=model, kv_dtype=dtype))["kv_bytes_per_token"]
    return kept


def _lead(name: str, sample: Mapping[str, Any], sessions: str) -> str:
    """Say which part of the trace the page holds."""
    held = len(sample["sessions"])
    turns = sum(len(session["turns"]) for session in sample["sessions"])
    # In a trace without session names, every request is a separate session.
    what, requests = ("requests", "") if sample["sessions"][0]["by_ids"] else ("sessions", f" ({turns:,} requests)")
    part = f"all {held:,} {what}" if sample["is_whole"] else f"the first {held:,} of {sessions or 'more'} {what}"
    return (
        f"A simulated server with a prefix cache, on {part} of {name}{requests}. A changed setting starts a new "
        "simulation; the URL keeps the settings."
    )
