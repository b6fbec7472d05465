"""The data of the pages: the analysis of a trace, and the statistics of its run directory."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentgen import _native
from agentgen.run import listed
from agentgen.settings import MANIFEST
from agentgen.text.format import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentgen._native import Assumptions
    from agentgen.analysis.figures import Progress

    Stated = dict[str, Any]

SESSIONS = 100_000  # sessions of a trace that are looked at; of a larger one the first
TURNS = 12_000  # turns that the cache explorer has at most, but for one very long chain
QUALITY = "quality.json"
LONGEST = 120  # characters of a name that are shown


@dataclass(frozen=True)
class Survey:
    """Everything that pages show.

    Attributes:
        analysis: The figures of the traces, as `agentgen analyze --json` has them.
        cut: Of each trace, whether it has more sessions than were looked at.
        explored: Sessions of the first trace request by request.
        runs: Of each trace, the manifest and the quality of its run; None where there is none.
        names: Of each trace, a short name.
    """

    analysis: Stated
    cut: list[bool]
    explored: Stated
    runs: list[Stated | None]
    names: list[str]


def survey(
    traces: Sequence[str],
    assumed: Assumptions,
    *,
    sessions: int = SESSIONS,
    turns: int = TURNS,
    progress: Progress | None = None,
) -> Survey:
    """Look at the first `sessions` sessions of each trace.

    Raises:
        TraceError: A file is not a trace.
        OSError: A file cannot be read.
    """
    runs = [_run(trace) for trace in traces]
    data = json.loads(_native.survey(list(traces), assumed, sessions=sessions, turns=turns, progress=progress))
    names = [clipped(Path(trace).resolve().name) for trace in traces]
    for trace in data["analysis"]["traces"]:
        trace["trace"] = clipped(trace["trace"])
    for session in data["explored"]["sessions"]:
        if session["session_id"] is not None:
            session["session_id"] = clipped(session["session_id"])
    return Survey(data["analysis"], data["cut"], data["explored"], runs, names)


def clipped(name: str, longest: int = LONGEST) -> str:
    """A name that fits on a page, in characters that can be written down."""
    shown = printable(name[: longest + 1])
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def _run(trace: str) -> Stated | None:
    """Manifest and quality of the run that a trace is; what cannot be read is left out, as if it were not there."""
    home = _home(trace)
    manifest = _json(home / MANIFEST) if home is not None else None
    return {"manifest": manifest, "quality": _json(home / QUALITY)} if home is not None and manifest else None


def _home(trace: str) -> Path | None:
    """The directory of the run that a trace is, if it is one."""
    path = Path(trace)
    home = path if path.is_dir() else path.parent
    # A manifest.json of another program beside a file is ignored; the core refuses a directory with one.
    return home if path.is_dir() or path.name in listed(home / MANIFEST) else None


def refuse_changed(trace: str) -> None:
    """Refuse the rows of a run that were changed since: its quality is of others.

    Raises:
        TraceError: A file is not the one that the manifest describes.
    """
    home = _home(trace)
    if home is not None and _json(home / MANIFEST):
        for file in (*map(Path, json.loads(_native.inspect([trace]))["files"]), home / QUALITY):
            _native.check_listed(file)


def _json(path: Path) -> Stated | None:
    if not path.is_file():  # a device may never end
        return None
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
        json.dumps(stated, allow_nan=False)  # Python reads NaN, which no page can hold
    except (OSError, ValueError, RecursionError):
        return None
    return stated if isinstance(stated, dict) else None
