"""Plays a prepared replay and writes its run directory."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from agentgen import _native
from agentgen.errors import RunError
from agentgen.replay import server_info
from agentgen.replay.crash_recovery import record_lost_requests
from agentgen.replay.prepare import DEFAULT_BLOCK_TOKENS
from agentgen.replay.split import phase_names, split, transcripts_of
from agentgen.replay.supervise import run_workers
from agentgen.replay.units import MS_PER_S

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from agentgen.replay.prepare import PreparedReplay
    from agentgen.replay.supervise import WorkersState

    CacheCounters = Sequence[dict[str, float] | None]  # of each server

SUMMARY = "summary.json"


def replay(
    prepared: PreparedReplay, directory: Path, tick: Callable[[str, WorkersState], None]
) -> tuple[dict[str, Any], WorkersState]:
    """Play the trace, and write `summary.json` and `requests.parquet` into a new directory.

    Returns:
        The summary, and the final state of the workers.
    """
    before = _cache_counters(prepared)
    try:
        directory.mkdir(parents=True)
    except FileExistsError:
        raise RunError(f"{directory}: found a file or directory, expected none; --name gives another") from None
    settings = prepared.spec.settings
    salt = settings.salt if settings.salt is not None else secrets.token_hex(16)
    phases = phase_names(prepared)
    (directory / "records").mkdir()
    for phase in phases:
        transcripts_of(directory, phase).mkdir(parents=True)
    jobs = split(prepared, directory, salt)
    started_s = time.time()
    try:
        state = run_workers(jobs, phases, tick)
    finally:
        shutil.rmtree(directory / "transcripts", ignore_errors=True)
    after = _cache_counters(prepared)
    for worker in state.died:
        record_lost_requests(jobs[worker].records, state.cells[worker], worker)
    options = {
        "incomplete": _incomplete(state),
        "server_cache": _server_cache(before, after),
        "started": _iso_time(started_s),
        "ended": _iso_time(time.time()),
        **_summary_options(prepared, salt),
    }
    summary: dict[str, Any] = json.loads(_native.summarize(directory, json.dumps(options)))
    summary["warnings"] = [*prepared.spec.warnings, *summary["warnings"]]
    _write(directory / SUMMARY, summary)
    return summary, state


def default_name(trace: Path) -> str:
    """Default name of the run directory: the name of the trace and the time."""
    name = re.sub(r"(\.jsonl|\.parquet)?(\.gz|\.zst)?$", "", trace.absolute().name)
    return f"{name}_replay_{datetime.now(UTC):%Y%m%d-%H%M%S}"


def _summary_options(prepared: PreparedReplay, salt: str) -> dict[str, Any]:
    """What the summary needs to know, or states, of the trace, the settings and the server."""
    spec, settings = prepared.spec, prepared.spec.settings
    return {
        "clock": "closed" if spec.load == "closed" else "open",
        "concurrency": spec.slots or None,
        "slo": {f"{name}_ms": limit * MS_PER_S for name, limit in settings.slo.items()} if settings.slo else None,
        "prediction": _prediction(prepared),
        "server_tokenizes": not (prepared.embedded or settings.prompt_mode == "token-ids"),
        "settings": {
            **settings.to_json(),
            "url": list(prepared.urls),
            "embedded_server": prepared.embedded,
            "model": spec.model,
            "load": spec.load,
            "concurrency": spec.slots or None,
            "history": settings.effective_history,
            "salt": salt,
        },
        "trace": {"path": str(prepared.trace), **spec.trace, **prepared.prompt_lengths},
    }


def _prediction(prepared: PreparedReplay) -> dict[str, Any] | None:
    """Options of the predicted cache hits; None for messages, whose tokens are not known."""
    if prepared.spec.trace["kind"] != "hashed":
        return None
    settings = prepared.spec.settings
    block_tokens = [server_info.cache_block_tokens(url, prepared.headers) for url in prepared.urls]
    return {
        "trace": str(prepared.trace),
        "history": settings.effective_history,
        "block_tokens": block_tokens[0] or DEFAULT_BLOCK_TOKENS,
        "trace_block_size": settings.trace_block_size,
    }


def _incomplete(state: WorkersState) -> str | None:
    reasons = [f"worker {worker} died" for worker in state.died]
    return "; ".join([*reasons, *(["interrupted"] if state.interrupted else [])]) or None


def _cache_counters(prepared: PreparedReplay) -> CacheCounters:
    return [server_info.cache_counters(url, prepared.headers) for url in prepared.urls]


def _server_cache(before: CacheCounters, after: CacheCounters) -> dict[str, dict[str, float]] | None:
    """The sums of all servers' cache counters; None unless every server has them."""
    ends = {"before": before, "after": after}
    if any(counters is None for end in ends.values() for counters in end):
        return None
    return {
        name: {key: sum(counters[key] for counters in end if counters) for key in ("queries", "hits")}
        for name, end in ends.items()
    }


def _iso_time(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).isoformat(timespec="milliseconds")


def _write(path: Path, value: Mapping[str, Any]) -> None:
    """Write a file that has its name only when it is complete."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)
